"""What the memory of senders says about a mail: an old friend, an old foe, or a stranger who asks for money. Pure.

Good history earns points only where the author's domain vouches for the mail; a network, or a name alone, earns none.
Without a memory, and while it is younger than `young`, nobody is a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from pydantic import Field

from filterd.authentication import Authentication
from filterd.checks.remembering import EVERYTHING, network_of, vouched
from filterd.facts import Facts, Near, Seen
from filterd.findings import Check, Finding, Symbol, check
from filterd.mail import Mail
from filterd.mail.domains import registrable
from filterd.settings import Duration, Settings

GOOD = Symbol(
    "SENDER_KNOWN_GOOD", -1.0, "The author's domain vouches for it, and his mail has been wanted here for a while."
)
WROTE = Symbol("SENDER_WRITTEN_TO", -1.5, "The author's domain vouches for it, and our users wrote to him before.")
BAD = Symbol("SENDER_KNOWN_BAD", 1.5, "The author's domain vouches for it, and nearly all of his mail here was spam.")
NETWORK = Symbol("SENDER_NETWORK_BAD", 1.0, "Nearly all mail from this network was spam lately.")
STRANGER = Symbol("SENDER_STRANGER_ASKS", 1.5, "A stranger's first mail asks for a payment or for a password.")
CAMPAIGN = Symbol("TEXT_SEEN_AS_SPAM", 2.0, "Nearly the same text came before, and was spam.")
BULK = Symbol("TEXT_SEEN_OFTEN", 0.0, "Nearly the same text came to us many times.")
SYMBOLS = (GOOD, WROTE, BAD, NETWORK, STRANGER, CAMPAIGN, BULK)

_ASKS = re.compile(
    r"\b(?:wire transfer|bank transfer|bank (?:details|account)|direct deposit|gift cards?|swift code|iban|"
    r"(?:overdue|unpaid|outstanding) (?:invoice|payment|balance)|(?:process|make|release) (?:a |the )?payments?|"
    r"change (?:of|in|my|our) (?:bank|payment|account|payroll)|password (?:expires?|will expire|has expired)|"
    r"(?:verify|confirm|validate|update|reactivate) your (?:account|password|mailbox|identity|billing|payment)|"
    r"mailbox (?:is|has been) (?:full|suspended|limited)|überweisung|kontodaten|gutscheinkarten|virement|"
    r"carte cadeau|transferencia bancaria)\b"
)
_TEXT = 6_000  # characters in which such an ask is looked for


class SenderSettings(Settings):
    """What is remembered of senders, in the store of this site."""

    remember: bool = Field(True, description="Remember who wrote, and how it went; and texts, for near duplicates.")
    half_life: Duration = Field(30 * 86400.0, gt=0, description="After this time good and bad history weigh half.")
    young: Duration = Field(7 * 86400.0, description="How long somebody must be known before that earns points.")
    least: int = Field(8, ge=2, description="How many wanted mails earn points, when nearly none was spam.")


def sender_check(settings: SenderSettings, hosts: Collection[str]) -> Check:
    """The check. `hosts`: domains where anybody may have an address."""

    @check(*SYMBOLS)
    def remembered(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
        """Compares the mail with what is remembered."""
        if facts.senders is not None:
            past = _Past(settings, hosts, facts.senders, mail)
            if vouched(auth, past.author):
                yield from past.of_author()
            yield from past.of_network()
            yield from past.stranger(mail)
        if facts.near is not None:
            yield from _near(facts.near)

    return remembered


class _Past:
    """What is remembered of one mail's sender."""

    def __init__(self, settings: SenderSettings, hosts: Collection[str], known: dict[str, Seen], mail: Mail) -> None:
        self._settings = settings
        self._known = known
        self._now = mail.envelope.received_at.timestamp()
        self._network = network_of(mail.origin.address)
        self.author = mail.message.from_[0].address.lower() if len(mail.message.from_) == 1 else ""
        domain = registrable(self.author.rpartition("@")[2])
        keys = [f"a:{self.author}"] if domain in hosts else [f"a:{self.author}", f"d:{domain}"]
        self._history = [(key[2:], known[key]) for key in keys if key in known]

    def of_author(self) -> Iterator[Finding]:
        """For mail that the author's domain vouches for, and only for that."""
        if bad := next((one for one in self._history if self._mostly_bad(one[1], 5.0)), None):
            yield BAD.found(self._story(*bad))
            return
        if good := next((one for one in self._history if self._is_good(one[1])), None):
            yield GOOD.found(self._story(*good))
        if written := self._known.get(f"w:{self.author}"):
            yield WROTE.found(f"{self.author}: {written.seen} times")

    def of_network(self) -> Iterator[Finding]:
        seen = self._known.get(f"n:{self._network}")
        if seen is not None and self._mostly_bad(seen, 10.0):
            yield NETWORK.found(self._story(self._network, seen))

    def stranger(self, mail: Mail) -> Iterator[Finding]:
        """Somebody of whom nothing is known although the memory is old enough, and what he asks for."""
        everything = self._known.get(EVERYTHING)
        if everything is None or self._now - everything.first < self._settings.young or not self.author:
            return
        if any(key.startswith(("a:", "d:", "w:")) for key in self._known):
            return
        if ask := _ASKS.search(mail.message.text[:_TEXT].lower()):
            yield STRANGER.found(f"{self.author}: {ask[0]}")

    def _is_good(self, seen: Seen) -> bool:
        good, bad = seen.faded(self._now, self._settings.half_life)
        return self._now - seen.first >= self._settings.young and good >= self._settings.least and bad <= 0.02 * good

    def _mostly_bad(self, seen: Seen, least: float) -> bool:
        good, bad = seen.faded(self._now, self._settings.half_life)
        return bad >= least and bad >= 0.9 * (good + bad)

    def _story(self, who: str, seen: Seen) -> str:
        good, bad = seen.faded(self._now, self._settings.half_life)
        days = (self._now - seen.first) / 86400
        return f"{who}: {good:.0f} wanted and {bad:.0f} spam of late, known for {days:.0f} days"


def _near(near: Near) -> Iterator[Finding]:
    if near.bad >= 2 and near.bad >= 0.5 * near.seen:
        yield CAMPAIGN.found(f"{near.bad} of {near.seen} times, first as {near.record}")
    elif near.seen >= 20:
        yield BULK.found(f"{near.seen} times, first as {near.record}")
