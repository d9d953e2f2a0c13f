"""Preflight: what the service would refuse although each setting is right, and what is doubtful, with file and line.

In: a configuration that was loaded. Out: problems. Reads the rules that it names; asks no network, changes nothing.
"""

from __future__ import annotations

import datetime

from filterd.access import parse_entry
from filterd.config.load import Loaded
from filterd.doubts import doubts
from filterd.engine.loading import builtin_symbols, unknown_rules
from filterd.ruleset import Ruleset
from filterd.ruleset.place import RuleErrors
from filterd.yamlfile import Key, Problem, dotted


def refused(loaded: Loaded) -> list[Problem]:
    """What is wrong with the rules, and with the names of rules in the configuration."""
    config = loaded.config
    try:
        ruleset = Ruleset.load(config.rules, builtin_symbols(config.site))
    except RuleErrors as error:
        return [placed(loaded, problem) for problem in error.problems]
    wrong = unknown_rules(config.all_policies, ruleset)
    return [_named(loaded, ("policies", position, "rules_off"), text) for position, text in wrong]


def doubtful(loaded: Loaded, today: datetime.date | None) -> list[Problem]:
    """Folders of rules that are not there; entries of `access` that can never matter, or let in more than was meant."""
    return [*_missing_folders(loaded), *_doubtful_access(loaded, today)]


def _missing_folders(loaded: Loaded) -> list[Problem]:
    """Of those that the configuration names; the folder that is looked into without being named may be missing."""
    rules = loaded.document.data.get("rules") if loaded.document else None
    paths = loaded.config.rules.paths if isinstance(rules, dict) and "paths" in rules else ()
    return [
        _named(loaded, ("rules", "paths"), f"there is no {path}, so no rule is read there")
        for path in paths
        if not path.exists()
    ]


def _doubtful_access(loaded: Loaded, today: datetime.date | None) -> list[Problem]:
    policies = loaded.config.all_policies
    lines = [(number, line) for number, line in enumerate(policies.access) if line.partition("#")[0].strip()]
    entries = [parse_entry(line) for _, line in lines]
    return [
        _access_problem(loaded, lines[position][0], text) for position, text in doubts(entries, policies.shared, today)
    ]


def _access_problem(loaded: Loaded, number: int, text: str) -> Problem:
    given = loaded.document.data.get("access") if loaded.document else None
    if isinstance(given, str):
        return Problem(given, number + 1, text)
    file = loaded.document.file if loaded.document else "access"
    return Problem(file, loaded.document.line(("access", number)) if loaded.document else 0, text)


def placed(loaded: Loaded, problem: Problem) -> Problem:
    """A problem with a setting of `rules` that Ruleset names by its key, where the setting stands."""
    key = tuple(problem.file.split("."))
    return _named(loaded, key, problem.text) if key[0] == "rules" and len(key) == 2 and not problem.line else problem


def _named(loaded: Loaded, key: Key, text: str) -> Problem:
    if loaded.document is None:
        return Problem(dotted(key), 0, text)
    return Problem(loaded.document.file, loaded.document.line(key), f"{dotted(key)}: {text}")
