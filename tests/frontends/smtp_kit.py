"""What the tests of the SMTP door stand on: a next hop in memory, a filter, a client that speaks by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from filterd.decision import Action, Copy, Decision, Reason
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.frontends.settings import SmtpListener, SubmissionListener
from filterd.frontends.smtp import Site, SmtpLimits
from filterd.frontends.smtp.server import SmtpServer
from filterd.mail.envelope import Envelope, Moment, Recipient
from filterd.record import Record
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.own import OwnHop
from filterd.reply import Reply

ALL = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
OK = Reply(250, "Ok", "2.0.0")


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Delivered:
    """What the next hop took."""

    sender: str
    parameters: tuple[str, ...]
    recipients: list[Recipient]
    content: bytes
    handover: Handover

    @property
    def message(self) -> bytes:
        """Without our Received line."""
        assert self.content.startswith(b"Received: ")
        lines = self.content.split(b"\r\n")
        end = next(at for at, line in enumerate(lines) if at and not line.startswith(b"\t"))
        return b"\r\n".join(lines[end:])


@dataclass
class Hop:
    """A `NextHop` in memory. `answer` says what is answered to a verb; None is yes."""

    capabilities_: Capabilities | None = field(
        default_factory=lambda: Capabilities(dict.fromkeys(ALL, "") | {"SIZE": "50000000"})
    )
    answer: Callable[[str, str], Reply | None] = lambda verb, argument: None
    delivered: list[Delivered] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    open: int = 0  # conversations that were begun and not given back
    before_dot: asyncio.Event | None = None  # the content is read when this is set
    after_dot: asyncio.Event | None = None  # the answer comes when this is set
    url: str = "test:"

    async def capabilities(self) -> Capabilities | None:
        return self.capabilities_

    def transaction(self, handover: Handover) -> HopTransaction:
        return HopTransaction(self, handover)

    async def reserve(self, handover: Handover) -> OwnHop | None:
        return None

    async def healthy(self) -> str | None:
        return None

    async def aclose(self) -> None:
        pass


class HopTransaction:
    def __init__(self, hop: Hop, handover: Handover) -> None:
        self.hop, self.handover = hop, handover
        self.mail_: tuple[str, tuple[str, ...]] = "", ()
        self.accepted: list[Recipient] = []
        self.began = False

    def _said(self, verb: str, argument: str) -> Reply:
        self.hop.verbs.append(f"{verb} {argument}".strip())
        return self.hop.answer(verb, argument) or OK

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply:
        self.hop.open += not self.began
        self.began = True
        self.mail_ = sender, tuple(parameters)
        return self._said("MAIL", " ".join((sender, *parameters)))

    async def rcpt(self, recipient: Recipient) -> Reply:
        reply = self._said("RCPT", recipient.address)
        if reply.ok:
            self.accepted.append(recipient)
        return reply

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        if self.hop.before_dot is not None:
            await self.hop.before_dot.wait()
        content = b"".join(map(bytes, chunks))
        if self.hop.after_dot is not None:
            await self.hop.after_dot.wait()
        replies = tuple(self._said("DOT", one.address) for one in self.accepted)
        if any(reply.ok for reply in replies):
            self.hop.delivered.append(Delivered(*self.mail_, self.accepted, content, self.handover))
        return replies

    async def reset(self) -> None:
        self.hop.verbs.append("RSET")

    async def close(self) -> None:
        self.hop.open -= self.began
        self.began = False

    def another(self) -> HopTransaction:
        return HopTransaction(self.hop, self.handover)


@dataclass
class Sieve:
    """A `Filter` that accepts, or does what `action` says about a recipient."""

    action: Callable[[str], Action] = lambda recipient: Action.ACCEPT
    early: Callable[[Envelope], Reply | None] = lambda envelope: None
    seen: list[tuple[Envelope, bytes]] = field(default_factory=list)
    raws: list[Any] = field(default_factory=list)
    pause: asyncio.Event | None = None
    ended: int = 0
    raises: Exception | None = None

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        self.seen.append((envelope, bytes(raw)))
        self.raws.append(type(raw))
        if self.pause is not None:
            await self.pause.wait()
        if self.raises is not None:
            raise self.raises
        decisions = tuple(
            Decision(one.address, self.action(one.address), Reason.CLEAN, "") for one in envelope.recipients
        )
        groups: dict[Action, list[int]] = {}
        for at, decision in enumerate(decisions):
            groups.setdefault(decision.action, []).append(at)
        copies = tuple(Copy(tuple(who), action) for action, who in groups.items())
        record = Record(id=envelope.id, envelope=envelope, origin=envelope.client, decisions=decisions)
        return Outcome(record=record, copies=copies)

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        replies: dict[int, Reply] = {}
        for copy in outcome.copies:
            if copy.action.delivers:
                replies |= zip(copy.recipients, await delivery.deliver(copy, (raw,)), strict=True)
            else:
                refused = Reply(550, "Refused", "5.7.1")
                replies |= dict.fromkeys(copy.recipients, refused)
        each = tuple(replies[at] for at in sorted(replies))
        worst = next((reply for reply in each if not reply.ok), each[0])
        self.ended += 1
        return Fulfilment(reply=worst, replies=each, record=outcome.record)

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        return self.early(envelope)


class Client:
    """Speaks SMTP by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: str | bytes) -> None:
        self.writer.write(data if isinstance(data, bytes) else data.encode())

    async def reply(self) -> str:
        """One reply, all its lines."""
        lines = ""
        async with asyncio.timeout(20):
            while True:
                line = (await self.reader.readline()).decode()
                lines += line
                if not line or line[3:4] != "-":
                    return lines

    async def ask(self, command: str | bytes) -> str:
        self.send(command + (b"\r\n" if isinstance(command, bytes) else "\r\n"))
        return await self.reply()

    async def hello(self, name: str = "client.example") -> str:
        return await self.ask(f"EHLO {name}")

    async def mail(self, data: bytes, *to: str, sender: str = "a@example.net") -> str:
        """A transaction of one message; the last reply."""
        await self.ask(f"MAIL FROM:<{sender}>")
        for recipient in to or ("b@example.org",):
            await self.ask(f"RCPT TO:<{recipient}>")
        answer = await self.ask("DATA")
        return await self.ask(data + b".") if answer.startswith("354") else answer

    async def ends(self) -> bool:
        """Is the connection closed from the other side?"""
        async with asyncio.timeout(20):
            return await self.reader.read() == b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Kit:
    """A running listener with what stands behind it."""

    server: SmtpServer
    hop: Hop
    filter: Sieve
    port: int
    address: str = "127.0.0.1"

    @contextlib.asynccontextmanager
    async def client(self, *, greeted: bool = True, **how: Any) -> AsyncIterator[Client]:
        client = Client(*await asyncio.open_connection(self.address, self.port, **how))
        try:
            if greeted:
                assert (await client.reply()).startswith("220 ")
            yield client
        finally:
            await client.close()


