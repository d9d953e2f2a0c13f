"""Replay: judge again what was judged before, and say what another set of rules, scores, thresholds would have done.

In: a record, as much of its message as was kept, and a `Side`: a judge and the policies. Out: a `Trial`, a verdict and
the decisions, and what of it could not be known. Pure, and the same judge as in the service: with the set under which
the record was made, the trial is the record.

From a record alone, scores, caps, thresholds, policies and every rule about the envelope, the answers of DNS and the
findings of others are exact. A new or changed rule about headers or content takes what it reads; where that was not
kept, the trial names the rule and leaves it as it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from filterd.decision import Action, Decision, Reason, summary
from filterd.findings import Finding
from filterd.judge import DMARC_CAP, FORWARDER_CAP, LEARNT_CAP, LEARNT_HAM, LEARNT_SPAM, Judge, learnt
from filterd.mail import Mail, Message
from filterd.mail.envelope import Moment
from filterd.policies import Policies
from filterd.policy import decide
from filterd.record import Record, Verdict
from filterd.ruleset import Ruleset
from filterd.ruleset.again import Plan, Reach, plan
from filterd.value import Value, replace
from filterd.wishes import Wishes, wish_of

MODEL = "the model"  # in Trial.missing: its opinion takes the whole message
LANGUAGE = "the language"  # likewise, where no policy asked for it then
_DERIVED = frozenset(symbol.name for symbol in (DMARC_CAP, FORWARDER_CAP, LEARNT_CAP, LEARNT_HAM, LEARNT_SPAM))
_BY_SCORE = frozenset({Reason.CLEAN, Reason.SPAM_SCORE})
_OTHERWISE = frozenset({Reason.RELEASED, Reason.REPORT, Reason.LOOP, Reason.UNJUDGED, Reason.ERROR})


class Trial(Value, kw_only=True):
    """What one side makes of one mail."""

    verdict: Verdict
    decisions: tuple[Decision, ...]
    reach: Reach = Reach.RECORD  # what it was made from
    missing: tuple[str, ...] = ()  # rules, symbols of checks, MODEL: what could not look again
    assumed: bool = False  # recorded under a set that is not here: the hits of rules are taken as recorded

    @property
    def points(self) -> int:
        """The score for the recipient with the strictest decision."""
        strictest = summary(self.decisions)
        return (self.verdict.under(strictest.policy, strictest.recipient) if strictest else self.verdict).points


@dataclass(slots=True)
class Side:
    """One way of judging. `known` are other sets under which records may have been made, the likeliest first."""

    judge: Judge
    policies: Policies
    known: Sequence[Ruleset] = ()
    model: bool = False  # is the judge's model to be asked, or is the recorded opinion to stand?
    wishes: Wishes = Wishes()
    _plans: dict[str, tuple[Ruleset, Plan]] = field(default_factory=dict)

    def plan(self, ruleset: str) -> tuple[Ruleset, Plan]:
        """The set of that hash, or the likeliest where it is not here; and how its records are judged now."""
        if ruleset not in self._plans:
            sets = (*self.known, self.judge.ruleset)
            was = next((one for one in sets if one.hash == ruleset), None)
            self._plans[ruleset] = was or sets[0], plan(was or sets[0], self.judge.ruleset, assumed=was is None)
        return self._plans[ruleset]

    def needs(self, record: Record) -> Reach:
        """How much of the message it takes to judge this record exactly."""
        how = self.plan(record.generation.ruleset)[1]
        if how.assumed or self._asks_model(record) or self._asks_language(record):
            return Reach.MESSAGE
        return how.needs(_names(record))

    def best(self, record: Record, raw: bytes | None, headers: bytes | None) -> Trial:
        """The trial that comes nearest, from what there is."""
        needed = self.needs(record)
        if raw is not None and needed is not Reach.RECORD:
            return self.whole(record, raw)
        return self.again(record, headers)

    def whole(self, record: Record, raw: bytes) -> Trial:
        """Judge the message itself, with the answers that were had then."""
        mail = Mail(record.envelope, Message(raw), record.origin)
        opinion = None if self._asks_model(record) else record.opinion
        judgement = self.judge.judge(mail, record.facts, opinion=opinion)
        return self._trial(replace(record, auth=judgement.auth), judgement.verdict, Reach.MESSAGE)

    def again(self, record: Record, headers: bytes | None = None) -> Trial:
        """Judge the record by its findings and facts, and by the header block where it is needed and there."""
        was, how = self.plan(record.generation.ruleset)
        anew = how.anew(_names(record))
        reach = min(max(anew.values(), default=Reach.RECORD), Reach.RECORD if headers is None else Reach.HEADERS)
        able = frozenset(name for name, needed in anew.items() if needed <= reach)
        checks, hits = _parted(record.verdict.findings, was, self.judge.ruleset, weighed=not how.assumed)
        found = [*checks, *learnt(record.opinion)]
        mail = Mail(record.envelope, Message(headers or b""), record.origin)
        ruled = self.judge.ruleset.judge_again(
            mail, record.facts, record.auth, found, hits, able, record.opinion.probability
        )
        languages = record.outline.languages or ()
        verdict = self.judge.conclude([*found, *ruled], record.auth, record.opinion, record.envelope, languages).verdict
        missing = sorted(anew.keys() - able | how.checks)
        if self._asks_model(record):
            missing.append(MODEL)
        if self._asks_language(record):
            missing.append(LANGUAGE)
        return self._trial(record, verdict, reach, tuple(missing), how.assumed)

    def decided(self, record: Record) -> tuple[Decision, ...]:
        """What this side does about a mail that was judged so."""
        wish, access = wish_of(record, self.wishes), self.policies.access_list.holding(record)
        return decide(record.verdict, record.envelope, self.policies, wish=wish, access=access)

    def _asks_model(self, record: Record) -> bool:
        return self.model and self.judge.model is not None and record.opinion.model != self.judge.model.id

    def _asks_language(self, record: Record) -> bool:
        """Does a policy want to know what the record does not say?"""
        return record.outline.languages is None and any(
            policy.languages for policy in self.policies.touching(record.envelope)
        )

    def _trial(
        self, record: Record, verdict: Verdict, reach: Reach, missing: tuple[str, ...] = (), assumed: bool = False
    ) -> Trial:
        decisions = self.decided(replace(record, verdict=verdict))
        return Trial(verdict=verdict, decisions=decisions, reach=reach, missing=missing, assumed=assumed)


def _names(record: Record) -> list[str]:
    return [one.name for one in record.verdict.findings]


def as_recorded(record: Record) -> Trial:
    """What was made of it then."""
    return Trial(verdict=record.verdict, decisions=record.decisions)


def judged_otherwise(record: Record) -> str:
    """Why this mail's fate did not come from its score, as a reason constant; "" when it did."""
    early = record.moment is not Moment.DATA  # there was no message to judge
    reasons = [one.reason for one in record.decisions if early or one.reason in _OTHERWISE]
    return str(reasons[0]) if reasons else str(Reason.ERROR) if record.error else ""


