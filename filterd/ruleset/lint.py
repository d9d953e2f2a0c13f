"""Lint: what is wrong or doubtful about a set of rules, each with file:line, before it goes live.

In: the settings, the symbols of checks, the tag threshold. Out: problems, none when all is well. What makes a
set unusable (the service refuses it too) stands alone; a set that loads is looked at for rules that cannot
fire, rules that decide alone without saying so, list entries without effect, and cases that do not hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from filterd.findings import Symbol, hundredths
from filterd.ruleset.lists import shadowed, shadowed_as
from filterd.ruleset.place import RuleErrors
from filterd.ruleset.rule import Rule
from filterd.ruleset.ruleset import Ruleset
from filterd.ruleset.settings import RulesSettings
from filterd.yamlfile import Problem


def lint(settings: RulesSettings, extra: Iterable[Symbol] = (), tag: float = 5.0) -> list[Problem]:
    """Every problem of the set that these settings name, in the order of files and lines."""
    try:
        ruleset = Ruleset.load(settings, extra)
    except RuleErrors as error:
        return error.problems
    problems = [*_heavy(ruleset, settings.scores, hundredths(tag)), *_idle(ruleset), *_twins(ruleset), *_lists(ruleset)]
    problems += ruleset.test()[1]
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def _problem(rule: Rule, text: str) -> Problem:
    return Problem(rule.place.file, rule.place.line, f"{rule.name} {text}")


def _heavy(ruleset: Ruleset, scores: Mapping[str, float], tag: int) -> Iterator[Problem]:
    """Rules, and checks with a score of the site, that decide alone without saying so."""
    for rule in ruleset.rules:
        if rule.symbol.points >= tag and not rule.symbol.decisive:
            yield _problem(rule, f"alone reaches the tag threshold, {tag / 100:g}; lower its score or mark it decisive")
    rules = {rule.name for rule in ruleset.rules}
    for symbol in ruleset.symbols:
        score = scores.get(symbol.name, 0.0)
        if symbol.name not in rules and hundredths(score) >= tag and not symbol.decisive:
            yield Problem("rules.scores", 0, f"{symbol.name} alone reaches the tag threshold, {tag / 100:g}")


def _idle(ruleset: Ruleset) -> Iterator[Problem]:
    """Rules that cannot fire, marks without use, groups without rules."""
    for rule in ruleset.rules:
        if gone := sorted(rule.asks & ruleset.disabled):
            yield _problem(rule, f"asks about {', '.join(gone)}, which is disabled")
        if frozenset() in rule.guards:
            yield _problem(rule, "can never fire")
        if rule.place.data.get("backtracking") and not _needs_backtracking(ruleset, rule):
            yield _problem(rule, "is marked backtracking, but all its patterns are linear")
    used = {rule.group for rule in ruleset.rules}
    for group in ruleset.loaded.groups.values():
        if group.name not in used:
            yield Problem(group.place.file, group.place.line, f"no rule is in the group {group.name}")


def _needs_backtracking(ruleset: Ruleset, rule: Rule) -> bool:
    written = json.dumps(rule.place.data.get("when"), ensure_ascii=False)
    return any(json.dumps(text, ensure_ascii=False)[1:-1] in written for text in ruleset.loaded.patterns.slow)


def _twins(ruleset: Ruleset) -> Iterator[Problem]:
    """Rules that ask the very same."""
    seen: dict[str, Rule] = {}
    for rule in ruleset.rules:
        asked = json.dumps([rule.place.data.get("when"), rule.place.data.get("applies")], sort_keys=True)
        first = seen.setdefault(asked, rule)
        if first is not rule:
            yield _problem(rule, f"asks the same as {first.name}, at {first.place}")


def _lists(ruleset: Ruleset) -> Iterator[Problem]:
    used = ruleset.loaded.context.used_lists
    for words in ruleset.loaded.lists.values():
        if words.name not in used:
            yield Problem(words.files[-1], 0, f"no rule uses the list {words.name}")
        elif not words.entries:
            yield Problem(words.files[-1], 0, f"nothing is on the list {words.name}")
        within = [shadowed_as(words, kind) for kind in used.get(words.name, ())]
        nowhere = (one for one in words.entries if within and all(one in found for found in within))
        for entry, by in [*shadowed(words), *((one, within[0][one]) for one in nowhere)]:
            yield Problem(entry.file, entry.line, f"{entry.text} has no effect: {by} is on the list")
