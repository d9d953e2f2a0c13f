"""Replay from where mail is kept: the store's records and messages, or a labelled corpus on a disk.

In: the sides to compare, and cases. Out: one `Seen` for each case, in no particular order. Nothing is written, nobody
is asked, and the service may run meanwhile. What cannot be judged is a `Seen` that says why.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from filterd.app.build import setup_of
from filterd.app.scan import Said, envelope_of
from filterd.config.model import Config
from filterd.decision import Action
from filterd.engine.loading import load_judge
from filterd.facts import NOTHING
from filterd.mail import Message
from filterd.record import Generation, Record
from filterd.replay import Flip, Side, Trial, as_recorded, fate, flip, judged_otherwise
from filterd.ruleset.again import Reach
from filterd.sources import Found, wire_form
from filterd.store import HistoryFilter, ItemState, QuarantineFilter, Store
from filterd.value import Value, replace
from filterd.wishes import Wishes

HAM, SPAM = "ham", "spam"
BATCH = 250  # cases that travel to a process at once


class Case(Value, kw_only=True):
    """One mail to judge again, with what was kept of it."""

    name: str  # the record's id, or the file
    record: Record | None = None
    label: str = ""  # HAM, SPAM, or nobody has said
    raw: bytes | None = None
    headers: bytes | None = None
    fresh: bool = False  # never judged: its record is only an envelope
    trouble: str = ""  # why there is no record


class Seen(Value, kw_only=True):
    """What came of one case. `skipped` says why it was not judged again; then nothing else counts."""

    name: str
    label: str = ""
    skipped: str = ""
    before: Action = Action.ACCEPT
    after: Action = Action.ACCEPT
    points_before: int = 0
    points_after: int = 0
    reach: Reach = Reach.RECORD  # what it was judged from
    missing: tuple[str, ...] = ()
    assumed: bool = False
    flip: Flip | None = None
    time: datetime | None = None  # of a flip: when, who and what
    sender: str = ""
    subject: str = ""


@dataclass(slots=True)
class Court:
    """Both sides, ready. `before` None is what was recorded."""

    before: Side | None
    after: Side
    whole: bool = False  # judge every message that is there, even where its record is enough

    @classmethod
    def of(
        cls,
        before: Config | None,
        after: Config,
        *,
        model: bool = False,
        whole: bool = False,
        listed: Sequence[str] = (),
    ) -> Court:
        """Raises RuleErrors and ModelError. `model`: the models of the two differ; `listed`: entries of the pages."""
        new = _side(after, listed, model=model)
        if before is None:
            return cls(None, new, whole)
        old = new if before == after else _side(before, listed)
        new.known = (old.judge.ruleset,)
        return cls(old, new, whole)

    def needs(self, record: Record) -> Reach:
        """How much of the message it takes to judge this record on both sides."""
        if self.whole:
            return Reach.MESSAGE
        return max(self.after.needs(record), self.before.needs(record) if self.before else Reach.RECORD)

    def try_(self, case: Case) -> Seen:
        """Judge one case."""
        if case.record is None:
            return Seen(name=case.name, skipped=case.trouble)
        record = case.record
        if case.fresh:
            record, before = self._first(case, record)
        elif why := judged_otherwise(record):
            return Seen(name=case.name, skipped=why)
        else:
            before = as_recorded(record) if self.before is None else self._best(self.before, record, case)
        after = before if self.after is self.before else self._best(self.after, record, case)
        return _seen(case, record, before, after)

    def _best(self, side: Side, record: Record, case: Case) -> Trial:
        if self.whole and case.raw is not None and not case.fresh:
            return side.whole(record, case.raw)
        return side.best(record, case.raw, case.headers)

    def _first(self, case: Case, record: Record) -> tuple[Record, Trial]:
        """The record that the first side makes of a message, with no answers of DNS."""
        side = self.before or self.after
        mail, inspection = side.judge.inspect(record.envelope, case.raw or b"")
        judged = side.judge.judge(mail, NOTHING)
        model = side.judge.model.id if side.judge.model else ""
        record = replace(
            record,
            origin=mail.origin,
            outline=inspection.outline,
            auth=judged.auth,
            verdict=judged.verdict,
            opinion=judged.opinion,
            generation=Generation(ruleset=side.judge.ruleset.hash, model=model),
        )
        record = replace(record, decisions=side.decided(record))
        return record, Trial(verdict=judged.verdict, decisions=record.decisions, reach=Reach.MESSAGE)


def _side(config: Config, listed: Sequence[str], *, model: bool = False) -> Side:
    wishes, policies = Wishes(dmarc=config.dmarc, greylist=config.greylist), config.all_policies
    policies = policies.model_copy(update={"access": (*policies.access, *listed)})
    return Side(load_judge(setup_of(config)), policies, model=model, wishes=wishes)


def _seen(case: Case, record: Record, before: Trial, after: Trial) -> Seen:
    flipped = flip(before, after)
    seen = Seen(
        name=case.name,
        label=case.label,
        before=fate(before),
        after=fate(after),
        points_before=flipped.points_before if flipped else before.points,
        points_after=flipped.points_after if flipped else after.points,
        reach=Reach.MESSAGE if case.fresh else max(before.reach, after.reach),
        missing=tuple(dict.fromkeys((*before.missing, *after.missing))),
        assumed=before.assumed or after.assumed,
        flip=flipped,
    )
    if flipped is None:
        return seen
    envelope, outline = record.envelope, record.outline
    return replace(seen, time=envelope.received_at, sender=envelope.sender, subject=outline.subject)


def stored(store: Store, court: Court, since: datetime | None, until: datetime | None = None) -> Iterator[Case]:
    """Every record of that time, newest first, with what was kept of its message where that is needed.

    What people said about a message is its label; one that somebody released from the quarantine is taken for wanted.
    """
    everything = QuarantineFilter(states=tuple(ItemState), since=since)
    held: dict[str, str] = {}
    released: set[str] = set()
    for item in store.quarantine.each(everything):
        if item.stored:
            held[item.record] = item.id
        if item.state is ItemState.RELEASED:
            released.add(item.record)
    said = {label.digest: SPAM if label.spam else HAM for _, label in store.labels.read()}
    rows = store.history.each(HistoryFilter(since=since, until=until))
    while some := [row.id for row in itertools.islice(rows, BATCH)]:
        records = store.history.several(some)
        for id_ in some:
            if (record := records.get(id_)) is None:
                yield Case(name=id_, trouble="unreadable")
                continue
            label = said.get(record.outline.identity, HAM if id_ in released else "")
            raw = headers = None
            if court.needs(record) is not Reach.RECORD:
                raw = store.history.raw(id_)
                if raw is None and id_ in held:
                    raw = store.quarantine.raw(held[id_])
                headers = store.history.headers(id_) if raw is None else None
            yield Case(name=id_, record=record, label=label, raw=raw, headers=headers)


def labelled(index: Path, config: Config) -> Iterator[Case]:
    """The messages of a corpus: each line of `index` is `spam` or `ham` and a path, from the folder of the index.

    Raises ValueError for a line that is something else, OSError when the index itself cannot be read.
    """
    for number, line in enumerate(index_lines(index), 1):
        if not line.strip():
            continue
        label, _, name = line.strip().partition(" ")
        if label.lower() not in (HAM, SPAM) or not name:
            raise ValueError(f"{index}:{number}: a line is `spam PATH` or `ham PATH`")
        try:
            raw = wire_form((index.parent / name).read_bytes())
        except OSError:
            yield Case(name=name, trouble="unreadable")
            continue
        message = Message(raw)
        arrived = message.received[0].date if message.received else None
        envelope = envelope_of(Found(name, raw), Said(received_at=arrived or message.date), config.domains)
        record = Record(id=envelope.id, envelope=envelope, origin=envelope.client)
        yield Case(name=name, record=record, label=label.lower(), raw=raw, fresh=True)


def index_lines(index: Path) -> list[str]:
    """Raises ValueError when it is no text, OSError when it cannot be read."""
    try:
        return index.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{index}: this is no text; a line is `spam PATH` or `ham PATH`") from None


def judged(court: Court, cases: Iterable[Case]) -> Iterator[Seen]:
    """Each case judged, here."""
    return map(court.try_, cases)


@dataclass(frozen=True, slots=True)
class Brief:
    """What another process needs to set up the same court."""

    before: Config | None
    after: Config
    model: bool
    whole: bool
    listed: tuple[str, ...] = ()  # what people said of senders on the pages

    def court(self) -> Court:
        return Court.of(self.before, self.after, model=self.model, whole=self.whole, listed=self.listed)


def judged_by(jobs: int, brief: Brief, cases: Iterable[Case]) -> Iterator[Seen]:
    """Each case judged, by so many processes."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _set_up, (brief,)) as pool:
        waiting: deque[Future[list[Seen]]] = deque()
        source = iter(cases)
        while some := list(itertools.islice(source, BATCH)):
            waiting.append(pool.submit(_try_all, some))
            if len(waiting) > 2 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


_court: Court


def _set_up(brief: Brief) -> None:
    global _court
    _court = brief.court()


def _try_all(cases: list[Case]) -> list[Seen]:
    return [_court.try_(case) for case in cases]