class Share(Value):
    """One finding's part in a change of score."""

    name: str
    points: int  # hundredths: after, less before


class Flip(Value):
    """A mail that would have met another fate."""

    before: Action
    after: Action
    recipients: int  # how many of them it concerns
    shares: tuple[Share, ...]  # the strongest first
    points_before: int
    points_after: int
    why: str = ""  # where no finding did it: what else


def flip(before: Trial, after: Trial) -> Flip | None:
    """How the fate changes; None when it does for no recipient. Of several, the one with the widest step is shown."""
    then = {one.recipient: one for one in before.decisions}
    changed = [
        (then[now.recipient], now)
        for now in after.decisions
        if now.recipient in then and _fate(then[now.recipient]) is not _fate(now)
    ]
    if not changed:
        return None
    was, becomes = max(changed, key=lambda pair: abs(_fate(pair[0]).strictness - _fate(pair[1]).strictness))
    old = before.verdict.under(was.policy, was.recipient)
    new = after.verdict.under(becomes.policy, becomes.recipient)
    return Flip(
        _fate(was),
        _fate(becomes),
        len(changed),
        shares(old.findings, new.findings),
        old.points,
        new.points,
        _why(was, becomes),
    )


def _why(was: Decision, becomes: Decision) -> str:
    """What changed a fate beside findings."""
    decisive = next((one for one in (becomes, was) if one.reason not in _BY_SCORE), None)
    if decisive is not None and was.text != becomes.text:
        return decisive.text if decisive is becomes else f"no longer: {decisive.text}"
    if was.thresholds == becomes.thresholds and was.policy != becomes.policy:
        return f"the policy {becomes.policy or was.policy}"
    return "the thresholds"


def shares(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[Share, ...]:
    """By how much each finding weighs more than before, the strongest first."""
    points: dict[str, int] = {}
    for sign, findings in ((-1, before), (1, after)):
        for one in findings:
            points[one.name] = points.get(one.name, 0) + sign * one.points
    return tuple(Share(name, n) for name, n in sorted(points.items(), key=lambda one: (-abs(one[1]), one[0])) if n)


def fate(trial: Trial) -> Action:
    """The strictest action for any recipient, as it is or would be were it enforced."""
    return max(map(_fate, trial.decisions), key=lambda one: one.strictness, default=Action.ACCEPT)


def _fate(decision: Decision) -> Action:
    return decision.would or decision.action


def _parted(
    findings: Iterable[Finding], was: Ruleset, now: Ruleset, *, weighed: bool
) -> tuple[list[Finding], dict[str, str]]:
    """What checks found, as they weighed it; and the rules that held, with their evidence.

    `weighed`: it is the configuration of `was` that gave checks other points.
    """
    checks: list[Finding] = []
    hits: dict[str, str] = {}
    for one in findings:
        if now.has(one.name) or was.has(one.name) or ".yaml:" in one.source:
            hits[one.name] = one.detail
        elif one.name not in _DERIVED:
            checks.append(was.unweighed(one) if weighed else one)
    return checks, hits
