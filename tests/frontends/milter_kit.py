"""What the tests of the milter door stand on: a mail server that speaks by hand, and a filter with a store in memory.

The mail server is written from Postfix's milter8.c, apart from ours: it negotiates, sends a message packet by packet,
does to it what the milter says, and shows what it would queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filterd.decision import Action, Decision, HeaderSpan, Reason
from filterd.engine.fulfil import Fulfiller
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.frontends.milter.server import MilterServer
from filterd.frontends.settings import MilterListener
from filterd.frontends.smtp import Site, SmtpLimits
from filterd.mail.envelope import Envelope, Moment
from filterd.mail.message import Message
from filterd.mail.trace import foreign_verdicts
from filterd.marking import copies
from filterd.record import Outline, Record
from filterd.reply import Reply
from filterd.settings import Networks
from filterd.store import Held, StoreUnavailable

ALL_ACTIONS, ALL_STEPS = 0x1FF, 0x1FFFFF  # what Postfix 3 and Sendmail 8.18 offer
LEADING_SPACE = 0x100000
SILENT = {"H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "U": 0x20000, "L": 0x80, "N": 0x40000, "B": 0x80000,
          "C": 0x1000}  # fmt: skip
CLIENT = ("client.example.net", "192.0.2.7")


def packet(letter: str, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter.encode() + data


def strings(*values: bytes) -> bytes:
    return b"".join(value + b"\0" for value in values)


OFFER = packet("O", struct.pack(">III", 6, ALL_ACTIONS, ALL_STEPS))


def dialogue(raw: bytes) -> tuple[bytes, ...]:
    """All that a mail server says about one message, as Postfix sends it: each piece ends in what wants an answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = (line.split(b":", 1) for line in re.sub(rb"\r\n([ \t])", rb"\n\1", head).split(b"\r\n"))
    return (
        packet("D", b"H" + strings(b"{tls_version}", b"TLSv1.3", b"{cipher}", b"AES"))
        + packet("H", strings(b"client.example.net"))
        + packet("D", b"M" + strings(b"i", b"4ABC", b"{mail_addr}", b"a@example.net"))
        + packet("M", strings(b"<a@example.net>", b"SIZE=5000")),
        packet("D", b"R" + strings(b"i", b"4ABC")) + packet("R", strings(b"<b@example.org>")),
        b"".join(packet("L", strings(*field)) for field in fields)
        + packet("N")
        + packet("B", body)
        + packet("D", b"E" + strings(b"i", b"4ABC"))
        + packet("E"),
    )


def greeting() -> tuple[bytes, ...]:
    """What comes once for each connection."""
    client = packet("C", b"client.example.net\x004\x10\x00192.0.2.7\0")
    return OFFER, packet("D", b"C" + strings(b"j", b"mx.example.org")) + client


@dataclass
class Keeper:
    """The store's part, in memory; `journal` says in which order things were done."""

    failing: bool = False
    pause: asyncio.Event | None = None
    held: list[Held] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    memory: set[str] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Held]) -> tuple[str, ...]:
        if self.pause is not None:
            await self.pause.wait()
        if self.failing:
            raise StoreUnavailable("the disk is full")
        self.held += held
        self.journal.append("held")
        return tuple(f"item-{one.recipient}" for one in held)

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        self.records.append(record)

    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]:
        return frozenset(self.memory & set(recipients))

    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None:
        self.memory |= set(recipients)

    async def spend_mark(self, mark_id: str, expires: float) -> bool:
        return True


@dataclass
class Sieve:
    """Does what `action` says about a recipient; fulfilling and the edits of the header are the engine's own."""

    action: Callable[[str], Action] = lambda recipient: Action.ACCEPT
    tag_at: Callable[[str], int] = lambda recipient: 500
    early: Callable[[Envelope], Reply | None] = lambda envelope: None
    keeper: Keeper = field(default_factory=Keeper)
    seen: list[tuple[Envelope, bytes]] = field(default_factory=list)
    kinds: list[type] = field(default_factory=list)
    pause: asyncio.Event | None = None
    cancelled: int = 0

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        self.seen.append((envelope, bytes(raw)))
        self.kinds.append(type(raw))
        if self.pause is not None:
            try:
                await self.pause.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        decisions = tuple(
            Decision(one.address, self.action(one.address), Reason.SPAM_SCORE, "Scripted.", self.tag_at(one.address))
            for one in envelope.recipients
        )
        strip = [
            HeaderSpan(h.name, h.occurrence, h.start, h.end) for h in foreign_verdicts(Message(bytes(raw)).headers)
        ]
        record = Record(
            id=envelope.id,
            envelope=envelope,
            origin=envelope.client,
            outline=Outline(digest="d"),
            decisions=decisions,
        )
        return Outcome(record=record, copies=copies(record, decisions, strip, "mx.example.org"))

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        return await Fulfiller(self.keeper, lambda record: None).fulfil(outcome, raw, delivery)

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        return self.early(envelope)


@dataclass
class Answer:
    """What a milter said at the end of a message."""

    letter: str  # of the last packet: c, d, y, ...
    text: str = ""  # of a reply code
    recipients: list[str] = field(default_factory=list)  # who is left
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)  # the header as it would be queued
    progress: int = 0

    @property
    def header(self) -> bytes:
        return b"".join(b"%b:%b\n" % one for one in self.fields)

    def values(self, name: str) -> list[bytes]:
        return [value.strip() for key, value in self.fields if key.lower() == name.lower().encode()]


