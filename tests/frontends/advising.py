"""What the tests of the spamd and HTTP doors stand on: a filter with a verdict, a pupil, doors on loopback.

async with opened(spamd(filter=Verdicts(points=900))) as port:
    answer = await ask(port, b"CHECK SPAMC/1.5\r\n...")
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from filterd.decision import Action, Decision, HeaderSpan, Reason
from filterd.engine.budget import Budget
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.findings import Finding
from filterd.frontends.advice import Desk
from filterd.frontends.http import Route
from filterd.frontends.http.door import HttpDoor
from filterd.frontends.learner import Klass, LearnError
from filterd.frontends.settings import HttpListener
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.spamd.door import SpamdDoor
from filterd.frontends.words import QuarantineAs
from filterd.mail.envelope import Envelope, Moment
from filterd.record import Outline, Record, Verdict
from filterd.reply import Reply

MAIL = b"From: a@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nHello.\r\n"


@dataclass
class Verdicts:
    """A `Filter` that finds `findings` in everything, and does what `action` says about a recipient."""

    action: Callable[[str], Action] = lambda recipient: Action.ACCEPT
    findings: tuple[Finding, ...] = (Finding("SYMBOL", 40, "What it means.", "evidence"),)
    reason: Reason = Reason.CLEAN
    strip: tuple[HeaderSpan, ...] = ()
    outline: Outline = Outline(message_id="<1@example.net>")
    early: Reply | None = None
    seen: list[tuple[Envelope, bytes]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    pause: asyncio.Event | None = None
    raises: Exception | None = None
    would: Action | None = None

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        self.seen.append((envelope, bytes(raw)))
        if self.pause is not None:
            await self.pause.wait()
        if self.raises is not None:
            raise self.raises
        decisions = tuple(
            Decision(one.address, self.action(one.address), self.reason, "Because.", would=self.would)
            for one in envelope.recipients
        )
        verdict = Verdict(findings=self.findings, points=sum(one.points for one in self.findings))
        record = Record(
            id=envelope.id,
            envelope=envelope,
            origin=envelope.client,
            decisions=decisions,
            verdict=verdict,
            outline=self.outline,
        )
        return Outcome(record=record, copies=(), strip=self.strip)

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        self.deliveries.append(delivery)
        return Fulfilment(reply=Reply(250), replies=(), record=outcome.record)

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        return self.early


@dataclass
class Pupil:
    """A learner. What it knows already it does not learn again."""

    known: dict[bytes, Klass] = field(default_factory=dict)
    told: list[tuple[bytes, Klass, str | None, str]] = field(default_factory=list)
    broken: str = ""

    async def learn(self, raw: bytes, klass: Klass, *, user: str | None, by: str) -> bool:
        if self.broken:
            raise LearnError(self.broken)
        self.told.append((raw, klass, user, by))
        before = self.known.get(raw, Klass.FORGET)
        self.known[raw] = klass
        return before is not klass


def desk(
    *,
    filter: Any = None,
    learner: Any = None,
    limits: Mapping[str, Any] | None = None,
    room: int = 300_000_000,
    wait: float = 20.0,
    deadline: float = 90.0,
    quarantine: QuarantineAs = QuarantineAs.ADD_HEADER,
) -> Desk:
    return Desk(
        name="test",
        filter=filter or Verdicts(),
        learner=learner or Pupil(),
        site=Site(hostname="mx.example.org", domains=frozenset(("example.org",)), deadline=deadline),
        limits=SmtpLimits(**limits or {}),
        room=Budget(room),
        wait=wait,
        quarantine=quarantine,
    )


def spamd(*, tell: bool = True, **how: Any) -> SpamdDoor:
    return SpamdDoor(desk(**how), tell=tell)


def http(
    routes: Mapping[str, Route] | None = None,
    *,
    controller: bool = True,
    settings: Mapping[str, Any] | None = None,
    **how: Any,
) -> HttpDoor:
    listener = HttpListener.model_validate({"protocol": "http", "listen": "127.0.0.1:1", **(settings or {})})
    return HttpDoor(desk(**how), listener, routes or {}, controller=controller)


@contextlib.asynccontextmanager
async def opened(door: SpamdDoor | HttpDoor) -> AsyncIterator[int]:
    """The door on loopback; its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    port: int = listening.getsockname()[1]
    await door.start([listening])
    try:
        yield port
    finally:
        door.close()
        async with asyncio.timeout(20):
            await door.drain()


async def ask(port: int, request: bytes, *, shut: bool = False) -> bytes:
    """All that is answered until the other side closes; b"" when it resets. `shut`: close our side after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        if shut:
            writer.write_eof()
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
