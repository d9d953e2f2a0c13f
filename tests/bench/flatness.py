"""Does anything stay behind? Memory and descriptors of the running service after thousands of sessions on each door.

    .venv/bin/python -m tests.bench.flatness [--doors "smtp;milter"] [--steps 2000,5000,10000,20000]

Of sixteen sessions four ask to the end; the others leave in all the ways there are: at once, in the middle, behind the
question; by closing, by closing their side and waiting, by a reset; under TLS also before, in and after the handshake,
with close_notify and without. Each door has a service of its own with one worker, which judges and records what comes
through. Prints a row for each door: anonymous memory (MB) of the mail process at the start and after so many sessions,
of its children at the end, the size (MB) of the database, whose pages it keeps in memory up to 16 MB for each
connection that writes, and the open descriptors of the mail process at the start and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import ssl
import struct
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.frontends.milter_kit import dialogue, greeting, packet
from tests.frontends.test_smtp_tls import make_certificate
from tests.load import stuffed
from tests.nexthop import KEYWORDS, FakeHop
from tests.serving import Serving, free_port

RAW = b"From: a@example.net\r\nSubject: hello\r\n\r\n" + b"Hello, hello, hello.\r\n" * 150
CLIENTS = 16
BATCH = 500
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONTEXT.check_hostname, _CONTEXT.verify_mode = False, ssl.CERT_NONE
PATIENCE = 30.0
Asking = tuple[bytes, ...]  # what a client says, each piece ends in what wants an answer


def _smtp(hello: bytes = b"EHLO", login: Asking = ()) -> Asking:
    envelope = (b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n")
    return (hello + b" client.example.net\r\n", *login, *envelope, stuffed(RAW))


@dataclass(frozen=True, slots=True)
class Door:
    settings: dict[str, Any]
    asking: Asking
    farewell: bytes = b""
    greeted: bool = False  # the server speaks first, and answers each piece
    tls: str = ""


_smtp_door = partial(Door, farewell=b"QUIT\r\n", greeted=True)
_LOGIN = (b"AUTH PLAIN " + b64encode(b"\0a@example.net\0secret") + b"\r\n",)
DOORS = {
    "smtp": _smtp_door({"protocol": "smtp"}, _smtp()),
    "lmtp": _smtp_door({"protocol": "smtp", "lmtp": True}, _smtp(b"LHLO")),
    "smtp, STARTTLS": _smtp_door({"protocol": "smtp"}, _smtp(), tls="starttls"),
    "submission, STARTTLS": _smtp_door({"protocol": "submission"}, _smtp(login=_LOGIN), tls="starttls"),
    "submission, TLS": _smtp_door({"protocol": "submission", "tls": "implicit"}, _smtp(login=_LOGIN), tls="implicit"),
    "milter": Door({"protocol": "milter"}, (*greeting(), *dialogue(RAW)), packet("Q")),
    "spamd": Door({"protocol": "spamd"}, (b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(RAW), RAW)),
    "http": Door({"protocol": "http"}, (b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(RAW), RAW)),
}
RELAYING = ("smtp", "submission")


class Client:
    """One session. `way`: 0 to 15."""

    def __init__(self, door: Door, port: int, way: int) -> None:
        self._door = door
        self._extent, self._end = divmod(way, 4)
        self._link: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def play(self) -> None:
        with suppress(OSError):
            self._say()
            self._leave()
        self._link.close()

    def _say(self) -> None:
        """Nothing, half, all but the end, all."""
        door, asking = self._door, self._door.asking
        if door.tls == "starttls":
            self._lines(b"", b"EHLO client.example.net\r\n", b"STARTTLS\r\n")
        if door.tls and self._extent == 0:
            return self._link.sendall(
                (b"", b"\x16\x03\x01", b"no handshake\r\n", b"\x16\x03\x01\x02\x00\x01")[self._end]
            )
        if door.tls:
            self._secure()
        if door.tls != "starttls" and door.greeted:
            self._lines(b"")
        pieces = ((), asking[: len(asking) // 2], asking[:-1], asking)[self._extent]
        if door.greeted:
            self._lines(*pieces)
        else:
            self._link.sendall(b"".join(pieces))
        if self._extent == 2:
            self._link.sendall(asking[-1][: len(asking[-1]) // 2])

    def _leave(self) -> None:
        """Close; close this side, and wait; reset; say farewell, and wait."""
        match self._end:
            case 1 if isinstance(self._link, ssl.SSLSocket):
                self._link.unwrap()  # sends close_notify, and waits for the server's
            case 1:
                self._link.shutdown(socket.SHUT_WR)
            case 2:
                self._link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case 3 if self._extent == 3:
                self._link.sendall(self._door.farewell)
        if self._end == 1 or (self._extent, self._end) == (3, 3):
            while self._link.recv(65536):
                pass

    def _secure(self) -> None:
        self._link = _CONTEXT.wrap_socket(self._link)

    def _lines(self, *pieces: bytes) -> None:
        """Say each, and hear its answer."""
        for piece in pieces:
            self._link.sendall(piece)
            heard = b""
            while not heard.endswith(b"\r\n") or heard.splitlines()[-1][3:4] == b"-":
                heard += self._link.recv(65536) or b"421 gone\r\n"


@asynccontextmanager
async def opened(name: str, folder: Path, hop: FakeHop) -> AsyncIterator[tuple[Serving, int]]:
    """A service with this door, and its port."""
    door, port = DOORS[name], free_port()[1]
    listener = {**door.settings, "listen": f"127.0.0.1:{port}"}
    if door.settings["protocol"] in RELAYING:
        listener["relay"] = hop.url
    service = Serving(folder, relay=hop.url, limits={"connection_rate": 10_000_000})
    certificate, key = make_certificate(folder, "mx.example.org")
    service.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    service.config["listeners"].append(listener)
    await asyncio.to_thread(service.start)  # which asks the hop
    try:
        yield service, port
    finally:
        await asyncio.to_thread(service.stop)


async def measure(name: str, steps: Sequence[int], folder: Path) -> str:
    """A row of the table."""
    loop = asyncio.get_running_loop()
    hop = FakeHop(keywords=(*KEYWORDS, "AUTH PLAIN"), script={"AUTH": "235 2.7.0 Welcome"})
    async with hop, opened(name, folder, hop) as (service, port):
        with ThreadPoolExecutor(CLIENTS) as clients:
            assert service.process is not None
            pid = service.process.pid
            memory, descriptors = [anonymous(pid)], [opened_by(pid)]
            for begin, end in pairwise((0, *steps)):
                for number in range(begin, end, BATCH):
                    ways = (way % 16 for way in range(number, min(end, number + BATCH)))
                    work = (
                        loop.run_in_executor(clients, lambda way: Client(DOORS[name], port, way).play(), way)
                        for way in ways
                    )
                    await asyncio.gather(*work)
                    hop.messages.clear()
                    hop.sessions.clear()
                await asyncio.sleep(3.0)
                memory.append(anonymous(pid))
                descriptors.append(opened_by(pid))
                print(name, end, memory[-1], descriptors[-1], file=sys.stderr, flush=True)
            columns = [name, *(f"{one:.1f}" for one in memory), f"{sum(map(anonymous, children(pid))):.0f}"]
            columns.append(f"{database(service.state):.1f}")
            return f"| {' | '.join(columns)} | {descriptors[0]}, {descriptors[-1]} |"


def anonymous(pid: int | str) -> float:
    """Megabytes that are not mapped from files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def database(state: Path) -> float:
    """Megabytes of its files."""
    return sum(one.stat().st_size for one in state.glob("*.db*")) / 1e6


def opened_by(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flatness")
    parser.add_argument("--doors", help="names of the table, with ; between", default=";".join(DOORS))
    parser.add_argument("--steps", default="2000,5000,10000,20000")
    arguments = parser.parse_args()
    steps = [int(step) for step in arguments.steps.split(",")]
    print("| door | at the start |", *(f"{step:,} |" for step in steps), "its children | database | descriptors |")
    print("|---|---|", "---|" * len(steps), "---|---|---|", sep="")
    for name in arguments.doors.split(";"):
        with tempfile.TemporaryDirectory() as folder:
            print(asyncio.run(measure(name, steps, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
