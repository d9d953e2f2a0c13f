"""What the spamd and HTTP doors cost by themselves: CPU of their process a message, with a filter that does nothing.

    .venv/bin/python tests/bench/doors_cost.py [MESSAGES]

Messages are 5 KB, four clients in another process, each message on a connection of its own (as spamc and rspamc do), or
for `http, kept` all of a client's on one. Prints milliseconds of CPU a message, and resident memory and open
descriptors before and after.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvloop

from tests.frontends.advising import Verdicts, http, opened, spamd

BODY = (
    b"From: a@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.net>\r\n\r\n" + b"A line of the text.\r\n" * 240
)
ASKED = {
    "spamd": b"CHECK SPAMC/1.5\r\nUser: bob\r\nContent-length: %d\r\n\r\n" % len(BODY) + BODY,
    "http": b"POST /checkv2 HTTP/1.0\r\nFrom: a@example.net\r\nRcpt: b@example.org\r\nIP: 192.0.2.1\r\nHelo: x\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
}
ASKED["http, kept"] = ASKED["http"].replace(b"HTTP/1.0\r\n", b"HTTP/1.1\r\nHost: x\r\n")
CLIENTS = 4


class Quiet(Verdicts):
    """Remembers nothing."""

    async def examine(self, *arguments: object, **how: object) -> object:  # type: ignore[override]
        outcome = await super().examine(*arguments, **how)  # type: ignore[arg-type]
        self.seen.clear()
        self.deliveries.clear()
        return outcome


def client(kind: str, port: int, messages: int) -> None:
    asked = ASKED[kind]
    if kind == "http, kept":
        with socket.create_connection(("127.0.0.1", port)) as sock:
            for _ in range(messages):
                sock.sendall(asked)
                data = b""
                while not data.endswith(b"}}"):
                    data += sock.recv(65536)
        return
    for _ in range(messages):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(asked)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


def resident() -> float:
    """Megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def measure(kind: str, messages: int) -> None:
    async with opened((spamd if kind == "spamd" else http)(filter=Quiet())) as port:

        async def run(count: int) -> None:
            command = (sys.executable, __file__, "client", kind, str(port), str(count // CLIENTS))
            running = [await asyncio.create_subprocess_exec(*command) for _ in range(CLIENTS)]
            codes = [await one.wait() for one in running]
            assert not any(codes), codes

        await run(200)
        files, memory = len(os.listdir("/proc/self/fd")), resident()
        before, began = time.process_time(), time.perf_counter()
        await run(messages)
        spent, took = time.process_time() - before, time.perf_counter() - began
        print(
            f"{kind:<12} {spent * 1000 / messages:.3f} ms of CPU a message, {messages / took:.0f}/s, "
            f"{memory:.1f} -> {resident():.1f} MB, descriptors {files} -> {len(os.listdir('/proc/self/fd'))}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        for kind in ASKED:
            uvloop.run(measure(kind, int(sys.argv[1]) if sys.argv[1:] else 10_000))
