"""What is wrong about policies that each of them alone cannot know: names, listeners, thresholds, and who comes first.

In: a Config that is valid key by key. Out: (key, sentence) for each. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from filterd.config.model import Config
from filterd.mail.envelope import Direction
from filterd.policies import Groups, PolicySettings, conditions_of, is_listener
from filterd.yamlfile import Key, dotted

Contradiction = tuple[Key, str]


def policy_contradictions(config: Config) -> Iterator[Contradiction]:
    """Everything about groups and policies that does not fit together."""
    for name, members in config.groups.items():
        if not members:
            yield ("groups", name), f"the group {name} has no members"
    for position, policy in enumerate(config.policies):
        key: Key = ("policies", position)
        yield from _names(key, policy, config)
        yield from _thresholds(key, policy, config)
        yield from _hidden(key, policy, config.policies[:position], config.groups)


def _names(key: Key, policy: PolicySettings, config: Config) -> Iterator[Contradiction]:
    """The names that it gives and uses."""
    for place, name in enumerate(policy.groups):
        if name not in config.groups:
            yield (*key, "groups", place), f"there is no group {name}{near(name, config.groups)}"
    doors = [f"{one.protocol} {address}" for one in config.listeners for address in one.listen]
    if policy.listener is not None and doors and not any(is_listener(policy.listener, door) for door in doors):
        yield (*key, "listener"), f"there is no listener {policy.listener}{near(policy.listener, _addresses(doors))}"
    if policy.direction in (Direction.INBOUND, Direction.INTERNAL) and config.domains:
        for kind in ("recipients", "domains"):
            for place, pattern in enumerate(getattr(policy, kind)):
                domain = pattern.rpartition("@")[2]
                if not any(fnmatchcase(ours, domain) for ours in config.domains):
                    text = f"{domain} is none of our domains{near(domain, config.domains)}"
                    yield (*key, kind, place), text


def _addresses(doors: Iterable[str]) -> list[str]:
    return [door.partition(" ")[2] for door in doors]


def _thresholds(key: Key, policy: PolicySettings, config: Config) -> Iterator[Contradiction]:
    try:
        policy.thresholds.over(config.thresholds)
    except ValueError:
        site = config.thresholds
        steps = {name: getattr(site, name) if value == "site" else value for name, value in policy.thresholds}
        shown = ", ".join(f"{name} {'never' if value is None else f'{value:g}'}" for name, value in steps.items())
        text = f"thresholds must rise from tag over quarantine to reject; with the site's these are {shown}"
        yield (*key, "thresholds"), text


def _hidden(
    key: Key, policy: PolicySettings, earlier: Sequence[PolicySettings], groups: Groups
) -> Iterator[Contradiction]:
    """A policy that can never apply is a setting that would be ignored."""
    for position, first in enumerate(earlier):
        if first.name == policy.name:
            yield (*key, "name"), f"{policy.name} is already the name of policies[{position}]"
        if _takes_all(first, policy, groups):
            text = f"{dotted(key)} ({policy.name}) can never apply: policies[{position}] ({first.name}) before it "
            yield key, f"{text}covers everybody whom it covers"
            return


def _takes_all(first: PolicySettings, later: PolicySettings, groups: Groups) -> bool:
    """Does `first` cover whatever `later` covers?"""
    if first.direction not in (None, later.direction) or first.listener not in (None, later.listener):
        return False
    asked = conditions_of(later, groups)
    return all(any(_within(mine, wide) for mine in asked) for wide in conditions_of(first, groups))


def _within(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    """Does whatever fits a pattern of `narrow` fit one of `wide`?"""
    return bool(narrow) and all(any(_is_within(one, other) for other in wide) for one in narrow)


def _is_within(narrow: str, wide: str) -> bool:
    if "@" not in wide:  # a domain
        narrow = narrow.rpartition("@")[2]
    elif "@" not in narrow:
        narrow = f"*@{narrow}"
    # A `*` in the narrow one must not be taken for the single character that `?` or `[...]` stands for.
    return narrow == wide or ("?" not in wide and "[" not in wide and fnmatchcase(narrow, wide))


def near(word: str, names: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing."""
    found = get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""
