"""Judge messages that lie on a disk, by the very pipeline of the service.

In: messages in wire form and what is known of their envelopes. Out: one record each, in their order.
Nothing is delivered, kept or marked. What is not said about an envelope is read from the message where its
last server wrote it down: the sender from Return-Path, the recipient from Delivered-To, the time from the
topmost Received line.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from filterd.app.build import inline, pooled
from filterd.app.world import World
from filterd.config.load import Loaded
from filterd.engine.engine import Engine, ask_nobody
from filterd.ids import new_id
from filterd.mail import Direction, Envelope, Message, Origin, Recipient, Source
from filterd.record import Record
from filterd.sources import Found, Item, Unreadable
from filterd.store import Held, StoreUnavailable

AT_ONCE = 16  # messages whose questions are asked at the same time


@dataclass(frozen=True, slots=True)
class Said:
    """What the person who asks knows of the envelope; None is not known."""

    ip: str | None = None
    helo: str | None = None
    hostname: str | None = None
    mail_from: str | None = None
    recipients: tuple[str, ...] = ()
    user: str | None = None
    received_at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Scanned:
    path: str
    record: Record


class _KeepsNothing:
    """The keeper of an engine that only examines."""

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Held]) -> tuple[str, ...]:
        raise StoreUnavailable("a scan keeps nothing")

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        return None

    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]:
        return frozenset()

    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None:
        return None

    async def spend_mark(self, mark_id: str, expires: float) -> bool:
        return False

    async def return_mark(self, mark_id: str) -> None:
        return None

    async def released(self, sender: str, recipient: str, since: datetime.datetime) -> bool:
        return False


async def scan(
    items: Iterable[Item], loaded: Loaded, said: Said, *, offline: bool = False, jobs: int = 1
) -> AsyncIterator[Scanned | Unreadable]:
    """The record of each message. `jobs` over 1 starts worker processes. Raises what loading raises."""
    world = None if offline else World(loaded.config)
    ask = ask_nobody if world is None else world.ask
    generation = inline(loaded, ask) if jobs == 1 else await pooled(loaded, ask, workers=jobs)
    engine = Engine(generation, _KeepsNothing())
    if world is not None:
        world.start()
    waiting: deque[asyncio.Future[Scanned | Unreadable]] = deque()
    try:
        for item in items:
            waiting.append(asyncio.ensure_future(_one(engine, item, loaded, said)))
            if len(waiting) >= AT_ONCE:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await generation.judges.close()
        if world is not None:
            await world.aclose()


async def _one(engine: Engine, item: Item, loaded: Loaded, said: Said) -> Scanned | Unreadable:
    if isinstance(item, Unreadable):
        return item
    outcome = await engine.examine(envelope_of(item, said, loaded.config.domains), item.raw)
    return Scanned(item.path, outcome.record)


def envelope_of(item: Found, said: Said, domains: Sequence[str]) -> Envelope:
    """The envelope of a stored message."""
    message = Message(item.raw)
    recipients = said.recipients or (_header_address(message, "Delivered-To") or _somebody(domains),)
    sender = said.mail_from if said.mail_from is not None else _header_address(message, "Return-Path")
    arrived = message.received[0].date if message.received else None
    known = said.ip or said.helo or said.hostname
    return Envelope(
        id=new_id(),
        received_at=said.received_at or arrived or datetime.datetime.now(datetime.UTC),
        listener="scan",
        peer=None,
        client=Origin(said.ip, said.hostname, said.helo, Source.REQUEST) if known else Origin(),
        sender=sender or "",
        recipients=tuple(Recipient(address) for address in recipients),
        user=said.user,
        direction=Direction.OUTBOUND if said.user else Direction.INBOUND,
    )


def _header_address(message: Message, name: str) -> str | None:
    header = message.headers.first(name)
    return header.text.strip().strip("<>").strip() if header is not None else None


def _somebody(domains: Sequence[str]) -> str:
    return f"somebody@{domains[0] if domains else 'localhost'}"
