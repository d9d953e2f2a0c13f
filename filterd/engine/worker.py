"""The worker: reads and judges mail in a process that can reach nothing.

Exec'd with an empty environment and one descriptor, a socket to the mail process. It loads rules and model, warms
what Python would otherwise load late, closes the door behind itself, says that it is ready, and then answers one
frame after another until the socket ends. A step that takes too much CPU time ends the process: the mail process
sees that and acts. An error in one message is answered as FAILED and touches no other.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import socket
import time
from typing import Any

from filterd.engine.sandbox import close_the_door
from filterd.engine.wire import HEAD, Failed, Inspected, Judged, Kind, Ready, Setup
from filterd.facts import Facts
from filterd.judge import Judge
from filterd.mail import Envelope, Mail
from filterd.mail.preload import preload
from filterd.value import pack, unpack


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.thread_time()  # the process clock only ticks while a CPU limit is armed

    def __call__(self, stage: str) -> None:
        now = time.thread_time()
        self.seconds[stage] = now - self._last
        self._last = now


class Worker:
    """Answers frames: what was asked, and the mails that wait between inspect and judge."""

    def __init__(self, link: socket.socket, judge: Judge, seconds: float) -> None:
        self._link = link
        self._judge = judge
        self._seconds = seconds
        self._waiting: dict[int, Mail] = {}

    def run(self) -> None:
        """Answer until the other end closes."""
        while (frame := receive(self._link)) is not None:
            kind, job, payload = frame
            if kind is Kind.FORGET:
                self._waiting.pop(job, None)
                continue
            signal.setitimer(signal.ITIMER_PROF, self._seconds)
            answer_kind, answer = self._answer(kind, job, payload)
            signal.setitimer(signal.ITIMER_PROF, 0)
            send(self._link, answer_kind, job, pack(answer))

    def _answer(self, kind: Kind, job: int, payload: bytearray) -> tuple[Kind, Any]:
        watch = Stopwatch()
        try:
            if kind is Kind.INSPECT:
                return Kind.INSPECTED, self._inspect(job, payload, watch)
            return Kind.JUDGED, self._pronounce(job, payload, watch)
        except MemoryError:
            self._waiting.pop(job, None)
            gc.collect()
            return Kind.FAILED, Failed(kind.name.lower(), "needs more memory than a message may take")
        except Exception as error:  # noqa: BLE001  the border: whatever happens to one message stays with it
            self._waiting.pop(job, None)
            return Kind.FAILED, Failed(kind.name.lower(), f"{type(error).__name__}: {error}"[:500])

    def _inspect(self, job: int, payload: bytearray, watch: Stopwatch) -> Inspected:
        split = 4 + int.from_bytes(payload[:4], "big")
        envelope = unpack(memoryview(payload)[4:split], Envelope)
        mail, inspection = self._judge.inspect(envelope, bytes(memoryview(payload)[split:]))
        self._waiting[job] = mail
        watch("read")
        return Inspected(inspection=inspection, seconds=watch.seconds["read"])

    def _pronounce(self, job: int, payload: bytearray, watch: Stopwatch) -> Judged:
        mail = self._waiting.pop(job)
        judgement = self._judge.judge(mail, unpack(payload, Facts), watch)
        return Judged(judgement=judgement, seconds=watch.seconds)


def receive(link: socket.socket) -> tuple[Kind, int, bytearray] | None:
    """The next frame; None when the other end closed."""
    head = _exactly(link, HEAD.size)
    if head is None:
        return None
    length, kind, job = HEAD.unpack(head)
    payload = _exactly(link, length)
    return None if payload is None else (Kind(kind), job, payload)


def send(link: socket.socket, kind: Kind, job: int, payload: bytes) -> None:
    link.sendall(HEAD.pack(len(payload), kind, job) + payload)


def _exactly(link: socket.socket, length: int) -> bytearray | None:
    buffer = bytearray(length)
    view, have = memoryview(buffer), 0
    while have < length:
        count = link.recv_into(view[have:])
        if count == 0:
            return None
        have += count
    return buffer


_LATE = ("idna.codec", "idna.uts46data", "zipfile", "zlib", "email.utils", "unicodedata", "_strptime", "zoneinfo")


def warm() -> None:
    """Load what Python and its libraries load on first use, for later no file can be opened."""
    import encodings

    preload()
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in ("mbcs", "oem"):
            importlib.import_module(f"encodings.{module.name}")
    for name in _LATE:
        importlib.import_module(name)
    time.strptime("2000", "%Y")


def main(descriptor: int) -> None:
    """The life of a worker on an inherited socket."""
    from filterd.engine.loading import load_judge
    from filterd.engine.warmup import rehearse

    link = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the mail process, which then closes the socket
    frame = receive(link)
    if frame is None:
        return
    setup = unpack(frame[2], Setup)
    try:
        judge = load_judge(setup)
        warm()
        rehearse(judge)
    except Exception as error:  # noqa: BLE001  told to the mail process, which says it to the postmaster
        send(link, Kind.FAILED, 0, pack(Failed("load", str(error) or type(error).__name__)))
        return
    for standard in (0, 1, 2):
        os.close(standard)
    gc.collect()
    gc.freeze()
    trouble = close_the_door(setup.memory)
    model = judge.model.id if judge.model is not None else ""
    ready = Ready(ruleset=judge.ruleset.hash, model=model, warnings=tuple(trouble))
    send(link, Kind.READY, 0, pack(ready))
    Worker(link, judge, setup.seconds).run()
