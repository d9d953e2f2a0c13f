"""Writer: one thread that writes, and one commit for all that waits.

Work that somebody waits for (`submit`) is committed at once, together with everything else that is waiting:
while one commit is being put on disk, the next group gathers. Records of relayed mail (`later`) wait for
company, at most `LAG` seconds. A group that fails is rolled back whole; work of it that is not to blame is
then done again by itself, and a failure of the database itself (locked, full, read-only) fails everything
that waited, so that its senders try again.

After a failure the writer tries again by itself, with a write of its own when nothing else waits, so that
`trouble` ends with the trouble and not with the next mail.

A record that cannot be written is counted and told by `trouble`, and never stops mail. Nothing here raises
into the caller but through the future that it was given.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from filterd.store.database import Database
from filterd.store.puts import Entry, Holding, Puts
from filterd.store.words import StoreError, StoreUnavailable

LAG = 0.8  # seconds that a record may wait
BATCH = 256  # records in one transaction
BACKLOG = 20_000  # records that may wait while the database is out
BACKLOG_BYTES = 64_000_000  # of messages kept beside them
GROUP = 64  # pieces of waited-for work in one transaction
RETRY = 1.0  # seconds after a failure until records are tried again

log = structlog.get_logger("filterd.store")

T = TypeVar("T")
Work = Callable[[Connection, Puts], T]


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any] | Holding
    future: Future[Any]


@dataclass(slots=True)
class Counters:
    """What the writer did since it started."""

    commits: int = 0
    held: int = 0
    records: int = 0
    lost_records: int = 0  # could not be written, or had no room to wait
    lost_bodies: int = 0  # records written without the message that should be kept beside them
    failures: int = 0  # transactions that were rolled back


class Writer:
    def __init__(self, database: Database) -> None:
        self.counters = Counters()
        self.trouble: str | None = None
        self._database = database
        self._puts = Puts(database.dialect)
        self._condition = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._due = 0.0  # when the oldest waiting record must be written
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Do `work` in the next transaction. The future is done when it is on disk, or has its StoreError."""
        return self._add(work)

    def hold(self, holding: Holding) -> Future[tuple[str, ...]]:
        """As `submit`, for a message: many are held by few statements. The ids of its items."""
        return self._add(holding)

    def _add(self, work: Work[Any] | Holding) -> Future[Any]:
        future: Future[Any] = Future()
        with self._condition:
            if self._closing:
                future.set_exception(StoreUnavailable("the store is closed"))
                return future
            self._jobs.append(_Job(work, future))
            self._condition.notify()
        return future

    def later(self, entry: Entry) -> None:
        """Write a record soon. Never raises and never waits."""
        weight = len(entry.body.data) if entry.body else 0
        with self._condition:
            if self._closing or len(self._entries) >= BACKLOG:
                self.counters.lost_records += 1
                return
            if weight and self._bytes + weight > BACKLOG_BYTES:
                self.counters.lost_bodies += 1
                entry, weight = Entry(entry.record, None, entry.headers), 0
            if not self._entries:
                self._due = max(self._due, time.monotonic() + LAG)
            self._entries.append(entry)
            self._bytes += weight
            if len(self._entries) == 1 or len(self._entries) == BATCH:
                self._condition.notify()

    def flush(self) -> None:
        """Return when everything that was handed over before has been tried."""
        while True:
            with self._condition:
                waiting = bool(self._entries)
                self._due = 0.0
            self.submit(_nothing).exception()
            if not waiting or self.trouble is not None:
                return

    def close(self) -> None:
        """Write what waits, then end. Records that still cannot be written are lost and counted."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            entries, jobs, last = self._next()
            if entries or jobs or self.trouble is not None:
                self._do(entries, jobs)
            if last:
                return

    def _next(self) -> tuple[list[Entry], list[_Job], bool]:
        """Wait until there is something to do; what there is, and whether it is the last."""
        with self._condition:
            while not (self._closing or self._jobs or self._ripe()):
                pending = self._entries or self.trouble is not None
                wait = self._due - time.monotonic() if pending else None
                self._condition.wait(wait)
            entries = [self._entries.popleft() for _ in range(min(BATCH, len(self._entries)))]
            self._bytes -= sum(len(entry.body.data) for entry in entries if entry.body)
            waiting = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
            last = self._closing and not self._entries and not self._jobs
        return entries, [job for job in waiting if job.future.set_running_or_notify_cancel()], last

    def _ripe(self) -> bool:
        if self.trouble is not None:
            return time.monotonic() >= self._due
        return bool(self._entries) and (len(self._entries) >= BATCH or time.monotonic() >= self._due)

    def _do(self, entries: list[Entry], jobs: list[_Job]) -> None:
        try:
            results = self._transaction(entries, jobs)
        except StoreError as error:
            self._failed(error, entries, jobs)
        except Exception as error:  # noqa: BLE001  one of them is to blame: each by itself tells which
            self._one_by_one(error, entries, jobs)
        else:
            self._well(entries)
            for job, result in zip(jobs, results, strict=True):
                job.future.set_result(result)

    def _transaction(self, entries: list[Entry], jobs: list[_Job]) -> list[Any]:
        try:
            with self._database.write() as connection:
                results = self._put(connection, entries, jobs)
        except BaseException:
            self.counters.failures += 1
            raise
        self.counters.commits += 1
        return results

    def _put(self, connection: Connection, entries: list[Entry], jobs: list[_Job]) -> list[Any]:
        if not entries and not jobs:
            self._puts.probe(connection)
        holdings = [job.work for job in jobs if isinstance(job.work, Holding)]
        if holdings or entries:
            self._puts.records(connection, [*(Entry(one.record) for one in holdings), *entries])
        ids = iter(self._puts.items(connection, holdings) if holdings else ())
        return [next(ids) if isinstance(job.work, Holding) else job.work(connection, self._puts) for job in jobs]

    def _one_by_one(self, error: Exception, entries: list[Entry], jobs: list[_Job]) -> None:
        if len(entries) + len(jobs) == 1:
            self._blame(error, entries, jobs)
            return
        self._due = time.monotonic() + RETRY
        while (jobs or entries) and self.trouble is None:
            if jobs:
                self._do([], [jobs.pop(0)])
            else:
                self._do([entries.pop(0)], [])
        if jobs or entries:
            self._failed(StoreUnavailable(self.trouble or str(error)), entries, jobs)

    def _blame(self, error: Exception, entries: list[Entry], jobs: list[_Job]) -> None:
        for job in jobs:
            job.future.set_exception(StoreUnavailable(f"the store could not write it: {error}"))
        for entry in entries:
            self.counters.lost_records += 1
            log.warning("record-not-written", id=entry.record.id, why=str(error))

    def _failed(self, error: StoreError, entries: list[Entry], jobs: list[_Job]) -> None:
        """The database does not work now: whoever waits is told, and the records wait for better days."""
        if self.trouble is None:
            log.error("store-failing", why=str(error))
        self.trouble = str(error)
        with self._condition:
            jobs += [job for job in self._jobs if job.future.set_running_or_notify_cancel()]
            self._jobs.clear()
            if self._closing:
                self.counters.lost_records += len(entries) + len(self._entries)
                self._entries.clear()
            else:
                self._entries.extendleft(reversed(entries))
                self._bytes += sum(len(entry.body.data) for entry in entries if entry.body)
                self._due = time.monotonic() + RETRY
        for job in jobs:
            job.future.set_exception(error)

    def _well(self, entries: list[Entry]) -> None:
        self.counters.records += len(entries)
        if self.trouble is not None:
            log.info("store-works-again")
        self.trouble = None


def _nothing(_connection: Connection, _puts: Puts) -> None:
    """Work for whoever only waits for the commit."""
