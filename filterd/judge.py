"""Judge: from a mail and the facts about it to a verdict. Pure: the same arguments give the same verdict.

In: a Mail and its Facts; the ruleset and the model are the judge's own. Out: a `Judgement`. A check that raises is a
finding that names it; nothing is raised, nothing is asked, nothing is written. Serving, training, replay and the
rules' own tests all make this one call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from filterd.auth import authenticate, claims_us, questions
from filterd.authentication import UNAUTHENTICATED, Authentication, AuthResult
from filterd.checks import CHECKS, remembering
from filterd.checks.asked import asked
from filterd.checks.lists import Asks
from filterd.classifier import Live, Model, Taught, think
from filterd.decision import HeaderSpan, Subject
from filterd.facts import Facts, Questions
from filterd.findings import Check, Finding, Symbol, total
from filterd.mail import Envelope, Mail, Message
from filterd.mail.envelope import Recipient
from filterd.mail.received import follow, relays_end
from filterd.mail.trace import foreign_verdicts
from filterd.outline import outline
from filterd.policies import FOREIGN_LANGUAGE, RULE_OFF, Policies, PolicySettings
from filterd.record import Apart, Opinion, Outline, Verdict
from filterd.ruleset import Ruleset
from filterd.settings import Networks
from filterd.value import Value, replace
from filterd.wishes import DmarcSettings, failures

CHECK_FAILED = Symbol("CHECK_FAILED", 0.0, "A check failed on this message; its name and error are shown.")
LEARNT_SPAM = Symbol("LEARNT_SPAM", 0.0, "The trained classifier takes it for spam; its points follow its probability.")
LEARNT_HAM = Symbol("LEARNT_HAM", 0.0, "The trained classifier takes it for wanted mail.")
TAUGHT = Symbol("TAUGHT", 0.0, "What this recipient has said of mail like it: it counts for nobody else.")
LEARNT_CAP = Symbol(
    "LEARNT_CAP", 0.0, "Without a rule's support the classifier alone stays under the quarantine threshold."
)
DMARC_CAP = Symbol(
    "DMARC_CAP", 0.0, "On mail with an aligned DMARC pass no single rule weighs as much as the tag threshold."
)
FORWARDER = Symbol("FORWARDER_TRUSTED", 0.0, "A forwarder that the site trusts handed it on.")
FORWARDER_CAP = Symbol("FORWARDER_CAP", 0.0, "What is forwarded may fail SPF and DMARC: that does not count.")
OWN_SYMBOLS = (
    FORWARDER,
    FORWARDER_CAP,
    CHECK_FAILED,
    LEARNT_SPAM,
    LEARNT_HAM,
    TAUGHT,
    LEARNT_CAP,
    DMARC_CAP,
    RULE_OFF,
    FOREIGN_LANGUAGE,
)
SUBJECTS = 5  # fields of that name that are looked at

Stopwatch = Callable[[str], None]


def _no_watch(stage: str) -> None:
    return None


class Inspection(Value, kw_only=True):
    """What `inspect` learnt by reading alone."""

    questions: Questions
    outline: Outline
    strip: tuple[HeaderSpan, ...] = ()  # forged verdicts, and Authentication-Results in our name
    hops: int = 0  # Received lines
    marks: tuple[str, ...] = ()  # values of our release mark's field, true or forged
    subject: Subject = Subject()  # where a policy may write into it


class Terms(Value):
    """Under what findings are weighed: what caps stay under, and what does not count."""

    tag_at: int  # hundredths: what one rule on authenticated mail stays under
    quarantine_at: int  # what the classifier alone stays under
    off: frozenset[str] = frozenset()


class Judgement(Value, kw_only=True):
    """What `judge` concluded."""

    auth: Authentication = UNAUTHENTICATED
    verdict: Verdict = Verdict()
    opinion: Opinion = Opinion()


@dataclass(frozen=True, slots=True)
class Judge:
    """One generation's way of judging."""

    ruleset: Ruleset
    model: Model | None
    hostname: str
    relays: Networks = Networks()
    believed: frozenset[str] = frozenset()  # the names under which relays write Authentication-Results
    tag_at: int = 500
    quarantine_at: int = 800
    policies: Policies = Policies()
    checks: tuple[Check, ...] = CHECKS
    asks: frozenset[Asks] = frozenset()  # what block and allow lists want to know
    ours: frozenset[str] = frozenset()  # our own domains
    dmarc: DmarcSettings = DmarcSettings()
    hosts: frozenset[str] | None = None  # where anybody may have an address; None: senders are not remembered
    site: Live | None = None  # what this site taught
    taught: Taught | None = None  # what single recipients taught about their own mail

    def inspect(self, envelope: Envelope, raw: bytes) -> tuple[Mail, Inspection]:
        """Read a message, find its origin, and say what must be asked about it."""
        message = Message(raw)
        origin, lines = follow(envelope, message, self.relays)
        mail = Mail(envelope, message, origin, relays_end(message, lines))
        inspection = Inspection(
            questions=self._questions(mail),
            outline=outline(message, languages=self.policies.read_languages),
            strip=self._strip(message),
            hops=len(message.headers.all("Received")),
            marks=tuple(header.raw_text.strip() for header in message.headers.all("X-Filterd-Release"))[:4],
            subject=self._subject(message),
        )
        return mail, inspection

    def judge(self, mail: Mail, facts: Facts, done: Stopwatch = _no_watch, opinion: Opinion | None = None) -> Judgement:
        """The verdict on `mail`, given `facts`. `done` is called with the name of each stage as it ends.

        `opinion` is what a classifier said before; without it the model is asked.
        """
        auth = authenticate(mail, facts, believed=self.believed)
        done("authenticate")
        found = [finding for check in self.checks for finding in _look(check, mail, facts, auth)]
        if forwarder := self.dmarc.forwarder(mail.origin, auth):
            found.append(FORWARDER.found(forwarder))
        done("checks")
        opinion = self._think(mail) if opinion is None else opinion
        found += learnt(opinion)
        done("classify")
        found += self.ruleset.judge(mail, facts, auth, found, opinion.probability)
        done("rules")
        languages = mail.message.languages if self.policies.read_languages else ()
        return self.conclude(found, auth, opinion, mail.envelope, languages)

    def conclude(
        self,
        found: Sequence[Finding],
        auth: Authentication,
        opinion: Opinion,
        envelope: Envelope,
        languages: Sequence[str] = (),
    ) -> Judgement:
        """What follows from all that was found: the weights that the site gives, the caps, the score.

        And how these differ for recipients whose policy has other terms, or who taught something themselves.
        """
        findings = self._weigh(found, auth, Terms(self.tag_at, self.quarantine_at), trusted=opinion.trusted)
        verdict = Verdict(
            findings=findings,
            points=total(findings),
            probability=opinion.probability,
            forced=self.ruleset.forced(findings),
        )
        apart = [
            self._apart(policy, found, verdict, auth, languages, trusted=opinion.trusted)
            for policy in self.policies.touching(envelope)
        ]
        alone = self._alone(opinion, envelope)
        verdict = replace(verdict, apart=(*(one for one in apart if one is not None), *alone))
        return Judgement(auth=auth, verdict=verdict, opinion=opinion)

    def _think(self, mail: Mail) -> Opinion:
        opinion = think(mail, self.model, self.site)
        if self.taught is None:
            return opinion
        recipients = [one.address for one in mail.envelope.recipients]
        return replace(opinion, offsets=self.taught.offsets(mail.message, recipients))

    def _alone(self, opinion: Opinion, envelope: Envelope) -> Iterator[Apart]:
        """What each recipient's own words add for him, where neither the site nor his policy switched that off."""
        for offset in opinion.offsets:
            policy = self.policies.covering(envelope, Recipient(offset.recipient))
            if TAUGHT.name not in self.ruleset.disabled | frozenset(policy.rules_off if policy else ()):
                yield Apart("", (TAUGHT.found(offset.detail, offset.points / 100),), recipient=offset.recipient)

    def _apart(
        self,
        policy: PolicySettings,
        found: Sequence[Finding],
        verdict: Verdict,
        auth: Authentication,
        languages: Sequence[str],
        *,
        trusted: bool,
    ) -> Apart | None:
        """How the verdict differs under the policy's terms; None when it does not."""
        thresholds = self.policies.thresholds_of(policy)
        terms = Terms(
            self.tag_at if thresholds.tag is None else thresholds.tag,
            self.quarantine_at if thresholds.quarantine is None else thresholds.quarantine,
            frozenset(policy.rules_off),
        )
        mine = list(found)
        if terms.off:
            mine = [one for one in found if one.name not in terms.off | self.ruleset.caps]
            mine += self.ruleset.over_caps(mine)
        if languages and policy.languages and not set(languages) & set(policy.languages):
            mine.append(FOREIGN_LANGUAGE.found(", ".join(languages), policy.foreign))
        findings = self._weigh(mine, auth, terms, trusted=trusted)
        differences = tuple(_differences(verdict.findings, findings, terms.off))
        forced = self.ruleset.forced(findings)
        return Apart(policy.name, differences, forced) if differences or forced != verdict.forced else None

    def _weigh(
        self, found: Sequence[Finding], auth: Authentication, terms: Terms, *, trusted: bool
    ) -> tuple[Finding, ...]:
        off = self.ruleset.disabled | terms.off
        weighed = [
            _reweighed(finding, self.ruleset.weight(finding.name)) for finding in found if finding.name not in off
        ]
        caps: list[Finding] = []
        if auth.dmarc.result is AuthResult.PASS:
            caps += [
                _cap(DMARC_CAP, finding, terms.tag_at - 1)
                for finding in weighed
                if not finding.decisive and finding.points >= terms.tag_at
            ]
        if any(finding.name == FORWARDER.name for finding in found) and (failed := failures(weighed)) > 0:
            caps.append(FORWARDER_CAP.found("SPF and DMARC", -failed / 100))
        capped = {cap.detail for cap in caps}
        caps += [
            _cap(LEARNT_CAP, finding, terms.quarantine_at - 1)
            for finding in weighed
            if not trusted
            and finding.name == LEARNT_SPAM.name
            and finding.points >= terms.quarantine_at
            and finding.name not in capped
        ]
        return (*weighed, *(cap for cap in caps if cap.points))

    def _questions(self, mail: Mail) -> Questions:
        fields: dict[str, Any] = asked(mail, self.asks, self.ours)
        if self.hosts is not None:
            fields |= remembering.asked(mail, self.hosts)
        return replace(questions(mail, believed=self.believed), **fields)

    def _subject(self, message: Message) -> Subject:
        if not self.policies.write_subjects:
            return Subject()
        fields = message.headers.all("Subject")[:SUBJECTS]
        spans = tuple(HeaderSpan(one.name, one.occurrence, one.start, one.end) for one in fields)
        return Subject(fields[0].raw_text if fields else "", spans)

    def _strip(self, message: Message) -> tuple[HeaderSpan, ...]:
        ours = [
            header
            for header in message.headers.all("Authentication-Results")
            if claims_us(header.raw_text, self.hostname)
        ]
        fields = sorted([*foreign_verdicts(message.headers), *ours], key=lambda header: header.start)
        return tuple(HeaderSpan(one.name, one.occurrence, one.start, one.end) for one in fields)


