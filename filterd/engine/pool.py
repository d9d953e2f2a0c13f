"""The worker pool: hands mails to workers, and decides whom to blame when one dies.

`inspect` and `judge` answer with what the worker said. They raise `Blamed` when the message itself killed workers
(running alone when one died, or running when two did), `Refused` when a worker said that it could not, and `NoWorker`
when none lives: an outage of ours. What else a dying worker held is given to another; dead workers are replaced.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from filterd.engine.wire import ANSWER_LIMIT, HEAD, Failed, Inspected, Judged, Kind, Ready, Setup
from filterd.facts import Facts
from filterd.mail import Envelope
from filterd.told import Told
from filterd.value import CodecError, T, pack, unpack

log = structlog.get_logger("filterd.engine")

START = 60.0  # seconds for a worker to load rules and model
SHORT_LIFE = 30.0  # a worker that lives no longer than this makes the next replacement wait
BACKOFF = (0.0, 0.2, 1.0, 5.0, 15.0)  # seconds before a replacement, by short lives in a row
_PARENT = str(Path(__file__).parents[2])
_PROGRAM = (
    "import os, sys; os.environ['OPENBLAS_NUM_THREADS'] = '1';"
    " sys.path.insert(0, sys.argv[1]); from filterd.engine.worker import main; main(int(sys.argv[2]))"
)


class PoolError(Told):
    """The base of what a pool may raise; the text is one sentence."""


class Blamed(PoolError):
    """This message killed workers."""


class Refused(PoolError):
    """A worker said that it could not read or judge this message."""


class NoWorker(PoolError):
    """No worker lives, or none became free in time."""


class _Died(Exception):
    """The worker that had this step is gone. Frames are answered in order, so the first one was running."""

    def __init__(self, running: bool = False, alone: bool = False) -> None:
        self.running = running
        self.alone = alone


@dataclass(slots=True, eq=False)
class Ticket:
    """A mail that a worker holds between inspect and judge."""

    job: int
    envelope: bytes
    raw: bytes | memoryview
    worker: _Worker | None = None
    deaths: int = 0


@dataclass(slots=True)
class _Worker(asyncio.Protocol):
    """One worker process, seen from the mail process."""

    patience: float
    on_death: Callable[[_Worker], None]
    process: asyncio.subprocess.Process | None = None
    transport: asyncio.Transport | None = None
    pending: OrderedDict[int, asyncio.Future[tuple[Kind, bytes]]] = field(default_factory=OrderedDict)
    asked_at: dict[int, float] = field(default_factory=dict)  # loop time of each pending step
    buffer: bytearray = field(default_factory=bytearray)
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    watchdog: asyncio.TimerHandle | None = None
    alive: bool = False
    since: float = 0.0

    async def start(self, setup: Setup) -> Ready:
        """Exec the process and wait until it is ready; raises Refused with what it said."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-B", "-c", _PROGRAM, _PARENT, str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), env={}, cwd="/",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=ours)
        self.alive, self.since = True, loop.time()
        try:
            async with asyncio.timeout(START):
                kind, payload = await self.ask(Kind.SETUP, 0, pack(setup), watch=False)
        except (TimeoutError, _Died) as error:
            self.kill()
            raise Refused("a worker process did not start") from error
        if kind is Kind.FAILED:
            raise Refused(unpack(payload, Failed).error)
        return unpack(payload, Ready)

    async def ask(self, kind: Kind, job: int, *parts: bytes | memoryview, watch: bool = True) -> tuple[Kind, bytes]:
        """Send one frame and wait for its answer; raises _Died."""
        if not self.alive or self.transport is None:
            raise _Died
        await self.writable.wait()
        future: asyncio.Future[tuple[Kind, bytes]] = asyncio.get_running_loop().create_future()
        self.pending[job] = future
        self.asked_at[job] = asyncio.get_running_loop().time()
        if watch and self.watchdog is None:
            self._watch()
        self.transport.writelines([HEAD.pack(sum(map(len, parts)), kind, job), *parts])
        try:
            return await future
        except asyncio.CancelledError:
            self.forget(job)
            raise

    def forget(self, job: int) -> None:
        """The mail is given up; a worker that still works on it will be heard out and ignored."""
        if self.alive and self.transport is not None and not self.transport.is_closing():
            self.transport.write(HEAD.pack(0, Kind.FORGET, job))

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None and self.process.returncode is None:
            try:
                self.process.kill()
            except ProcessLookupError:
                log.debug("worker-already-gone", pid=self.process.pid)
        if self.transport is not None:
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= HEAD.size:
            length, kind, job = HEAD.unpack_from(self.buffer)
            if length > ANSWER_LIMIT:
                log.error("worker-broke-protocol", length=length)
                return self.kill()
            if len(self.buffer) < HEAD.size + length:
                return None
            payload = bytes(memoryview(self.buffer)[HEAD.size : HEAD.size + length])
            del self.buffer[: HEAD.size + length]
            self._answered(job, kind, payload)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self.writable.set()
        self._unwatch()
        lost = list(self.pending.values())
        self.pending.clear()
        self.asked_at.clear()
        for position, future in enumerate(lost):
            if not future.done():
                future.set_exception(_Died(running=position == 0, alone=len(lost) == 1))
        self.on_death(self)

    def _answered(self, job: int, kind: int, payload: bytes) -> None:
        future = self.pending.pop(job, None)
        self.asked_at.pop(job, None)
        self._unwatch()
        if self.pending:
            self._watch()
        if future is None:
            log.error("worker-broke-protocol", job=job)
            self.kill()
        elif not future.done():
            future.set_result((Kind(kind), payload))

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self.watchdog = loop.call_later(self.patience, self._hung)

    def _unwatch(self) -> None:
        if self.watchdog is not None:
            self.watchdog.cancel()
            self.watchdog = None

    def _hung(self) -> None:
        log.error("worker-hung", pid=self.process.pid if self.process else None, seconds=self.patience)
        self.kill()


