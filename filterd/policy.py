"""Policy: from a verdict to one decision per recipient. Pure.

In: the verdict, the envelope, the settings. Out: what to do for each recipient, why, and a sentence. What a door can
and cannot do about several outcomes at once is not decided here but in `filterd.engine.fulfil`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from pydantic import Field, model_validator

from filterd.access import AccessList, Entry, chosen
from filterd.decision import Action, Decision, Reason, Thresholds
from filterd.findings import hundredths
from filterd.mail.envelope import Direction, Envelope, Recipient
from filterd.record import Verdict
from filterd.settings import Settings
from filterd.wishes import Wish

ROLES = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142 section 4


class ThresholdSettings(Settings):
    """From which score on a message is tagged, quarantined, refused; null is never."""

    tag: float | None = Field(5.0, description="From this score on, delivered with X-Spam-Flag: YES.")
    quarantine: float | None = Field(8.0, description="From this score on, kept in the quarantine.")
    reject: float | None = Field(None, description="From this score on, refused with a 550; null is never.")

    @model_validator(mode="after")
    def _in_order(self) -> ThresholdSettings:
        given = [t for t in (self.tag, self.quarantine, self.reject) if t is not None]
        if given != sorted(given):
            raise ValueError("thresholds must rise from tag over quarantine to reject")
        return self

    @property
    def value(self) -> Thresholds:
        parts = (None if t is None else hundredths(t) for t in (self.tag, self.quarantine, self.reject))
        return Thresholds(*parts)


class PolicySettings(Settings):
    """Other thresholds for some mail. The first policy whose every condition holds applies."""

    name: str = Field(min_length=1, description="Shown in the record as the policy that applied.")
    recipients: tuple[str, ...] = Field(
        (), description="Addresses this policy is for; `*` and `?` as in file names. Empty: all."
    )
    domains: tuple[str, ...] = Field((), description="Recipient domains this policy is for. Empty: all.")
    direction: Direction | None = Field(None, description="inbound, outbound or internal; null is all.")
    listener: str | None = Field(None, description="The listener's address, as in its `listen`; null is all.")
    thresholds: ThresholdSettings = Field(ThresholdSettings(), description="As at the top level.")
    enforce: bool | None = Field(None, description="false: score, record and add headers, but deliver everything.")

    def covers(self, envelope: Envelope, recipient: Recipient) -> bool:
        """Does this policy apply to `recipient` of this mail?"""
        address = recipient.address.lower()
        return (
            (not self.recipients or any(fnmatchcase(address, one.lower()) for one in self.recipients))
            and (not self.domains or recipient.domain in {one.lower() for one in self.domains})
            and (self.direction is None or self.direction is envelope.direction)
            and (self.listener is None or self.listener in envelope.listener)
        )


class Policies(Settings):
    """Everything that `decide` needs to know of the site."""

    thresholds: ThresholdSettings = ThresholdSettings()
    policies: tuple[PolicySettings, ...] = ()
    enforce: bool = True
    access: tuple[str, ...] = ()  # lines of `filterd.access`

    @cached_property
    def access_list(self) -> AccessList:
        return AccessList(self.access)

    def covering(self, envelope: Envelope, recipient: Recipient) -> PolicySettings | None:
        """The first policy that covers `recipient`; None when the site's defaults apply."""
        return next((policy for policy in self.policies if policy.covers(envelope, recipient)), None)


def decide(
    verdict: Verdict,
    envelope: Envelope,
    policies: Policies,
    *,
    enforce: bool = True,
    wish: Wish | None = None,
    access: Sequence[Entry] = (),
) -> tuple[Decision, ...]:
    """One decision per recipient, in the envelope's order. `enforce` is the listener's own switch.

    Where no rule forces an action, the entry of `access` that is for the recipient decides, and else the score;
    `wish` is followed where it is stricter than the score.
    """
    return tuple(
        _decide(verdict, envelope, recipient, policies, enforce, wish, chosen(access, recipient))
        for recipient in envelope.recipients
    )


def accept_all(envelope: Envelope, reason: Reason, text: str) -> tuple[Decision, ...]:
    """Deliver to everybody, for a reason that is not the score."""
    return same_for_all(envelope, Action.ACCEPT, reason, text)


