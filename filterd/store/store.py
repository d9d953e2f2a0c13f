"""Store: what the mail process asks of the database, and the door to what everybody else asks.

`hold` and its sisters return when what they wrote is on disk; they raise `StoreUnavailable` (or `StoreFull`)
when nothing was written. `write` only takes note: a record may lag by a second and never stops mail. All work
that blocks is done in the writer's thread and a small pool, never on the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, select

from filterd.facts import SenderNote, TextNote
from filterd.record import Record
from filterd.store import rows, totals
from filterd.store.audit import Audit
from filterd.store.database import Database
from filterd.store.entries import Entries
from filterd.store.history import History
from filterd.store.labels import Labels
from filterd.store.lock import Lock
from filterd.store.memory import Memory
from filterd.store.people import People
from filterd.store.puts import Body, Entry, Holding, Puts
from filterd.store.quarantine import Quarantine
from filterd.store.reported import Errors, errors
from filterd.store.retention import DELETED_KEPT, Expired, expire
from filterd.store.said import Said
from filterd.store.saved import Saved
from filterd.store.schema import delivered, marks, tallies
from filterd.store.settings import Keep, RetentionSettings
from filterd.store.suggestions import Suggestions
from filterd.store.taught import TaughtWords
from filterd.store.words import ClassCount, Held, QuarantineClass, StoreFull, Tally
from filterd.store.writer import Counters, Writer

if TYPE_CHECKING:
    from datetime import datetime

DELIVERED_KEPT = 5 * 86_400_000  # ms; senders give up after five days (RFC 5321 section 4.5.4.1)
HEADERS = 262_144  # the most of a header block that is kept
SQUEEZING = 100_000_000  # bytes of messages that may wait to be compressed for the history
AT_ONCE = 65_536  # bytes that are compressed where they are; more would stall the event loop
_HOUR = 3_600_000


class Store:
    def __init__(self, database: Database, retention: RetentionSettings, lock: Lock | None) -> None:
        self.retention = retention
        self.quarantine = Quarantine(database)
        self.history = History(database)
        self.audit = Audit(database)
        self.people = People(database)
        self.access = Entries(database)
        self.saved = Saved(database)
        self.memory = Memory(database)
        self.said = Said(database)
        self.labels = Labels(database)
        self.suggestions = Suggestions(database)
        self.taught = TaughtWords(database)
        self._database = database
        self._lock = lock
        self._writer_started: Writer | None = None
        self._closed = False
        self._squeezing = 0  # bytes of messages that wait to be compressed
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="store")
        self._delivered: set[str] | None = None  # digests, where nobody else can add to them

    @classmethod
    def open(cls, where: str | Path, retention: RetentionSettings | None = None, min_free: int | None = None) -> Store:
        """Open the store, creating it or bringing its schema up to date; raises StoreError.

        `where` is a database URL or the state folder. `min_free` (bytes) replaces the retention setting of
        that name.
        """
        retention = retention or RetentionSettings()
        if min_free is not None:
            retention = retention.model_copy(update={"min_free": min_free})
        lock = Lock.beside(where)
        try:
            return cls(Database.open(where), retention, lock)
        except BaseException:
            if lock:
                lock.release()
            raise

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Held]) -> tuple[str, ...]:
        """Put a message in the quarantine for some recipients; the items' ids, when they are on disk.

        One transaction: the body, an item for each recipient, the record. Holding the same content from the
        same sender for the same recipient again gives the same item. Raises StoreUnavailable; then nothing
        was written.
        """
        body = await asyncio.get_running_loop().run_in_executor(self._pool, self._pressed, raw)
        ids = await asyncio.wrap_future(self._writer.hold(Holding(record, body, held)))
        self._writer.counters.held += len(ids)
        return ids

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        """Write a record within a second. Never raises; what is lost is counted, and `health` tells why."""
        keep = self.retention.keep
        if raw is None or keep is Keep.FINDINGS or self._is_full(len(raw)):
            self._writer.later(Entry(record))
        elif keep is Keep.HEADERS:
            self._writer.later(Entry(record, None, rows.squeeze(header_block(raw))))
        elif len(raw) <= AT_ONCE:
            self._writer.later(_whole(record, raw))
        else:
            self._squeeze_later(record, raw)

    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]:
        """Which of these recipients were given this content in a try whose client was told to come again."""
        if not self._database.dialect.shared:
            if self._delivered is None:
                self._delivered = await asyncio.to_thread(self._delivered_digests)
            if digest not in self._delivered:
                return frozenset()
        return await asyncio.to_thread(self._delivered_to, digest, sender, recipients)

    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None:
        """Remember, for some days and on disk, that these have this content. Raises StoreUnavailable."""
        expires = rows.now() + DELIVERED_KEPT
        values = [{"digest": digest, "sender": sender, "recipient": one, "expires": expires} for one in recipients]

        def work(connection: Connection, _puts: Puts) -> None:
            if values:
                insert = self._database.dialect.insert(delivered).on_conflict_do_nothing()
                connection.execute(insert, values)

        await asyncio.wrap_future(self._writer.submit(work))
        if self._delivered is not None:
            self._delivered.add(digest)

    async def spend_mark(self, mark_id: str, expires: float) -> bool:
        """Use up a release mark; True exactly once for each. `expires` in seconds since 1970."""
        value = {"id": mark_id, "expires": int(expires * 1000)}

        def work(connection: Connection, _puts: Puts) -> bool:
            insert = self._database.dialect.insert(marks).values(value).on_conflict_do_nothing()
            return connection.execute(insert.returning(marks.c.id)).first() is not None

        return await asyncio.wrap_future(self._writer.submit(work))

    async def return_mark(self, mark_id: str) -> None:
        """A mark whose mail was not delivered after all may be used again."""

        def work(connection: Connection, _puts: Puts) -> None:
            connection.execute(delete(marks).where(marks.c.id == mark_id))

        await asyncio.wrap_future(self._writer.submit(work))

    async def released(self, sender: str, recipient: str, since: datetime) -> bool:
        """Was mail of this sender to this recipient ("" is any) released since then? Raises StoreError."""
        return await asyncio.to_thread(self.quarantine.released_since, sender, recipient, since)

    async def remember(self, some: Sequence[SenderNote], written: Sequence[TextNote], half_life: float) -> None:
        """Add to what is known of senders and texts. Raises StoreUnavailable; then nothing was added."""

        def work(connection: Connection, _puts: Puts) -> None:
            self.memory.note(connection, some, written, half_life)

        await asyncio.wrap_future(self._writer.submit(work))

    async def flush(self) -> None:
        """Return when everything that was written before is on disk, or has failed."""
        await asyncio.to_thread(self.flush_now)

    def flush_now(self) -> None:
        """`flush` for callers without an event loop."""
        if self._writer_started:
            self._writer_started.flush()

    def close(self) -> None:
        """Write what waits and let go of the database. Also the second time."""
        self._closed = True
        self._pool.shutdown()
        if self._writer_started:
            self._writer_started.close()
        self._database.close()
        if self._lock:
            self._lock.release()

    @property
    def counters(self) -> Counters:
        return self._writer.counters

    def health(self) -> str | None:
        """None, or one sentence: writes fail, the disk is full, the file cannot be written."""
        if self._writer_started and self._writer_started.trouble:
            return self._writer_started.trouble
        if (path := self._database.path) and not os.access(path, os.W_OK):
            return f"the database {path} is read-only"
        if self._is_full():
            return "the floor of free space is reached: quarantine is deferred"
        return None

    def expire(self, moment: datetime | None = None, budget: float = 0.25, grace: float = DELETED_KEPT) -> Expired:
        """Let retention take its part, for about `budget` seconds; `more` says that there is more to do.

        Bodies of items that were deleted over `grace` seconds ago go too.
        """
        stamp = rows.milliseconds(moment) if moment else rows.now()
        return expire(self._database, self.retention, stamp, budget, grace)

    def stats(self, since: datetime | None = None) -> tuple[list[ClassCount], list[Tally]]:
        """What is held now, by class; and messages by hour, action and reason, since `since` or ever."""
        counted = select(tallies).order_by(tallies.c.hour)
        if since:
            counted = counted.where(tallies.c.hour >= rows.milliseconds(since) // _HOUR)
        with self._database.read() as connection:
            each = [(klass, *totals.of_classes(connection, [klass])) for klass in QuarantineClass]
            classes = [ClassCount(klass=klass, count=count, size=size) for klass, count, size in each if count]
            hours = [
                Tally(rows.moment(row.hour * _HOUR), row.action, row.reason, row.messages)
                for row in connection.execute(counted)
            ]
        return classes, hours

    def errors(self, since: datetime) -> list[Errors]:
        """How often people said that we were wrong, by day."""
        return errors(self._database, since)

    @property
    def database(self) -> Database:
        """For backup, and for other rooms' tables."""
        return self._database

    @property
    def _writer(self) -> Writer:
        """Started at first use: a command that only reads needs no thread."""
        if self._writer_started is None:
            self._writer_started = Writer(self._database)
        return self._writer_started

    def _pressed(self, raw: bytes | memoryview) -> Body:
        body = pressed(raw)
        if self._is_full(len(body.data)):
            raise StoreFull("the floor of free space is reached")
        return body

    def _squeeze_later(self, record: Record, raw: bytes | memoryview) -> None:
        """Compress a big message off the event loop, unless too much waits for that already."""
        if self._closed or self._squeezing + len(raw) > SQUEEZING:
            self._writer.counters.lost_bodies += 1
            self._writer.later(Entry(record))
            return
        self._squeezing += len(raw)
        self._pool.submit(self._squeeze, record, memoryview(raw))  # of our own: the door lets go of its view first

    def _squeeze(self, record: Record, raw: bytes | memoryview) -> None:
        try:
            self._writer.later(_whole(record, raw))
        finally:
            self._squeezing -= len(raw)

    def _is_full(self, coming: int = 0) -> bool:
        path = self._database.path
        if path is None:
            return False
        try:
            room = os.statvfs(path.parent)
        except OSError:
            return False  # then writing itself says what is wrong
        return room.f_bavail * room.f_frsize - coming < self.retention.min_free

    def _delivered_digests(self) -> set[str]:
        with self._database.read() as connection:
            return set(connection.execute(select(delivered.c.digest).distinct()).scalars())

    def _delivered_to(self, digest: str, sender: str, recipients: Iterable[str]) -> frozenset[str]:
        wanted = select(delivered.c.recipient).where(
            delivered.c.digest == digest,
            delivered.c.sender == sender,
            delivered.c.recipient.in_(list(recipients)),
            delivered.c.expires > time.time() * 1000,
        )
        with self._database.read() as connection:
            return frozenset(connection.execute(wanted).scalars())


def pressed(raw: bytes | memoryview) -> Body:
    """A message compressed, under the name that its content gives it."""
    return Body(hashlib.sha256(raw).hexdigest(), len(raw), rows.squeeze(raw))


def _whole(record: Record, raw: bytes | memoryview) -> Entry:
    return Entry(record, pressed(raw), rows.squeeze(header_block(raw)))


def header_block(raw: bytes | memoryview) -> bytes:
    """The header block with its last line end, cut at HEADERS bytes."""
    head = bytes(raw[:HEADERS])
    ends = [at + len(end) // 2 for end in (b"\r\n\r\n", b"\n\n") if (at := head.find(end)) >= 0]
    return head[: min(ends, default=len(head))]
