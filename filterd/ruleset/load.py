"""Loading: the shipped rules, then each folder of the site over them, to one set that is whole or refused.

In: the settings, and the symbols that checks declare. Out: `Loaded`, or RuleErrors with every problem of
every file at its file:line. A rule of the same name in a later folder replaces the earlier one; `disable`
and `scores` come last. Only `*.yaml` and `lists/*.txt` of those folders are read; a file that would be
ignored is a problem, not a surprise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from filterd.findings import Symbol, hundredths
from filterd.resources import shipped
from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.guards import Signs
from filterd.ruleset.lists import WordList, read_lists
from filterd.ruleset.operators import Context
from filterd.ruleset.patterns import Patterns
from filterd.ruleset.place import Place, RuleErrors, unknown
from filterd.ruleset.rule import (
    Group,
    Rule,
    cap_name,
    is_group,
    item_name,
    plain,
    read_group,
    read_rule,
    refuse_nameless,
)
from filterd.ruleset.settings import RulesSettings
from filterd.yamlfile import Document, DocumentError, Problem, read_document

_KNOWN_BESIDES = frozenset({"lists", "cases"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A set of rules that fits together. `rules` are in order: each after those that it asks about."""

    rules: tuple[Rule, ...]
    groups: dict[str, Group]
    lists: dict[str, WordList]
    patterns: Patterns
    context: Context
    replaced: dict[str, tuple[Place, ...]]  # by name: what a later folder replaced, the oldest first
    folders: tuple[tuple[Path, str], ...]  # path, and its name in messages
    hash: str

    def folder(self, place: Place) -> Path:
        """The folder of rules that a place is in."""
        path = next(path for path, name in self.folders if place.file.startswith(f"{name}/"))
        return path if path.is_dir() else path.parent


def load(settings: RulesSettings, extra: Sequence[Symbol]) -> Loaded:
    """Read everything; raises RuleErrors."""
    problems: list[Problem] = []
    folders = tuple(_folders(settings, problems))
    lists = read_lists(folders, problems)
    items, replaced = _overlay(folders, problems)
    context = Context(Patterns(), Signs(), lists, CATALOGUE)
    groups = {
        group.name: group for place in items.values() if is_group(place) and (group := read_group(place)) is not None
    }
    rules = {
        rule.name: rule
        for name, place in items.items()
        if not is_group(place) and (rule := read_rule(place, context, settings.scores.get(name))) is not None
    }
    declared = {symbol.name: symbol for symbol in extra}
    _check_names(items, rules, groups, context, declared, problems)
    _check_overlay(settings, {*items, *declared, *(cap_name(name) for name in groups)}, groups, problems)
    ordered = _ordered(rules, problems)
    if not problems:
        context.patterns.ready()
    if problems:
        raise RuleErrors(sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line)))
    return Loaded(ordered, groups, lists, context.patterns, context, replaced, folders, _hash(items, lists, settings))


def _folders(settings: RulesSettings, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """The folders there are, and how messages name them: the shipped one is `rules`."""
    if settings.shipped:
        yield shipped("rules"), "rules"
    for path in settings.paths:
        if path.is_dir():
            yield path, str(path)
        elif path.suffix == ".yaml" and path.is_file():
            yield path, str(path.parent)
        elif path.exists():
            problems.append(Problem(str(path), 0, "neither a folder of *.yaml files nor such a file"))


def _documents(folder: Path, shown: str, problems: list[Problem]) -> Iterator[Document]:
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    except OSError as error:
        problems.append(Problem(shown, 0, f"cannot be read: {error.strerror}"))
        return
    for path in (path for path in paths if not path.name.startswith(".")):
        name = f"{shown}/{path.name}"
        if path.suffix == ".yaml" and path.is_file():
            try:
                document = read_document(path)
            except DocumentError as error:
                problems += [Problem(name, problem.line, problem.text) for problem in error.problems]
                continue
            yield Document(name, document.data, document.lines)
        elif path.name not in _KNOWN_BESIDES and not path.name.startswith("README"):
            problems.append(
                Problem(name, 0, "would not be read: rules are in *.yaml, lists in lists/, cases in cases/")
            )


def _overlay(
    folders: Sequence[tuple[Path, str]], problems: list[Problem]
) -> tuple[dict[str, Place], dict[str, tuple[Place, ...]]]:
    """Every rule and group by name, the last folder's where there are several, and what was replaced."""
    items: dict[str, Place] = {}
    replaced: dict[str, tuple[Place, ...]] = {}
    for folder, shown in folders:
        here: dict[str, Place] = {}
        for document in _documents(folder, shown, problems):
            for place in _items(document, problems):
                name = item_name(place)
                if name is None:
                    refuse_nameless(place)
                elif name in here:
                    place.refuse(f"{name} is here twice; it is first at {here[name]}")
                else:
                    here[name] = place
        for name, place in here.items():
            if name in items:
                replaced[name] = (*replaced.get(name, ()), items[name])
            items[name] = place
    return items, replaced


def _items(document: Document, problems: list[Problem]) -> Iterator[Place]:
    root = Place(document, (), document.data, problems)
    if isinstance(root.data, list):
        yield from root.each()
    elif root.data:
        root.refuse("a rules file is a list of rules, each starting with `- name:`")


def _check_names(
    items: dict[str, Place],
    rules: dict[str, Rule],
    groups: dict[str, Group],
    context: Context,
    declared: dict[str, Symbol],
    problems: list[Problem],
) -> None:
    """Names that rules give, ask about and belong to."""
    caps = {cap_name(name) for name in groups}
    askable = {*(name for name, place in items.items() if not is_group(place)), *declared}
    for name, place in items.items():
        if name in declared or name in caps:
            place.refuse(f"{name} is the name of a check of filterd; choose another")
    for asked, place in context.asks:
        if asked in caps:
            place.refuse(f"{asked} is the cap of a group, which is known only after all rules")
        elif asked not in askable:
            place.refuse(unknown("rule or check", asked, askable))
    for rule in rules.values():
        if rule.group and rule.group not in groups and rule.group not in items:
            rule.place["group"].refuse(unknown("group", str(rule.group), groups))


def _check_overlay(settings: RulesSettings, names: set[str], groups: dict[str, Group], problems: list[Problem]) -> None:
    caps = {cap_name(name) for name in groups}
    for key, given in (("rules.disable", settings.disable), ("rules.scores", tuple(settings.scores))):
        for name in given:
            if name not in names:
                problems.append(Problem(key, 0, unknown("rule or check", name, names)))
            elif name in caps and key == "rules.scores":
                problems.append(Problem(key, 0, f"{name} is the cap of a group; its points follow from the cap"))


def _ordered(rules: dict[str, Rule], problems: list[Problem]) -> tuple[Rule, ...]:
    graph = {name: sorted(rule.asks & rules.keys()) for name, rule in rules.items()}
    try:
        return tuple(rules[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = error.args[1][::-1]
        rules[circle[0]].place.refuse("rules that ask about each other in a circle: " + " asks about ".join(circle))
        return ()


def _hash(items: dict[str, Place], lists: dict[str, WordList], settings: RulesSettings) -> str:
    """16 hex digits of all that judging depends on; not of comments, cases, or which file holds what."""
    content = {
        "items": {name: plain(place) for name, place in items.items()},
        "lists": {name: sorted(words.texts) for name, words in lists.items()},
        "disable": sorted(settings.disable),
        "scores": {name: hundredths(score) for name, score in settings.scores.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
