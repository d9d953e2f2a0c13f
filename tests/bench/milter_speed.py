"""What the milter door itself costs: milliseconds of CPU a message, without judging.

    python tests/bench/milter_speed.py [MESSAGES]

A message of 5 KB with 20 header fields comes as Postfix sends it, with macros, over loopback;
the filter behind the door accepts at once and has eight fields added. The client runs in a process of its own, so that
only the door is measured. Beside it stands the same with a new connection for each message.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import struct
import sys
import time

import uvloop

from tests.frontends.milter_kit import Sieve, serving

FIELDS = [
    (b"X-Field-%d" % n, b" some text that is about as long as fields are, once folded\n\there") for n in range(20)
]
BODY = b"A line of text that has about seventy characters, as lines of mail do.\r\n" * 50


def packet(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter + data


OPENING = packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CONNECT = packet(b"D", b"Cj\0mx.example.org\0") + packet(b"C", b"client.example.net\x004\x10\x00192.0.2.7\0")
HELO = packet(b"D", b"H{tls_version}\0TLSv1.3\0{cipher}\0AES\0") + packet(b"H", b"client.example.net\0")
MAIL = packet(b"D", b"Mi\x004ABC\0{mail_addr}\0a@example.net\0") + packet(b"M", b"<a@example.net>\0SIZE=5000\0")
RCPT = packet(b"D", b"Ri\x004ABC\0") + packet(b"R", b"<b@example.org>\0")
MESSAGE = (
    b"".join(packet(b"L", name + b"\0" + value + b"\0") for name, value in FIELDS)
    + packet(b"N")
    + packet(b"B", BODY)
    + packet(b"D", b"Ei\x004ABC\0")
    + packet(b"E")
)


def client(port: int, count: int, *, one_connection: bool) -> None:
    left = 1
    for round in range(count):
        if round == 0 or not one_connection:
            link = socket.create_connection(("127.0.0.1", port))
            ask(link, OPENING, b"O")
            ask(link, CONNECT, b"c")
            link.sendall(HELO)
        ask(link, MAIL, b"c")
        ask(link, RCPT, b"c")
        ask(link, MESSAGE, b"c")
        if not one_connection:
            link.sendall(packet(b"Q"))
            link.close()
    assert left


def ask(link: socket.socket, data: bytes, last: bytes) -> None:
    """Send, and read packets up to one of this kind."""
    link.sendall(data)
    letter = b""
    while letter != last:
        (length,) = struct.unpack(">I", link.recv(4, socket.MSG_WAITALL))
        letter = link.recv(length, socket.MSG_WAITALL)[:1]


async def measure(count: int, *, one_connection: bool) -> float:
    """CPU milliseconds a message."""
    async with serving(filter=Plain()) as kit:
        process = multiprocessing.Process(
            target=client, args=(kit.where[1], count), kwargs={"one_connection": one_connection}
        )
        process.start()
        started = time.process_time()
        await asyncio.to_thread(process.join)
        return (time.process_time() - started) * 1000 / count


class Plain(Sieve):
    """Examines once, then remembers: what it costs to judge is not the door's."""

    remembered: object = None

    async def examine(self, envelope, raw, *, enforce=True):  # type: ignore[no-untyped-def]
        if self.remembered is None:
            self.remembered = await super().examine(envelope, raw)
        return self.remembered

    async def fulfil(self, outcome, raw, delivery):  # type: ignore[no-untyped-def]
        if not hasattr(self, "done"):
            self.done = await super().fulfil(outcome, raw, delivery)
        return self.done


if __name__ == "__main__":
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for kept in (True, False):
        cost = uvloop.run(measure(messages, one_connection=kept))
        print(f"{cost:.3f} ms CPU a message, {'one connection' if kept else 'a connection each'}")