def same_for_all(envelope: Envelope, action: Action, reason: Reason, text: str) -> tuple[Decision, ...]:
    """One action for every recipient, for a reason that is not the score."""
    return tuple(Decision(recipient.address, action, reason, text) for recipient in envelope.recipients)


def bypassed(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """The decisions while `filterd bypass on` holds: everything passes, what would have been is kept."""
    text = "Delivered unfiltered: the postmaster switched the filter off."
    return tuple(
        Decision(one.recipient, Action.ACCEPT, Reason.BYPASS, text, one.tag_at, one.action, None, one.policy)
        for one in decisions
    )


def _decide(
    verdict: Verdict,
    envelope: Envelope,
    recipient: Recipient,
    policies: Policies,
    enforce: bool,
    wish: Wish | None,
    entry: Entry | None,
) -> Decision:
    policy = policies.covering(envelope, recipient)
    thresholds = (policy.thresholds if policy else policies.thresholds).value
    action, reason, text, reply = _judged(verdict, thresholds)
    if entry is not None and verdict.forced is None:
        action, reason, text, reply = _listed(entry)
    elif wish is not None and verdict.forced is None and _prevails(wish.action, action):
        action, reason, text, reply = wish.action, wish.reason, wish.text, wish.reply
    if action is Action.REJECT and recipient.address.partition("@")[0].lower() in ROLES:
        action, reason = Action.QUARANTINE, Reason.ROLE_ADDRESS
        text += " Mail to postmaster and abuse is never refused for its content."
    if action is Action.DISCARD and envelope.direction is not Direction.INBOUND:
        action = Action.QUARANTINE
        text += " Mail of our own users is never discarded."
    enforced = enforce and policies.enforce and (policy is None or policy.enforce is not False)
    would = None
    if not enforced and action is not Action.ACCEPT:
        would, action = action, Action.ACCEPT
        text += f" Only observed: it would have been {_PAST[would]}."
    tag_at = thresholds.tag if thresholds.tag is not None else thresholds.quarantine
    return Decision(
        recipient.address,
        action,
        reason,
        text,
        tag_at if tag_at is not None else 500,
        would,
        reply,
        policy.name if policy else "",
    )


def _prevails(wished: Action, action: Action) -> bool:
    """A wish never weakens, and mail is not asked to come again only to be kept from its reader."""
    return action.delivers if wished is Action.DEFER else wished.strictness > action.strictness


def _listed(entry: Entry) -> tuple[Action, Reason, str, str | None]:
    comment = f" ({entry.comment})" if entry.comment else ""
    text = f"The access list says `{entry.text}`{comment}."
    if entry.allows:
        return Action.ACCEPT, Reason.POLICY, text, None
    return Action.REJECT, Reason.POLICY, text, "Refused: mail from this sender is not accepted here"


_PAST = {
    Action.ACCEPT: "accepted",
    Action.TAG: "tagged",
    Action.QUARANTINE: "quarantined",
    Action.DEFER: "deferred",
    Action.REJECT: "refused",
    Action.DISCARD: "discarded",
}


def _judged(verdict: Verdict, thresholds: Thresholds) -> tuple[Action, Reason, str, str | None]:
    score = f"{verdict.points / 100:.2f}"
    if verdict.forced is not None:
        action, rule, reply = verdict.forced
        return Action(action), Reason.RULE, f"The rule {rule} asks for it.", reply or None
    steps = (
        (thresholds.reject, Action.REJECT),
        (thresholds.quarantine, Action.QUARANTINE),
        (thresholds.tag, Action.TAG),
    )
    for threshold, action in steps:
        if threshold is not None and verdict.points >= threshold:
            text = f"Its score of {score} reaches {threshold / 100:.2f}, from which on mail is {_PAST[action]}."
            return action, Reason.SPAM_SCORE, text, None
    lowest = min((t for t, _ in steps if t is not None), default=None)
    under = "and no threshold is set" if lowest is None else f"under {lowest / 100:.2f}"
    return Action.ACCEPT, Reason.CLEAN, f"Its score of {score} is {under}.", None
