"""Record: everything about one mail under one id, in a versioned form that can be judged again.

A record holds what was known (envelope, facts), what was concluded (authentication, verdict), what was done
(decisions, deliveries), how long each stage took, and which generation of config, rules and model did it. The body
is not part of it; how much of the message is kept beside it is the retention setting.
"""

from __future__ import annotations

from filterd.authentication import UNAUTHENTICATED, Authentication
from filterd.decision import Decision, Thresholds, summary
from filterd.facts import NOTHING, Facts
from filterd.findings import Finding, total
from filterd.mail.envelope import Envelope, Moment, Origin
from filterd.value import Value, replace

VERSION = 1


class AttachmentOutline(Value):
    """One attachment as the record and `filterd scan` show it."""

    name: str
    type: str  # by content
    size: int
    path: tuple[str, ...] = ()  # ("outer.zip", "inner.js")
    flags: tuple[str, ...] = ()


class Outline(Value, kw_only=True):
    """What of a message is kept so that a person can find and recognise it."""

    subject: str = ""
    from_: str = ""  # the From header as a reader sees it, decoded, one line
    authors: tuple[str, ...] = ()  # the address of each mailbox in From; "" beside them where readers disagree
    message_id: str = ""
    size: int = 0
    digest: str = ""  # SHA-256 of the raw bytes, hex
    urls: tuple[str, ...] = ()
    attachments: tuple[AttachmentOutline, ...] = ()
    defects: tuple[str, ...] = ()
    ambiguous: bool = False
    languages: tuple[str, ...] | None = None  # that the text is clearly in; None: nobody asked
    identity: str = ""  # equal for copies of the same message: how labels know it


class Evidence(Value):
    """One token's share of the model's points, for or against."""

    token: str
    points: int


class Offset(Value):
    """What a recipient's own words about mail like this one move, for him alone."""

    recipient: str  # as in the envelope
    points: int
    detail: str


class Opinion(Value):
    """What the classifier says."""

    probability: float | None = None  # calibrated; None when there was no model or nothing to read
    points: int = 0  # after the cap
    model: str = ""  # model id
    evidence: tuple[Evidence, ...] = ()
    site: str = ""  # id of the site's own model, where it was asked
    trusted: bool = False  # the site's model has passed its gate, and may quarantine by itself
    offsets: tuple[Offset, ...] = ()  # of recipients who taught something about mail like this


class Apart(Value):
    """How the verdict differs for those whom a policy covers: what it adds, and takes off by negative points.

    One with a recipient is for him alone, and is added to what his policy made of it.
    """

    policy: str
    findings: tuple[Finding, ...] = ()
    forced: tuple[str, str, str] | None = None
    recipient: str = ""


class Verdict(Value, kw_only=True):
    """Findings and the score that they add up to."""

    findings: tuple[Finding, ...] = ()
    points: int = 0  # the sum of the findings, in hundredths
    probability: float | None = None
    forced: tuple[str, str, str] | None = None  # (action, rule name, SMTP text) of a rule that forces the action
    apart: tuple[Apart, ...] = ()  # of policies under which it is another

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every finding, for whomever it counts, each once."""
        found = (*self.findings, *(finding for one in self.apart for finding in one.findings))
        return tuple(dict.fromkeys(finding.name for finding in found))

    def under(self, policy: str, recipient: str = "") -> Verdict:
        """The verdict for this recipient, whom that policy covers; his score is the sum of its findings, as ever."""
        verdict = self
        for one in self.apart:
            if one.recipient:
                if one.recipient == recipient:
                    verdict = verdict._with(one.findings)
            elif one.policy == policy:
                verdict = replace(verdict._with(one.findings), forced=one.forced)
        return verdict

    def _with(self, findings: tuple[Finding, ...]) -> Verdict:
        return replace(self, findings=self.findings + findings, points=self.points + total(findings))


class Generation(Value):
    """Under what a mail was judged."""

    config: str = ""
    ruleset: str = ""
    model: str = ""
    site_model: str = ""


class DeliveryResult(Value):
    """What became of one recipient's copy."""

    recipient: str
    fate: str  # "delivered", "quarantined", "discarded", "refused", "deferred", "undelivered", "advised", "skipped"
    reply: str = ""  # the next hop's own words
    item: str = ""  # the quarantine item's id


class Record(Value, kw_only=True):
    id: str
    version: int = VERSION
    envelope: Envelope
    origin: Origin
    outline: Outline = Outline()
    facts: Facts = NOTHING
    auth: Authentication = UNAUTHENTICATED
    verdict: Verdict = Verdict()
    opinion: Opinion = Opinion()
    thresholds: Thresholds = Thresholds()
    decisions: tuple[Decision, ...] = ()
    deliveries: tuple[DeliveryResult, ...] = ()
    milliseconds: dict[str, float] = {}  # by stage
    generation: Generation = Generation()
    error: str = ""  # the stage that failed and how, when one did
    observed: bool = False  # enforce: false
    moment: Moment = Moment.DATA  # when it was decided; earlier than DATA there was no message to look at

    @property
    def strictest(self) -> Decision | None:
        """The decision that a line with room for one should show."""
        return summary(self.decisions)

    def verdict_of(self, decision: Decision | None) -> Verdict:
        """The verdict that this decision was made from: that of the recipient, under his policy."""
        return self.verdict.under(decision.policy, decision.recipient) if decision else self.verdict

    def thresholds_of(self, decision: Decision | None) -> Thresholds:
        """The thresholds that this decision was made by."""
        return (decision.thresholds if decision else None) or self.thresholds
