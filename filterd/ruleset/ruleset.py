"""Ruleset: all rules as one immutable thing that looks at a mail.

In: a mail, the facts, its authentication, the findings of checks, the learnt probability. Out: the findings
of rules and of group caps. Pure, and never raises: a rule that fails is the finding RULE_FAILED with its
name, a backtracking pattern that runs out of time is RULE_TIMEOUT. Loading raises RuleErrors and leaves no
half-loaded set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from filterd.authentication import Authentication
from filterd.decision import Action
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, hundredths
from filterd.mail import Mail
from filterd.ruleset.cases import Case, read_cases
from filterd.ruleset.guards import Clue, of_forms
from filterd.ruleset.load import Loaded, load
from filterd.ruleset.rule import Rule
from filterd.ruleset.settings import RulesSettings
from filterd.ruleset.view import View
from filterd.value import replace
from filterd.yamlfile import Problem

RULE_FAILED = Symbol(
    "RULE_FAILED", 0.0, "A rule failed on this message; its name and error are shown.", source=__name__
)
RULE_TIMEOUT = Symbol(
    "RULE_TIMEOUT", 0.0, "A rule's backtracking pattern ran out of time and was given up.", source=__name__
)
OWN_SYMBOLS = (RULE_FAILED, RULE_TIMEOUT)


class Ruleset:
    """The rules, ready. `hash` names them, `symbols` are all that may be found, of checks and of rules."""

    def __init__(self, settings: RulesSettings, loaded: Loaded, extra: Sequence[Symbol]) -> None:
        self.loaded = loaded
        self.hash = loaded.hash
        self.disabled = frozenset(settings.disable)
        self.rules = tuple(rule for rule in loaded.rules if rule.name not in self.disabled)
        caps = tuple(group.symbol for group in loaded.groups.values())
        spoken = tuple(rule.symbol for rule in loaded.rules if not rule.silent)
        self.symbols = (*extra, *OWN_SYMBOLS, *spoken, *caps)
        self._declared = {symbol.name: symbol for symbol in self.symbols}
        self._weights = {name: hundredths(score) for name, score in settings.scores.items()}
        self.caps = frozenset(symbol.name for symbol in caps)
        self._caps = {group.name: group for group in loaded.groups.values() if group.symbol.name not in self.disabled}
        self._grouped = {rule.name: rule.group for rule in self.rules if rule.group in self._caps}
        self._forcing = {rule.name: rule.force for rule in self.rules if rule.force is not None}
        self._places = {rule.name: index for index, rule in enumerate(self.rules)}
        self._by_sign: list[int] = []  # rules that no pattern rules out
        self._by_form: dict[int, list[int]] = {}
        for index, rule in enumerate(self.rules):
            by_form = of_forms(rule.guards)
            if not by_form:
                self._by_sign.append(index)
            for number in by_form[0] if by_form else ():
                self._by_form.setdefault(number, []).append(index)
        self._signs = loaded.context.signs.among(rule.guards for rule in self.rules)

    @classmethod
    def load(cls, settings: RulesSettings | None = None, extra: Iterable[Symbol] = ()) -> Ruleset:
        """The shipped rules, the site's over them; `extra` are the symbols of checks. Raises RuleErrors."""
        settings = settings or RulesSettings()
        symbols = (*extra, *OWN_SYMBOLS)
        loaded = load(settings, symbols)
        return cls(settings, loaded, tuple(symbol for symbol in symbols if symbol not in OWN_SYMBOLS))

    def weight(self, name: str) -> int | None:
        """The points, in hundredths, that the configuration gives this symbol; None when it says nothing."""
        return self._weights.get(name)

    def has(self, name: str) -> bool:
        """Is that a rule of this set, in force?"""
        return name in self._places

    def unweighed(self, finding: Finding) -> Finding:
        """A check's finding before the configuration weighed it: as the check declares it."""
        symbol = self._declared.get(finding.name) if finding.name in self._weights else None
        return finding if symbol is None else replace(finding, points=symbol.points)

    def judge(
        self,
        mail: Mail,
        facts: Facts,
        auth: Authentication,
        found: Sequence[Finding] = (),
        probability: float | None = None,
    ) -> list[Finding]:
        """What the rules find, given what checks found."""
        before = {finding.name: finding for finding in found if finding.name not in self.disabled}
        view = View(mail, facts, auth, before, probability)
        return self._completed(self._look(view), view)

    def judge_again(
        self,
        mail: Mail,
        facts: Facts,
        auth: Authentication,
        found: Sequence[Finding],
        kept: Mapping[str, str],
        anew: frozenset[str],
        probability: float | None = None,
    ) -> list[Finding]:
        """As `judge`, where `kept` says which rules hold, by name, with their evidence; only those of `anew` look."""
        before = {finding.name: finding for finding in found if finding.name not in self.disabled}
        view = View(mail, facts, auth, before, probability)
        findings: list[Finding] = []
        rules = [
            self.rules[place] for place in sorted(self._places[name] for name in {*kept, *anew} & self._places.keys())
        ]
        if any(rule.fields for rule in rules if rule.name in anew):
            view.seen.update(self.loaded.patterns.hits(view))
        for rule in rules:
            if rule.name in anew:
                self._ask(rule, view, findings)
            else:
                _note(rule, kept[rule.name], view, findings)
        return self._completed(findings, view)

    def _completed(self, findings: list[Finding], view: View) -> list[Finding]:
        findings += self.over_caps(findings)
        findings += [RULE_FAILED.found(f"field {name}: {why}") for name, why in view.failures.items()]
        return findings

    def _look(self, view: View) -> list[Finding]:
        findings: list[Finding] = []
        view.seen.update(self.loaded.patterns.hits(view))
        view.seen.update(_seen(self._signs, view))
        for index in self._candidates(view.seen):
            rule = self.rules[index]
            if view.lets(rule.guards):
                self._ask(rule, view, findings)
        return findings

    def _ask(self, rule: Rule, view: View, findings: list[Finding]) -> None:
        timeouts = len(view.timeouts)
        try:
            evidence = rule.holds(view)
        except Exception as error:  # noqa: BLE001  a rule that fails becomes a finding
            findings.append(RULE_FAILED.found(f"{rule.name}: {type(error).__name__}: {error}"))
            return
        if len(view.timeouts) > timeouts:
            findings.append(RULE_TIMEOUT.found(rule.name))
        if evidence is not None:
            _note(rule, evidence, view, findings)

    def _candidates(self, seen: Set[Clue]) -> list[int]:
        """Rules that may hold, in order: those that rest on no pattern, and those with a form in the mail."""
        indexes = set(self._by_sign)
        for clue in self._by_form.keys() & seen:
            indexes.update(self._by_form[clue])
        return sorted(indexes)

    def over_caps(self, findings: Sequence[Finding]) -> list[Finding]:
        """What is taken off because the rules of a group weigh more together than its cap."""
        together: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.points > 0 and (group := self._grouped.get(finding.name)):
                together.setdefault(group, []).append(finding)
        over = []
        for name, members in together.items():
            cap, points = self._caps[name], sum(finding.points for finding in members)
            if points > cap.cap:
                detail = ", ".join(finding.name for finding in members)
                over.append(Finding(cap.symbol.name, cap.cap - points, cap.about, detail, str(cap.place)))
        return over

    def forced(self, findings: Iterable[Finding]) -> tuple[str, str, str] | None:
        """The strictest action that a rule forces: (action, rule, reply text). A shadow forces none."""
        forcing = [
            (force, finding.name)
            for finding in findings
            if finding.points and (force := self._forcing.get(finding.name)) is not None
        ]
        if not forcing:
            return None
        force, name = max(forcing, key=lambda one: Action(one[0].action).strictness)
        return str(force.action), name, force.text

    def cases(self, rule: Rule, problems: list[Problem]) -> list[Case]:
        """The cases of a rule; what is wrong with them is added to `problems`."""
        place = rule.place
        cases = list(read_cases(place, self.loaded.folder(place)))
        problems += place.problems
        place.problems.clear()
        return cases

    def finds(self, rule: Rule, case: Case) -> bool:
        """Whether the rule, silent or not, finds this case."""
        found = {finding.name: finding for finding in case.found}
        view = View(case.mail, case.facts, case.auth, found, case.probability)
        self._look(view)
        return rule.name in view.found

    def test(self, names: frozenset[str] | None = None) -> tuple[int, list[Problem]]:
        """Run the cases of all rules, or of these: how many there were, and those that do not hold."""
        count, broken = 0, list[Problem]()
        for rule in self.rules:
            if names is not None and rule.name not in names:
                continue
            for case in self.cases(rule, broken):
                count += 1
                if self.finds(rule, case) != case.hits:
                    word = "does not hit, but should" if case.hits else "hits, but should not"
                    broken.append(Problem(case.place.file, case.place.line, f"{rule.name} {word}"))
        return count, broken


def _seen(signs: Iterable[tuple[str, Callable[[View], bool]]], view: View) -> list[str]:
    """The signs that are seen."""
    try:
        return [name for name, sees in signs if sees(view)]
    except Exception:  # noqa: BLE001  then each by itself
        return [name for name, sees in signs if _is_seen(sees, view)]


def _is_seen(sees: Callable[[View], bool], view: View) -> bool:
    """What cannot be told counts as seen: then the rule is asked, and its failure is its own."""
    try:
        return sees(view)
    except Exception:  # noqa: BLE001
        return True


def _note(rule: Rule, evidence: str, view: View, findings: list[Finding]) -> None:
    finding = view.found[rule.name] = rule.symbol.found(evidence)
    view.seen.add(rule.name)
    if not rule.silent:
        findings.append(finding)