class Mta:
    """A mail server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.steps = 0
        self.macros: dict[int, bytes] = {}

    def send(self, letter: str, data: bytes = b"") -> None:
        self.writer.write(packet(letter, data))

    async def packet(self) -> tuple[str, bytes]:
        async with asyncio.timeout(20):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            data = await self.reader.readexactly(length)
        return chr(data[0]), data[1:]

    async def ask(self, letter: str, data: bytes = b"") -> tuple[str, bytes]:
        """Send; wait for an answer unless it was agreed that there is none."""
        self.send(letter, data)
        return ("c", b"") if self.steps & SILENT.get(letter, 0) else await self.packet()

    async def negotiate(self, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> tuple[int, ...]:
        letter, data = await self.ask("O", struct.pack(">III", version, actions, steps))
        assert letter == "O"
        said = struct.unpack_from(">III", data)
        self.steps = said[2]
        rest = data[12:]
        while rest:
            names, _, after = rest[4:].partition(b"\0")
            self.macros[struct.unpack_from(">I", rest)[0]] = names
            rest = after
        assert said[0] <= version
        assert not said[1] & ~actions
        assert not said[2] & ~steps
        return said

    async def client(
        self, name: str = CLIENT[0], address: str | None = CLIENT[1], helo: str = "client.example.net"
    ) -> str:
        """Connect and HELO; the letter of the answer to connect."""
        where = b"U" if address is None else b"4" if "." in address else b"6"
        rest = b"" if address is None else struct.pack(">H", 4321) + address.encode() + b"\0"
        letter, _ = await self.ask("C", name.encode() + b"\0" + where + rest)
        if letter == "c":
            await self.ask("H", helo.encode() + b"\0")
        return letter

    async def greet(self) -> None:
        await self.negotiate()
        assert await self.client() == "c"

    def macro(self, command: str, **values: str) -> None:
        pairs = (
            f"{name if len(name) == 1 else '{' + name + '}'}\0{value}\0".encode() for name, value in values.items()
        )
        self.send("D", command.encode() + b"".join(pairs))

    async def mail(
        self, raw: bytes, *to: str, sender: str = "a@example.net", parameters: Sequence[str] = (), chunk: int = 65535
    ) -> Answer:
        """A whole message. `raw` has CRLF line ends, as SMTP brings them; folds go out as LF, as Postfix has them."""
        recipients = list(to or ("b@example.org",))
        letter, data = await self.ask("M", b"\0".join([f"<{sender}>".encode(), *map(str.encode, parameters)]) + b"\0")
        if letter != "c":
            return Answer(letter, data.rstrip(b"\0").decode())
        for recipient in tuple(recipients):
            letter, data = await self.ask("R", f"<{recipient}>".encode() + b"\0")
            if letter != "c":
                recipients.remove(recipient)
        if not recipients:
            return Answer(letter, data.rstrip(b"\0").decode())
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = []
        for line in re.split(rb"\r\n(?![ \t])", head):
            name, _, value = line.replace(b"\r\n", b"\n").partition(b":")
            fields.append((name, value))
            shown = value if self.steps & LEADING_SPACE else value.removeprefix(b" ")
            assert (await self.ask("L", name + b"\0" + shown + b"\0"))[0] == "c"
        assert (await self.ask("N"))[0] == "c"
        for at in range(0, len(body), chunk):
            assert (await self.ask("B", body[at : at + chunk]))[0] == "c"
        self.send("E")
        return await self.end(recipients, fields)

    async def end(self, recipients: list[str], fields: list[tuple[bytes, bytes]]) -> Answer:
        """Do what the milter says about the message."""
        answer = Answer("", "", recipients, fields)
        while True:
            letter, data = await self.packet()
            if letter == "p":
                answer.progress += 1
            elif letter == "-":
                recipients.remove(data.rstrip(b"\0").decode().strip("<>"))
            elif letter == "m":
                name, value = data[4:-1].split(b"\0")
                assert value == b""
                where = [at for at, one in enumerate(fields) if one[0].lower() == name.lower()]
                del fields[where[struct.unpack_from(">I", data)[0] - 1]]
            elif letter == "i":
                name, value = data[4:-1].split(b"\0")
                assert b"\r" not in value
                space = b"" if self.steps & LEADING_SPACE else b" "
                fields.insert(struct.unpack_from(">I", data)[0], (name, space + value))
            else:
                answer.letter, answer.text = letter, data.rstrip(b"\0").decode()
                return answer

    async def ended(self) -> bool:
        """Is the connection closed from the other side?"""
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Kit:
    """A running listener with what stands behind it."""

    server: MilterServer
    filter: Sieve
    where: Any

    @contextlib.asynccontextmanager
    async def mta(self, *, greeted: bool = True) -> AsyncIterator[Mta]:
        if isinstance(self.where, str):
            mta = Mta(*await asyncio.open_unix_connection(self.where))
        else:
            mta = Mta(*await asyncio.open_connection(*self.where))
        try:
            if greeted:
                await mta.greet()
            yield mta
        finally:
            await mta.close()


@contextlib.asynccontextmanager
async def serving(
    *,
    filter: Sieve | None = None,
    limits: dict[str, Any] | None = None,
    internal: Networks | None = None,
    deadline: float = 90.0,
    progress: float = 10.0,
    unix: Path | None = None,
) -> AsyncIterator[Kit]:
    filter = filter or Sieve()
    server = MilterServer(
        MilterListener(protocol="milter", listen="127.0.0.1:0"),
        limits=SmtpLimits(**limits or {}),
        site=Site("mx.example.org", frozenset(("example.org",)), internal or Networks(), deadline=deadline),
        filter=filter,
        progress=progress,
    )
    if unix is not None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(unix))
        listening.listen(2048)
    else:
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    await server.start([listening])
    try:
        yield Kit(server, filter, listening.getsockname())
    finally:
        await server.drain(1.0)
        assert server.traffic.memory.taken == 0
        assert server.connections == 0
