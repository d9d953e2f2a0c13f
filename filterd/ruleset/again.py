"""Again: how much of a mail it takes to ask changed rules about it when only its record is left. Pure.

In: the set under which a record was made, and the set that judges now. Out: a `Plan`: the rules whose stored answer
still holds, the rules that must look again, and what each of those needs: the record alone (envelope, facts,
authentication, other findings), the header block, or the whole message.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from filterd.ruleset.rule import Rule
from filterd.ruleset.ruleset import Ruleset


class Reach(enum.IntEnum):
    """How much of a mail something needs."""

    RECORD = 0
    HEADERS = 1
    MESSAGE = 2


_ENVELOPE = {"mail_from", "rcpt", "client", "direction", "listener", "user", "tls", "protocol", "parameters", "time"}
_ANSWERS = {"spf", "dkim", "dmarc", "arc", "iprev", "vouched", "listing", "remembered", "program", "probability"}
_ADDRESSES = {"author", "from", "sender", "reply_to", "to", "cc"}
_HEADERS = {"header", "raw", "headers", "header_names", "subject", "message_id", "date", "received"}


def reach_of(field: str) -> Reach:
    """What it takes to read the field, or thing such as `link`, of that name."""
    head = field.partition(".")[0]
    if head in _ENVELOPE | _ANSWERS:
        return Reach.RECORD
    return Reach.HEADERS if head in _HEADERS | _ADDRESSES else Reach.MESSAGE


@dataclass(frozen=True, slots=True)
class Plan:
    """How records of one set are judged by another."""

    rules: tuple[Rule, ...]  # those in force now, each after those that it asks about
    changed: frozenset[str]  # rules that ask something else than then, or are new
    gone: frozenset[str]  # rules and checks that counted then and do not now
    checks: frozenset[str] = frozenset()  # symbols of checks that count now and were not recorded then
    free: frozenset[str] = frozenset()  # unchanged, but answered by the record alone
    assumed: bool = False  # the old set is not here; another stands for it
    _known: dict[frozenset[str], dict[str, Reach]] = field(default_factory=dict)

    def anew(self, hits: Iterable[str]) -> Mapping[str, Reach]:
        """The rules that must look again at a record with these findings, and what each needs for that.

        Those that changed; those that ask about one that changed, or about a finding that is there no more; and the
        silent ones that they ask, whose answers no record holds. The stored answer of every other rule stands.
        """
        lost = self.gone.intersection(hits)
        if lost not in self._known:
            self._known[lost] = self._anew(lost)
        return self._known[lost]

    def _anew(self, lost: frozenset[str]) -> dict[str, Reach]:
        again = set(self.changed | lost)
        for rule in self.rules:
            if rule.asks & again:
                again.add(rule.name)
        silent = {rule.name for rule in self.rules if rule.silent}
        wanted = ({rule.name for rule in self.rules} & again | self.free) - silent
        for rule in reversed(self.rules):  # each before those that it asks about
            if rule.name in wanted:
                wanted |= rule.asks & silent
        needed: dict[str, Reach] = {}
        for rule in self.rules:
            if rule.name in wanted:
                others = (needed[name] for name in rule.asks if name in needed)
                needed[rule.name] = max((*map(reach_of, rule.fields), *others), default=Reach.RECORD)
        return needed

    def needs(self, hits: Iterable[str]) -> Reach:
        """What it takes to judge a record with these findings exactly."""
        return Reach.MESSAGE if self.checks else max(self.anew(hits).values(), default=Reach.RECORD)


def plan(was: Ruleset, now: Ruleset, *, assumed: bool = False) -> Plan:
    """How `now` judges what `was` has judged. `assumed`: `was` only stands for a set that is not here any more.

    Then every rule that the record alone can answer looks again.
    """
    old, new = _questions(was), _questions(now)
    names = {rule.name for rule in now.rules}
    return Plan(
        now.rules,
        changed=frozenset(name for name in names if old.get(name) != new[name]),
        gone=frozenset(old.keys() - names | now.disabled - was.disabled),
        checks=was.disabled - now.disabled - names,
        free=_answered_by_record(now) if assumed else frozenset(),
        assumed=assumed,
    )


def _answered_by_record(ruleset: Ruleset) -> frozenset[str]:
    """The rules that ask, with all that they ask about, nothing of the message itself."""
    rules = {rule.name for rule in ruleset.rules}
    free: set[str] = set()
    for rule in ruleset.rules:
        if all(reach_of(name) is Reach.RECORD for name in rule.fields) and rule.asks & rules <= free:
            free.add(rule.name)
    return frozenset(free)


def _questions(ruleset: Ruleset) -> dict[str, str]:
    """What each rule asks, with the content of its lists, in a form that compares."""
    lists = {name: sorted(words.texts) for name, words in ruleset.loaded.lists.items()}
    asked = {}
    for rule in ruleset.rules:
        data = [rule.place.data.get(key) for key in ("when", "applies", "backtracking")]
        used = {text: lists[text] for text in _texts(data) if text in lists}
        asked[rule.name] = json.dumps([data, used, rule.silent], sort_keys=True, default=str)
    return asked


def _texts(data: Any) -> set[str]:
    if isinstance(data, str):
        return {data}
    if isinstance(data, dict):
        return set().union(*map(_texts, data.values()))
    if isinstance(data, list):
        return set().union(*map(_texts, data))
    return set()
