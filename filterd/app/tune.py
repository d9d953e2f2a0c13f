"""Tune: what rules found in labelled mail, as evidence for fitting their scores; and what came of it.

In: labelled messages, or records of the store that people judged; the configuration. Out: a `Tuning`, which has a row
for each rule and check that found something, the counts before and after on messages that a fit had not seen, and the
overlay to review. Nothing is written or changed, and nobody is asked: messages are judged without answers of DNS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.app.build import setup_of
from filterd.app.replay import SPAM, Case, Court
from filterd.app.scan import Said, envelope_of
from filterd.classifier.shards import in_shards
from filterd.config.model import Config
from filterd.engine.loading import load_judge
from filterd.engine.wire import Setup
from filterd.facts import NOTHING
from filterd.findings import Finding
from filterd.judge import DMARC_CAP, LEARNT_CAP, LEARNT_HAM, LEARNT_SPAM, Judge
from filterd.learning.labelled import Labelled
from filterd.record import Opinion
from filterd.ruleset import Ruleset
from filterd.ruleset.place import unknown
from filterd.ruleset.rule import cap_name
from filterd.sources import Found
from filterd.value import Value

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_LEARNT = frozenset(symbol.name for symbol in (LEARNT_SPAM, LEARNT_HAM, LEARNT_CAP))
_RECORDS = "history"
_LEAST = 0.1  # points that a rule which decides nothing alone stays under the threshold


class Heard(Value):
    """What was found in one message, in hundredths, by name."""

    spam: bool
    source: str
    points: dict[str, int]


class Row(Value, kw_only=True):
    """One rule or check: how often it was right, what it says again, what it weighs and should."""

    name: str
    spam: int
    ham: int
    spam_share: float
    ham_share: float
    s_o: float  # of a mail that it finds, were both classes alike
    twin: str = ""  # the rule whose hits are most like its own
    overlap: float = 0.0  # hits of both, of the hits of either
    before: float
    after: float
    tuned: bool  # False: decisive, forced, a shadow, or not of one weight


Rows = tuple[Row, ...]


class Counted(Value):
    """How a set of scores did on messages."""

    ham: int
    spam: int
    ham_tagged: int
    spam_tagged: int
    ham_quarantined: int
    spam_quarantined: int


class Tuning(Value, kw_only=True):
    """What came of it. `after` is of messages that the fit had not seen."""

    rate: float
    tag: float
    rows: Rows
    before: Counted
    after: Counted

    @property
    def scores(self) -> dict[str, float]:
        """The scores that would change, by name."""
        return {row.name: row.after for row in self.rows if row.after != row.before}


def heard(messages: Iterable[Labelled], config: Config, jobs: int = 1, *, alone: bool = True) -> Iterator[Heard]:
    """What is found in each message; `alone`: without the classifier. Order is that of the messages."""
    work = partial(_hear, setup=setup_of(config), domains=tuple(config.domains), alone=alone)
    for part in in_shards(messages, work, jobs):
        yield from part


def recalled(court: Court, cases: Iterable[Case], *, alone: bool = True) -> Iterator[Heard]:
    """The same from records that are labelled, by the rules as they are now."""
    for case in cases:
        if case.record is not None and case.label:
            found = court.after.best(case.record, case.raw, case.headers).verdict.findings
            yield _heard(case.label == SPAM, _RECORDS, found, alone)


@lru_cache(maxsize=1)
def _judge(setup: Setup) -> Judge:
    return load_judge(setup)


def _hear(messages: list[Labelled], setup: Setup, domains: tuple[str, ...], alone: bool) -> list[Heard]:
    judge = _judge(setup)
    return [_hear_one(one, judge, domains, alone) for one in messages]


def _hear_one(one: Labelled, judge: Judge, domains: Sequence[str], alone: bool) -> Heard:
    mail, _ = judge.inspect(envelope_of(Found(one.path, one.raw), Said(), domains), one.raw)
    verdict = judge.judge(mail, NOTHING, opinion=Opinion() if alone else None).verdict
    return _heard(one.spam, PurePath(one.path).parent.name, verdict.findings, alone)


def _heard(spam: bool, source: str, findings: Iterable[Finding], alone: bool) -> Heard:
    points: dict[str, int] = {}
    for one in findings:
        if one.name == DMARC_CAP.name or (alone and one.name in _LEARNT):
            continue
        points[one.name] = points.get(one.name, 0) + one.points
    return Heard(spam, source, points)


@dataclass(frozen=True, slots=True)
class _Weight:
    """One rule's score and how far it may go."""

    start: float
    low: float
    high: float

    @property
    def tuned(self) -> bool:
        return self.low < self.high


