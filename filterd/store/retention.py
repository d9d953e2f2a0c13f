"""Retention: what is too old, or too much, goes; in small bites, so that nobody waits for long.

`expire` works for about as long as its budget and says what went and whether there is more. Each bite is a
transaction of its own. A body goes with the last item or record that needs it. Nothing younger than its age
limit ever goes by age: see `schema` on keys.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, delete, exists, select, true, update

from filterd.store import rows, totals
from filterd.store.database import Database
from filterd.store.memory_tables import said, senders, texts
from filterd.store.schema import audit, bodies, delivered, items, marks, record_data, records, tallies
from filterd.store.settings import RetentionSettings
from filterd.store.suggestion_tables import suggestions
from filterd.store.words import ItemState, QuarantineClass
from filterd.value import Value

BITE = 100  # items in one transaction
RECORDS = 200
PAGES = 2_000  # free pages that go back to the file system in one transaction
DELETED_KEPT = 3600.0  # seconds that the body of a deleted item can still be asked back
AUDIT_KEPT = 400 * 86_400_000  # ms
TALLIES_KEPT = 3 * 366 * 24  # hours
_HOUR = 3_600_000


class Expired(Value):
    """What went, and whether there is more to do."""

    items: int = 0
    records: int = 0
    bodies: int = 0
    pages: int = 0
    more: bool = False


def expire(database: Database, settings: RetentionSettings, now: int, budget: float, grace: float) -> Expired:
    """See the module. `now` in milliseconds, `budget` and `grace` in seconds."""
    ends = time.monotonic() + budget
    went: Counter[str] = Counter()
    for name, bite in _Expiry(database, settings, now, grace).bites():
        took = 1
        while took:
            started = time.monotonic()
            with database.write() as connection:
                took, freed = bite(connection)
            went[name] += took
            went["bodies"] += freed
            if took and time.monotonic() >= ends:
                return Expired(went["items"], went["records"], went["bodies"], went["pages"], True)
            time.sleep(min(0.02, time.monotonic() - started) if took else 0)
    return Expired(went["items"], went["records"], went["bodies"], went["pages"])


class _Expiry:
    """What retention asks for at one moment. A bite takes a little and says what: (rows, bodies freed)."""

    def __init__(self, database: Database, settings: RetentionSettings, now: int, grace: float) -> None:
        self._database = database
        self._dialect = database.dialect
        self._settings = settings
        self._now = now
        self._deleted_before = now - int(grace * 1000)

    def bites(self) -> Iterator[tuple[str, Bite]]:
        """Everything that can go, in order, and under which name its rows are counted, if they are.

        What there is too much of is looked up once, when its turn comes.
        """
        for klass in QuarantineClass:
            cutoff = self._key(self._settings.age(klass))
            for opened in (1, 0):
                yield "items", self._older(klass, opened, cutoff)
            if own := self._settings.classes.get(klass):
                yield from self._over([klass], own.count, own.size)
        yield from self._over(list(QuarantineClass), None, self._settings.size)
        yield "", self._deleted_bodies
        old = records.c.key < self._key(self._settings.history)
        yield "records", lambda connection: self._old_records(connection, old, RECORDS)
        if self._settings.records is not None:
            yield "records", self._surplus_records(self._settings.records)
        yield "", self._kept_messages
        yield "", self._forgotten(senders.c.key, senders.c.last, self._settings.senders)
        yield "", self._forgotten(texts.c.band, texts.c.last, self._settings.texts)
        yield "", self._forgotten(said.c.digest, said.c.time, self._settings.senders)
        yield "", self._forgotten(suggestions.c.key, suggestions.c.time, self._settings.suggestions)
        yield "", self._small_things
        yield "pages", lambda connection: (self._dialect.give_back(connection, PAGES), 0)

    def _key(self, age: float) -> int:
        return rows.key_at(max(0, self._now - int(age * 1000)))

    def _older(self, klass: QuarantineClass, opened: int, cutoff: int) -> Bite:
        old = and_(items.c.klass == klass.value, items.c.open == opened, items.c.key < cutoff)
        chosen = _OLDEST.where(old).limit(BITE)
        return lambda connection: self._purge(connection, connection.execute(chosen).all())

    def _over(
        self, classes: Sequence[QuarantineClass], count: int | None, size: int | None
    ) -> Iterator[tuple[str, Bite]]:
        """The oldest held items of these classes, while there are more of them than is allowed."""
        with self._database.read() as connection:
            messages, stored = totals.of_classes(connection, classes)
        if count is not None:
            yield "items", self._surplus(classes, messages - count, lambda _row: 1)
        if size is not None:
            yield "items", self._surplus(classes, stored - size, lambda row: int(row.stored))

    def _surplus(self, classes: Sequence[QuarantineClass], excess: int, weight: Callable[[Any], int]) -> Bite:
        held = and_(items.c.klass.in_([klass.value for klass in classes]), items.c.open == 1)

        def bite(connection: Connection) -> tuple[int, int]:
            nonlocal excess
            chosen = []
            for row in connection.execute(_OLDEST.where(held).limit(BITE)) if excess > 0 else ():
                chosen.append(row)
                excess -= weight(row)
                if excess <= 0:
                    break
            return self._purge(connection, chosen)

        return bite

    def _purge(self, connection: Connection, chosen: Sequence[Any]) -> tuple[int, int]:
        if not chosen:
            return 0, 0
        gone = items.c.key.in_([row.key for row in chosen])
        self._dialect.unindex(connection, items, gone)
        connection.execute(delete(items).where(gone))
        totals.opened(connection, self._dialect, [(row.klass, row.stored) for row in chosen if row.open], -1)
        return len(chosen), _drop_bodies(connection, {row.body for row in chosen if row.body is not None})

    def _deleted_bodies(self, connection: Connection) -> tuple[int, int]:
        """Items that were deleted a while ago let go of their bodies; their rows stay."""
        old = and_(
            items.c.state == ItemState.DELETED.value,
            items.c.body.is_not(None),
            items.c.state_at <= self._deleted_before,
        )
        chosen = connection.execute(select(items.c.key, items.c.body).where(old).limit(BITE)).all()
        connection.execute(update(items).where(items.c.key.in_([key for key, _ in chosen])).values(body=None))
        return len(chosen), _drop_bodies(connection, {body for _, body in chosen})

    def _surplus_records(self, allowed: int) -> Bite:
        with self._database.read() as connection:
            excess = totals.known(connection).get(totals.RECORDS, (0, 0))[0] - allowed

        def bite(connection: Connection) -> tuple[int, int]:
            nonlocal excess
            took, freed = self._old_records(connection, true(), min(excess, RECORDS)) if excess > 0 else (0, 0)
            excess -= took
            return took, freed

        return bite

    def _old_records(self, connection: Connection, which: ColumnElement[bool], limit: int) -> tuple[int, int]:
        """The oldest of these records; they are the first there are, so that a range of keys names them."""
        oldest = select(records.c.key).where(which).order_by(records.c.key).limit(limit)
        keys = connection.execute(oldest).scalars().all()
        if not keys:
            return 0, 0
        gone = records.c.key <= keys[-1]
        used = select(records.c.body).where(gone, records.c.body.is_not(None))
        held = set(connection.execute(used).scalars())
        self._dialect.unindex(connection, records, gone)
        connection.execute(delete(record_data).where(record_data.c.key <= keys[-1]))
        took = connection.execute(delete(records).where(gone)).rowcount
        totals.add(connection, self._dialect, {totals.RECORDS: (-took, 0)})
        return took, _drop_bodies(connection, held)

    def _kept_messages(self, connection: Connection) -> tuple[int, int]:
        """Records let go of the messages that were kept beside them."""
        old = and_(records.c.body.is_not(None), records.c.key < self._key(self._settings.message))
        kept = select(records.c.key, records.c.body).with_hint(records, "INDEXED BY ix_records_kept", "sqlite")
        chosen = connection.execute(kept.where(old).limit(RECORDS)).all()
        connection.execute(update(records).where(records.c.key.in_([key for key, _ in chosen])).values(body=None))
        return len(chosen), _drop_bodies(connection, {body for _, body in chosen})

    def _forgotten(self, key: Column[Any], last: Column[int], age: float) -> Bite:
        """Rows that were not touched for so long."""
        old = select(key).where(last < self._now - int(age * 1000)).limit(RECORDS)
        return lambda connection: (connection.execute(delete(key.table).where(key.in_(old))).rowcount, 0)

    def _small_things(self, connection: Connection) -> tuple[int, int]:
        connection.execute(delete(marks).where(marks.c.expires < self._now))
        connection.execute(delete(delivered).where(delivered.c.expires < self._now))
        connection.execute(delete(tallies).where(tallies.c.hour < self._now // _HOUR - TALLIES_KEPT))
        old = select(audit.c.id).where(audit.c.time < self._now - AUDIT_KEPT).order_by(audit.c.time).limit(BITE)
        connection.execute(delete(audit).where(audit.c.id.in_(old)))
        return 0, 0


Bite = Callable[[Connection], tuple[int, int]]
_OLDEST = (  # what is being released, or waits for it, is left alone
    select(items.c.key, items.c.body, items.c.stored, items.c.klass, items.c.open)
    .where(items.c.due.is_(None))
    .order_by(items.c.key)
)


def _drop_bodies(connection: Connection, ids: Iterable[int]) -> int:
    """Delete the bodies among these that nothing needs any more; how many."""
    unused = and_(
        bodies.c.id.in_(list(ids)),
        ~exists(select(items.c.key).where(items.c.body == bodies.c.id)),
        ~exists(select(records.c.key).where(records.c.body == bodies.c.id)),
    )
    return connection.execute(delete(bodies).where(unused)).rowcount
