"""Wishes: what may hold a mail back beside its score: the author domain's DMARC policy, and greylisting. Pure.

In: the settings, and what the record holds. Out: at most one Wish, which `filterd.policy.decide` weighs against what
the score asks for. A forwarder that the site trusts is no failure of DMARC (RFC 9989 section 5.3.6, local policy):
one that is the client, or one that sealed the mail last in a whole ARC chain and saw DMARC pass (RFC 8617 section 7.2).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

from pydantic import Field, field_validator

from filterd.authentication import Authentication, AuthResult, DmarcPolicy
from filterd.checks.remembering import triple, vouched
from filterd.decision import Action, Reason
from filterd.facts import Facts
from filterd.findings import Finding, hundredths
from filterd.mail.address import parse_addresses
from filterd.mail.domains import is_under, to_ascii
from filterd.mail.envelope import Direction, Origin
from filterd.record import Record
from filterd.settings import Duration, NetworkField, Networks, Settings
from filterd.value import Value


class OnReject(enum.StrEnum):
    SCORE = "score"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class OnQuarantine(enum.StrEnum):
    SCORE = "score"
    QUARANTINE = "quarantine"


class DmarcSettings(Settings):
    """What is done about mail that fails DMARC, and whose forwarding is trusted."""

    reject: OnReject = Field(
        OnReject.SCORE, description="When the author's domain asks that it be refused: score, quarantine or reject."
    )
    quarantine: OnQuarantine = Field(
        OnQuarantine.SCORE, description="When the author's domain asks that it be put aside: score or quarantine."
    )
    forwarders: tuple[NetworkField, ...] = Field(
        (), description="Hosts that forward to us for our users: what they hand on does not fail for it."
    )
    sealers: tuple[str, ...] = Field(
        (), description="Domains whose ARC seal is believed when it is the last one and says that DMARC passed."
    )

    @field_validator("sealers")
    @classmethod
    def _sealers(cls, sealers: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((one for one in sealers if to_ascii(one) is None), None):
            raise ValueError(f"{wrong!r} is not a domain")
        return tuple(to_ascii(one) or one for one in sealers)

    def forwarder(self, origin: Origin, auth: Authentication) -> str:
        """Who of the trusted forwarded the mail; "" for nobody."""
        if self.forwarders and Networks(self.forwarders).hold(origin.address):
            return str(origin.address)
        arc = auth.arc
        if arc is not None and arc.result is AuthResult.PASS and arc.sealers and arc.dmarc is AuthResult.PASS:
            return next((arc.sealers[-1] for one in self.sealers if is_under(arc.sealers[-1], one)), "")
        return ""


class GreylistSettings(Settings):
    """A second try is asked of suspicious mail from strangers, and of nobody else."""

    enabled: bool = Field(False, description="Defer such mail; it needs `senders.remember`.")
    score: float = Field(3.0, description="From this score on, under the quarantine threshold, mail is suspicious.")
    delay: Duration = Field(300.0, gt=0, description="How long the sender must wait at least.")


class Wishes(Settings):
    """Everything that `wish_of` needs to know of the site."""

    dmarc: DmarcSettings = DmarcSettings()
    greylist: GreylistSettings = GreylistSettings()


class Wish(Value):
    """An action for a reason that is not the score."""

    action: Action
    reason: Reason
    text: str
    reply: str | None = None


def wish_of(record: Record, wishes: Wishes) -> Wish | None:
    """What is wished for a mail that was judged; None for mail of our own users."""
    if record.envelope.direction is not Direction.INBOUND or record.envelope.user is not None:
        return None
    return _dmarc(record, wishes.dmarc) or _greylist(record, wishes.greylist)


def failures(findings: Sequence[Finding]) -> int:
    """The points, in hundredths, of the findings that say that SPF or DMARC failed, their group's cap included."""
    return sum(one.points for one in findings if one.name.startswith(("DMARC_FAIL", "SPF_", "AUTHENTICATION_")))


def _dmarc(record: Record, settings: DmarcSettings) -> Wish | None:
    auth = record.auth
    if auth.dmarc.result is not AuthResult.FAIL or settings.forwarder(record.origin, auth):
        return None
    asked = auth.dmarc.policy
    word = {DmarcPolicy.REJECT: settings.reject.value, DmarcPolicy.QUARANTINE: settings.quarantine.value}.get(asked)
    if word is None or word == "score":
        return None
    text = f"{auth.dmarc.domain} asks to {asked.value} mail that fails DMARC, and this mail does."
    reply = f"Refused: fails the DMARC policy of {auth.dmarc.domain}"
    return Wish(Action(word), Reason.DMARC, text, reply)


def _greylist(record: Record, settings: GreylistSettings) -> Wish | None:
    known = record.facts.senders
    key = triple(record.envelope, record.origin)
    if not settings.enabled or known is None or not key or record.verdict.points < hundredths(settings.score):
        return None
    if _has_history(record.auth, record.facts, record.outline.from_):
        return None
    now = record.envelope.received_at.timestamp()
    waited = now - known[key].first if key in known else 0.0
    if key in known and waited >= settings.delay:
        return None
    minutes = math.ceil((settings.delay - waited) / 60)
    text = f"It is suspicious and its sender is not known here; it may come again in {minutes} minutes."
    return Wish(Action.DEFER, Reason.GREYLISTED, text, f"Greylisted, try again in {minutes} minutes")


def _has_history(auth: Authentication, facts: Facts, from_: str) -> bool:
    boxes = parse_addresses(from_).mailboxes
    author = boxes[0].address.lower() if boxes else ""
    known = facts.senders or {}
    return vouched(auth, author) and any(key.startswith(("a:", "d:", "w:")) for key in known)
