"""Early: what is refused before the message is there, and why. Pure.

In: the envelope as far as it is known, the moment, the policies, and what the site's lists say. Out: the decision that
refuses or defers, or None: no news. What an entry of the access list refuses here, the decision about the whole message
would refuse as well. Only mail that comes in from outside is refused here: our own users, released mail and what an
unknown host brings are judged when they are there.

Before RCPT nobody knows whom the mail is for. Then only what holds for everybody may answer, and nothing does while
a policy lets somebody merely observe; that postmaster and abuse are never refused can only be kept from RCPT on.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from filterd.access import AccessList, Known, early
from filterd.decision import Action, Decision, Reason
from filterd.mail.envelope import Direction, Envelope, Moment, Recipient
from filterd.policies import Policies, PolicySettings
from filterd.policy import Ruling, listed, settle
from filterd.reply import Reply
from filterd.value import Value

NOBODY = Recipient("")  # in the place of one who is not known yet


class Block(Value):
    """A block list that names the client, and that the site lets refuse."""

    symbol: str
    zone: str


class Asked(Value, kw_only=True):
    """What is asked about: a mail before its message, at one moment."""

    envelope: Envelope  # with the recipient of this RCPT alone, before that with none
    moment: Moment
    address: str | None  # the client's, where Received lines cannot make it another
    policies: Policies
    enforce: bool = True  # the listener's own switch

    @property
    def inbound(self) -> bool:
        return self.envelope.direction is Direction.INBOUND and self.envelope.user is None

    @property
    def recipient(self) -> Recipient | None:
        return self.envelope.recipients[0] if self.moment is Moment.RCPT else None

    @property
    def policy(self) -> PolicySettings | None:
        return self.policies.covering(self.envelope, self.recipient or NOBODY)

    @property
    def known(self) -> Known:
        today = self.envelope.received_at.astimezone(datetime.UTC).date()
        return Known(today, self.envelope.sender.lower(), self.address, self.recipient)


def denied(asked: Asked, lists: Sequence[AccessList]) -> Decision | None:
    """What the access lists refuse."""
    lists = [one for one in lists if one.entries]
    if not lists or not asked.inbound or (asked.recipient is None and _somebody_observes(asked.policies)):
        return None
    entry = early(lists, asked.known)
    return None if entry is None else _said(listed(entry), asked)


def limited(asked: Asked, full: Reply) -> Decision | None:
    """What is over a limit: put off, in the limit's own words."""
    return _said(Ruling(Action.DEFER, Reason.LIMIT, f"{full.text}.", full.text), asked)


def may_be_blocked(asked: Asked, lists: Sequence[AccessList]) -> bool:
    """May a block list refuse this recipient's mail? Not where an entry allows the client or the claimed sender."""
    if not asked.inbound or asked.recipient is None or asked.address is None:
        return False
    return not any(one.claims_allowed(asked.known) for one in lists if one.entries)


def blocked(asked: Asked, block: Block) -> Decision | None:
    """What a block list refuses, where the recipient's policy leaves it its weight."""
    policy = asked.policy
    if policy is not None:
        softened = policy.action is not None or policy.actions.instead(Action.REJECT) is not Action.REJECT
        if softened or block.symbol in policy.rules_off:
            return None
    text = f"The block list {block.zone} names {asked.address}."
    reply = f"Refused: your address {asked.address} is listed by {block.zone}"
    return _said(Ruling(Action.REJECT, Reason.LISTED, text, reply), asked)


def _somebody_observes(policies: Policies) -> bool:
    return any(one.enforce is False for one in policies.policies)


def _said(ruling: Ruling, asked: Asked) -> Decision | None:
    decision = settle(
        ruling,
        asked.envelope,
        asked.recipient or NOBODY,
        asked.policies,
        asked.policy,
        enforce=asked.enforce,
    )
    return decision if decision.action in (Action.REJECT, Action.DEFER) else None
