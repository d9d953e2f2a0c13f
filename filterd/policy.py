"""Policy: from a verdict to one decision per recipient. Pure.

In: the verdict, the envelope, the policies. Out: what to do for each recipient, why, and a sentence. What a door can
and cannot do about several outcomes at once is not decided here but in `filterd.engine.fulfil`.
"""

from __future__ import annotations

from collections.abc import Sequence

from filterd.access import Entry, chosen
from filterd.decision import Action, Decision, Reason, Tagging, Thresholds
from filterd.mail.envelope import Direction, Envelope, Recipient
from filterd.policies import Policies, PolicySettings
from filterd.record import Verdict
from filterd.value import Value, replace
from filterd.wishes import Wish

ROLES = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142 section 4


class Ruling(Value):
    """What is to be done, before the envelope and `enforce` have their say."""

    action: Action
    reason: Reason
    text: str
    reply: str | None = None


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

    The first of these that says something decides: a rule that forces an action, the entry of `access` that is for
    the recipient, his policy's fixed action, the score. `wish` is followed where it is stricter than the score.
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
        replace(
            one, action=Action.ACCEPT, reason=Reason.BYPASS, text=text, would=one.action, reply=None, tagging=Tagging()
        )
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
    thresholds = policies.thresholds_of(policy)
    ruling = _ruling(verdict.under(policy.name if policy else "", recipient.address), thresholds, policy, wish, entry)
    return settle(ruling, envelope, recipient, policies, policy, enforce=enforce)


def settle(
    ruling: Ruling,
    envelope: Envelope,
    recipient: Recipient,
    policies: Policies,
    policy: PolicySettings | None,
    *,
    enforce: bool = True,
) -> Decision:
    """The decision that a ruling makes for a recipient whom this policy covers: bounded by who he is, and only
    observed where nothing is enforced."""
    thresholds = policies.thresholds_of(policy)
    ruling = _bounded(ruling, envelope, recipient)
    enforced = enforce and policies.enforce and (policy is None or policy.enforce is not False)
    action, text, would = ruling.action, ruling.text, None
    if not enforced and action is not Action.ACCEPT:
        would, action = action, Action.ACCEPT
        text += f" Only observed: it would have been {_PAST[would]}."
    tag_at = thresholds.tag if thresholds.tag is not None else thresholds.quarantine
    return Decision(
        recipient.address,
        action,
        ruling.reason,
        text,
        tag_at if tag_at is not None else 500,
        would,
        ruling.reply,
        policy.name if policy else "",
        thresholds,
        policies.tagging_of(policy) if action is Action.TAG else Tagging(),
    )


def _ruling(
    verdict: Verdict, thresholds: Thresholds, policy: PolicySettings | None, wish: Wish | None, entry: Entry | None
) -> Ruling:
    if verdict.forced is not None:
        action, rule, reply = verdict.forced
        return Ruling(Action(action), Reason.RULE, f"The rule {rule} asks for it.", reply or None)
    if entry is not None:
        return listed(entry)
    if policy is not None and policy.action is not None:
        return Ruling(Action(policy.action), Reason.POLICY, f"The policy {policy.name} says so, whatever the score.")
    ruling = _scored(verdict.points, thresholds)
    if wish is not None and _prevails(wish.action, ruling.action):
        ruling = Ruling(wish.action, wish.reason, wish.text, wish.reply)
    if policy is not None and (instead := policy.actions.instead(ruling.action)) is not ruling.action:
        text = f"{ruling.text} Under the policy {policy.name} it is {_PAST[instead]} instead."
        ruling = Ruling(instead, ruling.reason, text, ruling.reply if instead is Action.REJECT else None)
    return ruling


def _bounded(ruling: Ruling, envelope: Envelope, recipient: Recipient) -> Ruling:
    """What may not be done to this recipient, or to mail of our own users, is put in the quarantine."""
    if ruling.action is Action.REJECT and recipient.address.partition("@")[0].lower() in ROLES:
        text = f"{ruling.text} Mail to postmaster and abuse is never refused for its content."
        return replace(ruling, action=Action.QUARANTINE, reason=Reason.ROLE_ADDRESS, text=text)
    if ruling.action is Action.DISCARD and envelope.direction is not Direction.INBOUND:
        text = f"{ruling.text} Mail of our own users is never discarded."
        return replace(ruling, action=Action.QUARANTINE, text=text)
    return ruling


def _prevails(wished: Action, action: Action) -> bool:
    """A wish never weakens, and mail is not asked to come again only to be kept from its reader."""
    return action.delivers if wished is Action.DEFER else wished.strictness > action.strictness


def listed(entry: Entry) -> Ruling:
    """What an entry of the access list asks for."""
    comment = f" ({entry.comment})" if entry.comment else ""
    text = f"The access list says `{entry.text}`{comment}."
    if entry.allows:
        return Ruling(Action.ACCEPT, Reason.POLICY, text)
    return Ruling(Action.REJECT, Reason.POLICY, text, "Refused: mail from this sender is not accepted here")


_PAST = {
    Action.ACCEPT: "accepted",
    Action.TAG: "tagged",
    Action.QUARANTINE: "quarantined",
    Action.DEFER: "deferred",
    Action.REJECT: "refused",
    Action.DISCARD: "discarded",
}


def _scored(points: int, thresholds: Thresholds) -> Ruling:
    score = f"{points / 100:.2f}"
    steps = (
        (thresholds.reject, Action.REJECT),
        (thresholds.quarantine, Action.QUARANTINE),
        (thresholds.tag, Action.TAG),
    )
    for threshold, action in steps:
        if threshold is not None and points >= threshold:
            text = f"Its score of {score} reaches {threshold / 100:.2f}, from which on mail is {_PAST[action]}."
            return Ruling(action, Reason.SPAM_SCORE, text)
    lowest = min((t for t, _ in steps if t is not None), default=None)
    under = "and no threshold is set" if lowest is None else f"under {lowest / 100:.2f}"
    return Ruling(Action.ACCEPT, Reason.CLEAN, f"Its score of {score} is {under}.")
