"""Decision, Copy, Outcome: what is done about a mail, for whom, and in which form.

A decision is made per recipient. Recipients whose copy is identical form one group, and each group is one
transaction. Every decision carries a reason constant for machines and a sentence for people.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from filterd.value import Value


class Action(enum.StrEnum):
    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    DEFER = "defer"
    REJECT = "reject"
    DISCARD = "discard"

    @property
    def strictness(self) -> int:
        """How much it keeps from the reader; orders actions where a door can give only one advice."""
        return _STRICTNESS[self]

    @property
    def delivers(self) -> bool:
        return self in (Action.ACCEPT, Action.TAG)


_STRICTNESS = {
    a: n
    for n, a in enumerate((Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.DISCARD, Action.DEFER, Action.REJECT))
}


class Reason(enum.StrEnum):
    """Why. The record, the log line and the JSON carry these words; they do not change."""

    CLEAN = "clean"  # under every threshold
    SPAM_SCORE = "spam-score"
    RULE = "rule"  # a rule forced the action
    POLICY = "policy"  # an allow or deny entry, or a policy's fixed action
    LISTED = "listed"  # a block list names the client, and the site says that this refuses at RCPT
    LIMIT = "limit"  # more mail than `rates` let one address, network, sender, user or recipient bring
    DMARC = "dmarc"  # the author domain's published policy, applied as the site says
    GREYLISTED = "greylisted"  # suspicious and from a stranger: a second try is asked for
    RELEASED = "released"  # carries our own single-use release mark
    BYPASS = "bypass"  # `filterd bypass on`
    SPLIT = "split"  # would be refused, but one reply speaks for several recipients with different outcomes
    AFTER_QUEUE = "after-queue"  # would be refused, but this position must not refuse
    UNJUDGED = "unjudged"  # killed the workers: kept raw
    ERROR = "error"  # an outage of ours: `on_error`
    UNDELIVERED = "undelivered"  # the next hop refused it after we could no longer say so
    ROLE_ADDRESS = "role-address"  # postmaster@ and abuse@ are never refused for content
    REPORT = "report"  # mail to a report address, which ends here
    LOOP = "loop"  # too many hops, or our own mark again


class Thresholds(Value):
    """In hundredths; None is off."""

    tag: int | None = 500
    quarantine: int | None = 800
    reject: int | None = None


class Tagging(Value):
    """What a tagged copy gets beside X-Spam-Flag; "" is nothing."""

    subject: str = ""  # put before the Subject
    header: str = ""  # a field of the site's own, `X-Name: text`


class Decision(Value):
    """What is done for one recipient."""

    recipient: str
    action: Action
    reason: Reason
    text: str  # one sentence for a person
    tag_at: int = 500  # the tag threshold that applied, in hundredths
    would: Action | None = None  # observe mode, bypass, split: what it would have been
    reply: str | None = None  # a rule's own SMTP text
    policy: str = ""  # which policy applied; "" is the site's default
    thresholds: Thresholds | None = None  # those that applied; None in records that do not say
    tagging: Tagging = Tagging()  # of a copy that is tagged


def summary(decisions: Sequence[Decision]) -> Decision | None:
    """The strictest decision: what a line that has room for one should show."""
    return max(decisions, key=lambda one: one.action.strictness, default=None)


class HeaderLine(Value):
    """A header field that we add: no CR or LF in either half; folding is done when it is written."""

    name: str
    value: str


class HeaderSpan(Value):
    """A header field of the message that we take away: which one, and which bytes [start, end)."""

    name: str
    occurrence: int  # the nth field of that name, from the top, counted from 1 as the milter protocol does
    start: int
    end: int


class Subject(Value):
    """The Subject of a message: its text as it stands in the header, and every field of that name."""

    text: str = ""
    spans: tuple[HeaderSpan, ...] = ()


class Edits(Value):
    """How a copy differs from what came in: headers put before the first, headers taken away. Never the body."""

    prepend: tuple[HeaderLine, ...] = ()
    remove: tuple[HeaderSpan, ...] = ()


class Copy(Value):
    """One identical copy and who gets it."""

    recipients: tuple[int, ...]  # positions in Envelope.recipients
    action: Action
    edits: Edits = Edits()