def listener(**settings: Any) -> SmtpListener | SubmissionListener:
    """By default nobody is trusted."""
    kind = SubmissionListener if settings.get("protocol") == "submission" else SmtpListener
    return kind(
        **{"protocol": "smtp", "listen": "127.0.0.1:0", "relay": "smtp://127.0.0.1:1", "trusted": []} | settings
    )


@contextlib.asynccontextmanager
async def serving(
    *,
    hop: Any = None,
    filter: Sieve | None = None,
    limits: dict[str, Any] | None = None,
    site: dict[str, Any] | None = None,
    context: Any = None,
    address: str = "127.0.0.1",
    **settings: Any,
) -> AsyncIterator[Kit]:
    hop, filter = hop or Hop(), filter or Sieve()
    server = SmtpServer(
        listener(**settings),
        limits=SmtpLimits(**limits or {}),
        site=Site(**{"hostname": "mx.example.org", "domains": frozenset(("example.org",))} | (site or {})),
        hop=hop,
        filter=filter,
        tls=context,
    )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, 0), family=family, backlog=2048, dualstack_ipv6=address == "::")
    await server.start([listening])
    try:
        yield Kit(server, hop, filter, listening.getsockname()[1], address)
    finally:
        await server.drain(1.0)
        if isinstance(hop, Hop):
            assert hop.open == 0, "a conversation with the next hop was not given back"
        assert server.traffic.memory.taken == 0


def on_both_loops(main: Callable[[], Any]) -> None:
    """Run it under asyncio's loop and under uvloop: they disagree about when a connection begins to read."""
    asyncio.run(main())
    uvloop.run(main())


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))
