"""Rates: how much mail one address, network, sender, user or recipient may bring, by buckets that leak.

Asked at MAIL and at RCPT, before any data. A bucket holds `limit` mails and is empty after `per`; when it is full the
answer is a 450, and an honest sender comes again. Buckets live in memory, at most `MANY`; the idlest goes first.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from pydantic import Field

from filterd.checks.remembering import network_of
from filterd.mail.envelope import Direction, Envelope
from filterd.reply import Reply
from filterd.settings import Duration, Settings

MANY = 100_000


class By(enum.StrEnum):
    ADDRESS = "address"  # the client, of inbound mail
    NETWORK = "network"  # its /24 or /48
    SENDER = "sender"  # the envelope sender
    USER = "user"  # the authenticated user
    RECIPIENT = "recipient"


class RateSettings(Settings):
    """One limit; mail over it is answered with a 450."""

    by: By = Field(description="What is counted: address, network, sender, user or recipient.")
    limit: int = Field(ge=1, description="How many mails (for recipient: how many to one recipient) may come at once.")
    per: Duration = Field(3600.0, gt=0, description="In this time a full bucket runs empty.")


class Rates:
    def __init__(self, settings: Sequence[RateSettings]) -> None:
        self._settings = tuple(settings)
        self._buckets: OrderedDict[tuple[int, str], tuple[float, float]] = OrderedDict()  # (level, when)
        self.refused = 0

    def take(self, envelope: Envelope) -> Reply | None:
        """Count one MAIL (an envelope without recipients) or RCPT; the answer when it is too much."""
        now = envelope.received_at.timestamp()
        full = None
        for number, one in enumerate(self._settings):
            for key in _keys(one.by, envelope):
                if not self._fits((number, key), one, now):
                    full = full or one
        if full is None:
            return None
        self.refused += 1
        return Reply(450, f"Too much mail by this {full.by.value}, try again later", "4.7.1")

    def _fits(self, key: tuple[int, str], one: RateSettings, now: float) -> bool:
        level, when = self._buckets.get(key, (0.0, now))
        level = max(0.0, level - max(0.0, now - when) * one.limit / one.per)
        fits = level + 1 <= one.limit + 1e-9
        self._buckets[key] = (level + 1 if fits else level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MANY:
            self._buckets.popitem(last=False)
        return fits


def _keys(by: By, envelope: Envelope) -> Iterator[str]:
    if by is By.RECIPIENT:
        yield from (one.address.lower() for one in envelope.recipients[:1])
        return
    if envelope.recipients:
        return
    inbound = envelope.direction is Direction.INBOUND and envelope.user is None
    address = envelope.client.address if inbound else None
    found = {
        By.ADDRESS: address,
        By.NETWORK: network_of(address),
        By.SENDER: envelope.sender.lower(),
        By.USER: envelope.user,
    }[by]
    if found:
        yield found