def _look(check: Check, mail: Mail, facts: Facts, auth: Authentication) -> list[Finding]:
    try:
        return check(mail, facts, auth)
    except Exception as error:  # noqa: BLE001  a part that fails becomes a finding
        return [CHECK_FAILED.found(f"{check.name}: {type(error).__name__}: {error}")]


def learnt(opinion: Opinion) -> list[Finding]:
    """What the classifier's opinion is as findings."""
    if opinion.probability is None or opinion.points == 0:
        return []
    symbol = LEARNT_SPAM if opinion.points > 0 else LEARNT_HAM
    detail = f"probability {opinion.probability:.3f}"
    return [Finding(symbol.name, opinion.points, symbol.about, detail, opinion.model)]


def _differences(before: Sequence[Finding], after: Sequence[Finding], off: frozenset[str]) -> Iterator[Finding]:
    """What makes the sum of `before` that of `after`, a finding for each name; those that are off under one name."""
    points: Counter[str] = Counter()
    found: dict[str, Finding] = {}
    for sign, findings in ((-1, before), (1, after)):
        for one in findings:
            points[one.name] += sign * one.points
            found[one.name] = one
    for name, difference in points.items():
        if difference and name in off:
            yield RULE_OFF.found(name, difference / 100)
        elif difference:
            yield replace(found[name], points=difference)


def _reweighed(finding: Finding, points: int | None) -> Finding:
    if points is None or points == finding.points:
        return finding
    return Finding(finding.name, points, finding.about, finding.detail, finding.source, finding.decisive)


def _cap(symbol: Symbol, finding: Finding, limit: int) -> Finding:
    """Never under nothing, however low somebody's threshold is."""
    limit = max(limit, min(finding.points, 0))
    return Finding(symbol.name, limit - finding.points, symbol.about, finding.name, __name__)