def tuning(messages: Sequence[Heard], config: Config, rate: float, only: Collection[str] = ()) -> Tuning:
    """Fit, where `only` names rules these alone; raises ValueError when a class is missing or a name unknown."""
    from filterd.classifier.fit import balance
    from filterd.classifier.tuning import Evidence, Group, tune

    ruleset = _judge(setup_of(config)).ruleset
    tag, quarantine = (one / 100 for one in (setup_of(config).tag_at, setup_of(config).quarantine_at))
    declared = {symbol.name for symbol in ruleset.symbols}
    for name in only:
        if name not in declared:
            raise ValueError(unknown("rule or check", name, declared))
    weights = _weights(messages, ruleset, tag, frozenset(only))
    names = sorted(weights)
    hits, fixed = _matrix(messages, names, ruleset)
    spam = np.array([one.spam for one in messages], dtype=bool)
    if not len(spam) or spam.all() or not spam.any():
        raise ValueError("tuning needs both ham and spam")
    chosen = [weights[name] for name in names]
    evidence = Evidence(
        hits,
        spam,
        balance(spam, np.array([one.source for one in messages], dtype=str)),
        fixed,
        start=np.array([one.start for one in chosen]),
        low=np.array([one.low for one in chosen]),
        high=np.array([one.high for one in chosen]),
        threshold=tag,
        groups=[Group(members, cap) for members, cap in _groups(names, ruleset)],
    )
    tuned = tune(evidence, rate)
    return Tuning(
        rate=rate,
        tag=tag,
        rows=_rows(names, weights, hits, spam, tuned.scores),
        before=_counted(spam, evidence.points(evidence.start), tag, quarantine),
        after=_counted(spam, tuned.unseen, tag, quarantine),
    )


def _weights(messages: Sequence[Heard], ruleset: Ruleset, tag: float, only: frozenset[str]) -> dict[str, _Weight]:
    """Everything that was always found with one weight; where that is not its own to change, it stays as it is."""
    seen: dict[str, set[int]] = {}
    for one in messages:
        for name, points in one.points.items():
            seen.setdefault(name, set()).add(points)
    forcing = {rule.name for rule in ruleset.rules if rule.force is not None}
    weights = {}
    for symbol in ruleset.symbols:
        found = seen.get(symbol.name, set())
        if len(found) != 1 or symbol.name in _caps(ruleset):
            continue
        start = found.pop() / 100
        weight = ruleset.weight(symbol.name)
        own = start == (symbol.score if weight is None else weight / 100)
        wanted = symbol.name in only if only else symbol.name not in _LEARNT
        free = start and own and wanted and not symbol.decisive and symbol.name not in forcing
        weights[symbol.name] = _bounds(start, tag) if free else _Weight(start, start, start)
    return weights


def _caps(ruleset: Ruleset) -> frozenset[str]:
    """The findings that only follow from others."""
    return frozenset(map(cap_name, ruleset.loaded.groups))


def _bounds(start: float, tag: float) -> _Weight:
    """A score keeps its sign. What takes points off can be forged by who knows it, so it never grows."""
    return _Weight(start, 0.0, max(start, tag - _LEAST)) if start > 0 else _Weight(start, start, 0.0)


def _matrix(messages: Sequence[Heard], names: Sequence[str], ruleset: Ruleset) -> tuple[Any, Floats]:
    from scipy.sparse import csr_matrix

    columns = {name: place for place, name in enumerate(names)}
    caps = _caps(ruleset)
    rows, places, fixed = [], [], np.zeros(len(messages))
    for row, one in enumerate(messages):
        for name, points in one.points.items():
            if name in columns:
                rows.append(row)
                places.append(columns[name])
            elif name not in caps:
                fixed[row] += points / 100
    return csr_matrix((np.ones(len(rows)), (rows, places)), shape=(len(messages), len(names))), fixed


def _groups(names: Sequence[str], ruleset: Ruleset) -> Iterator[tuple[NDArray[np.int64], float]]:
    groups = {rule.name: rule.group for rule in ruleset.rules}
    for group in ruleset.loaded.groups.values():
        members = [place for place, name in enumerate(names) if groups.get(name) == group.name]
        if members and group.symbol.name not in ruleset.disabled:
            yield np.array(members), group.cap / 100


def _rows(
    names: Sequence[str],
    weights: dict[str, _Weight],
    hits: object,
    spam: NDArray[np.bool_],
    scores: NDArray[np.float64],
) -> tuple[Row, ...]:
    together = np.asarray((hits.T @ hits).todense())  # type: ignore[attr-defined]
    alone = together.diagonal()
    in_spam = np.asarray(hits.T @ spam.astype(float))  # type: ignore[attr-defined]
    rows = []
    for place, name in enumerate(names):
        either = np.maximum(alone + alone[place] - together[place], 1)
        like = np.where(np.arange(len(names)) == place, 0.0, together[place] / either)
        twin = int(like.argmax())
        of_spam, of_ham = int(in_spam[place]), int(alone[place] - in_spam[place])
        share, wrong = of_spam / int(spam.sum()), of_ham / int((~spam).sum())
        rows.append(
            Row(
                name=name,
                spam=of_spam,
                ham=of_ham,
                spam_share=round(share, 6),
                ham_share=round(wrong, 6),
                s_o=round(share / (share + wrong), 4),
                twin=names[twin] if like[twin] > 0 else "",
                overlap=round(float(like[twin]), 4),
                before=weights[name].start,
                after=round(float(scores[place]), 2),
                tuned=weights[name].tuned,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.spam - row.ham, row.name)))


def _counted(spam: Booleans, points: Floats, tag: float, quarantine: float) -> Counted:
    exact = np.round(points, 2)
    return Counted(
        int((~spam).sum()),
        int(spam.sum()),
        *(int((exact[of] >= threshold).sum()) for threshold in (tag, quarantine) for of in (~spam, spam)),
    )