class Pool:
    """Some workers of one generation."""

    def __init__(self, setup: Setup, size: int, patience: float = 60.0) -> None:
        self._setup = setup
        self._size = size
        self._patience = patience
        self._workers: list[_Worker] = []
        self._jobs = itertools.count(1)
        self._changed = asyncio.Event()
        self._replacing: set[asyncio.Task[None]] = set()
        self._short_lives = 0
        self._closed = False
        self.deaths = 0
        self.ready = Ready(ruleset="", model="")

    async def start(self) -> Ready:
        """Start every worker; raises Refused with what the first one that could not start said."""
        started = await asyncio.gather(*(self._start_one() for _ in range(self._size)), return_exceptions=True)
        for result in started:
            if isinstance(result, BaseException):
                await self.close()
                raise result
            self.ready = result
        return self.ready

    @property
    def alive(self) -> int:
        """How many workers live."""
        return len(self._workers)

    @property
    def size(self) -> int:
        return self._size

    @property
    def queued(self) -> int:
        """How many steps wait for an answer."""
        return sum(len(worker.pending) for worker in self._workers)

    @property
    def delay(self) -> float:
        """Seconds that the longest waiting step has waited; answers come in order, so this is the queue's length."""
        now = asyncio.get_running_loop().time()
        return max((now - next(iter(worker.asked_at.values()), now) for worker in self._workers), default=0.0)

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def inspect(self, envelope: Envelope, raw: bytes | memoryview) -> tuple[Ticket, Inspected]:
        """Have a mail read; the worker keeps it until `judge` or `forget`."""
        ticket = Ticket(next(self._jobs), pack(envelope), raw)
        kind, payload = await self._inspect(ticket)
        return ticket, _answer(kind, payload, Kind.INSPECTED, Inspected)

    async def judge(self, ticket: Ticket, facts: Facts) -> Judged:
        """Have a mail judged that was inspected."""
        packed = pack(facts)
        while True:
            worker = ticket.worker
            try:
                if worker is None or not worker.alive:
                    kind, payload = await self._inspect(ticket)
                    _answer(kind, payload, Kind.INSPECTED, Inspected)
                    worker = ticket.worker
                    assert worker is not None
                kind, payload = await worker.ask(Kind.JUDGE, ticket.job, packed)
            except _Died as death:
                self._blame(ticket, death)
                continue
            return _answer(kind, payload, Kind.JUDGED, Judged)

    def forget(self, ticket: Ticket) -> None:
        """The mail will not be judged."""
        if ticket.worker is not None:
            ticket.worker.forget(ticket.job)

    async def close(self) -> None:
        """End every worker."""
        self._closed = True
        for task in self._replacing:
            task.cancel()
        for worker in list(self._workers):
            worker.kill()
            if worker.process is not None:
                await worker.process.wait()

    async def _inspect(self, ticket: Ticket) -> tuple[Kind, bytes]:
        head = len(ticket.envelope).to_bytes(4, "big")
        while True:
            ticket.worker = worker = await self._least_busy()
            try:
                return await worker.ask(Kind.INSPECT, ticket.job, head, ticket.envelope, ticket.raw)
            except _Died as death:
                self._blame(ticket, death)

    def _blame(self, ticket: Ticket, death: _Died) -> None:
        ticket.worker = None
        ticket.deaths += death.running
        if death.alone or ticket.deaths > 1:
            raise Blamed("the message ended the worker process that read it") from death

    async def _least_busy(self) -> _Worker:
        try:
            async with asyncio.timeout(self._patience):
                while not self._workers:
                    if self._closed:
                        raise NoWorker("the workers were ended")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise NoWorker("no worker process lives") from error
        return min(self._workers, key=lambda worker: len(worker.pending))

    async def _start_one(self) -> Ready:
        worker = _Worker(self._patience, self._died)
        ready = await worker.start(self._setup)
        for warning in ready.warnings:
            log.warning("worker-door-not-closed", why=warning)
        self._workers.append(worker)
        self._changed.set()
        return ready

    def _died(self, worker: _Worker) -> None:
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        if self._closed:
            return
        self.deaths += 1
        lived = asyncio.get_running_loop().time() - worker.since
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
        log.error("worker-died", pid=worker.process.pid if worker.process else None)
        task = asyncio.get_running_loop().create_task(self._replace(worker))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, dead: _Worker) -> None:
        if dead.process is not None:
            dead.kill()
            await dead.process.wait()
        while not self._closed:
            await asyncio.sleep(BACKOFF[min(self._short_lives, len(BACKOFF) - 1)])
            try:
                await self._start_one()
                return
            except PoolError as error:
                self._short_lives += 1
                log.error("worker-not-replaced", why=str(error))


def _answer(kind: Kind, payload: bytes, expected: Kind, schema: type[T]) -> T:
    try:
        if kind is expected:
            return unpack(payload, schema)
        failed = unpack(payload, Failed)
    except CodecError as error:
        raise Refused(f"a worker's answer was not understood: {error}") from error
    raise Refused(f"{failed.stage}: {failed.error}")


def default_size() -> int:
    """One worker per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
