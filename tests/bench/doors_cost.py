"""What a door costs by itself: CPU of its process a message, with a filter that accepts and does nothing.

    .venv/bin/python tests/bench/doors_cost.py [MESSAGES]

Messages of 5 KB with 20 header fields come over loopback from four clients in other processes: each on a connection of
its own (as spamc, rspamc and Postfix's smtpd do), or for `kept` all of a client's on one. Nothing is judged; the milter
adds its eight fields. Prints milliseconds of CPU a message, and resident memory and open descriptors before and after.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvloop

from tests.frontends import milter_kit
from tests.frontends.advising import Verdicts, http, opened, spamd
from tests.frontends.milter_kit import packet

HEAD = b"".join(b"X-Field-%d: some text that is as long as fields are, once\r\n\tfolded\r\n" % n for n in range(20))
RAW = b"From: a@example.net\r\nSubject: hello\r\n" + HEAD + b"\r\n" + b"A line of the text, as mail has.\r\n" * 100
SPAMD = b"CHECK SPAMC/1.5\r\nUser: bob\r\nContent-length: %d\r\n\r\n" % len(RAW) + RAW
HTTP = (
    b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nFrom: a@example.net\r\nRcpt: b@example.org\r\nIP: 192.0.2.1\r\n"
    b"Helo: x\r\nContent-Length: %d\r\n\r\n" % len(RAW) + RAW
)
CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Cost:
    milliseconds: float
    rate: float  # messages a second
    memory: tuple[float, float]  # megabytes before and after
    descriptors: tuple[int, int]


class Quiet(Verdicts):
    """Remembers nothing."""

    async def examine(self, *arguments: object, **how: object) -> object:  # type: ignore[override]
        outcome = await super().examine(*arguments, **how)  # type: ignore[arg-type]
        self.seen.clear()
        self.deliveries.clear()
        return outcome


class Once(milter_kit.Sieve):
    """Examines once, and says the same ever after."""

    _outcome: Any = None
    _done: Any = None

    async def examine(self, envelope, raw, *, enforce=True):  # type: ignore[no-untyped-def]
        self._outcome = self._outcome or await super().examine(envelope, raw)
        return self._outcome

    async def fulfil(self, outcome, raw, delivery):  # type: ignore[no-untyped-def]
        self._done = self._done or await super().fulfil(outcome, raw, delivery)
        return self._done


@asynccontextmanager
async def milter():  # type: ignore[no-untyped-def]
    async with milter_kit.serving(filter=Once()) as kit:
        yield kit.where[1]


def ask_spamd(link: socket.socket, messages: int) -> None:
    for _ in range(messages):
        link.sendall(SPAMD)
        link.shutdown(socket.SHUT_WR)
        while link.recv(65536):
            pass


def ask_http(link: socket.socket, messages: int) -> None:
    for _ in range(messages):
        link.sendall(HTTP)
        data = b""
        while not data.endswith(b"}}"):
            data += link.recv(65536)


def ask_milter(link: socket.socket, messages: int) -> None:
    for piece in milter_kit.greeting():
        _answered(link, piece)
    for _ in range(messages):
        for piece in milter_kit.dialogue(RAW):
            _answered(link, piece)
    link.sendall(packet("Q"))


def _answered(link: socket.socket, asked: bytes) -> None:
    """Send, and read up to the packet that ends the answer."""
    link.sendall(asked)
    letter = b""
    while letter not in (b"O", b"c"):
        (length,) = struct.unpack(">I", link.recv(4, socket.MSG_WAITALL))
        letter = link.recv(length, socket.MSG_WAITALL)[:1]


Ask = Callable[[socket.socket, int], None]
DOORS: dict[str, tuple[Ask, bool, Callable[[], AbstractAsyncContextManager[int]]]] = {
    "milter, kept": (ask_milter, True, milter),
    "milter": (ask_milter, False, milter),
    "spamd": (ask_spamd, False, lambda: opened(spamd(filter=Quiet()))),
    "http, kept": (ask_http, True, lambda: opened(http(filter=Quiet()))),
    "http": (ask_http, False, lambda: opened(http(filter=Quiet()))),
}


def client(door: str, port: int, messages: int) -> None:
    ask, kept, _ = DOORS[door]
    for _ in range(1 if kept else messages):
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask(link, messages if kept else 1)


def resident() -> float:
    """Megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def measure(door: str, messages: int) -> Cost:
    async with DOORS[door][2]() as port:

        async def run(count: int) -> None:
            command = (sys.executable, __file__, "client", door, str(port), str(count // CLIENTS))
            running = [await asyncio.create_subprocess_exec(*command) for _ in range(CLIENTS)]
            codes = [await one.wait() for one in running]
            assert not any(codes), codes

        await run(200)
        files, memory = len(os.listdir("/proc/self/fd")), resident()
        before, began = time.process_time(), time.perf_counter()
        await run(messages)
        spent, took = time.process_time() - before, time.perf_counter() - began
        descriptors = files, len(os.listdir("/proc/self/fd"))
        return Cost(spent * 1000 / messages, messages / took, (memory, resident()), descriptors)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        for door in DOORS:
            cost = uvloop.run(measure(door, int(sys.argv[1]) if sys.argv[1:] else 10_000))
            print(
                f"{door:<13} {cost.milliseconds:.3f} ms of CPU a message, {cost.rate:.0f}/s, "
                f"{cost.memory[0]:.1f} -> {cost.memory[1]:.1f} MB, "
                f"descriptors {cost.descriptors[0]} -> {cost.descriptors[1]}"
            )
