"""Verdicts: mail that was plainly one or the other goes on to the learning process, where the postmaster wants that.

`Lessons` stands before the engine as a filter and changes nothing of what it says. After a mail was dealt with, and
only then, a copy of it waits here for the one who learns; what there is no room for, or is too large, teaches nothing.
When the learning process has had enough of a class it is left alone for a while. Never delays mail, never raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.frontends import Filter
from filterd.learning import Klass, LearningError, LearningLimits, Request, Result
from filterd.learning.verdicts import lesson
from filterd.mail.envelope import Envelope, Moment
from filterd.reply import Reply

log = structlog.get_logger("filterd.learning")

WAITING = 20
LARGEST = 500_000  # bytes of a message
ENOUGH = 600.0  # seconds

Ask = Callable[[Request], Awaitable[Result]]


class Lessons:
    """A filter that lets `ask` learn from what the engine is sure of."""

    def __init__(self, filter: Filter, ask: Ask, limits: Callable[[], LearningLimits]) -> None:
        self._filter = filter
        self._ask = ask
        self._limits = limits
        self._waiting: asyncio.Queue[Request] = asyncio.Queue(WAITING)
        self._rests: dict[Klass, float] = {}  # until when nothing of a class is asked

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        return await self._filter.screen(envelope, moment, enforce=enforce)

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        return await self._filter.examine(envelope, raw, enforce=enforce)

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        """The filter's; what the mail teaches is noted afterwards."""
        fulfilment = await self._filter.fulfil(outcome, raw, delivery)
        if self._limits().from_verdicts and len(raw) <= LARGEST and not self._waiting.full():
            klass = lesson(outcome.record)
            if klass is not None and self._rests.get(klass, 0.0) < time.monotonic():
                request = Request(klass=klass, raw=bytes(raw), by="verdict", record=outcome.record.id, verdict=True)
                self._waiting.put_nowait(request)
        return fulfilment

    async def run(self) -> None:
        """Hand on what waits, one after another, for ever."""
        while True:
            request = await self._waiting.get()
            try:
                result = await self._ask(request)
            except LearningError as error:
                log.warning("verdict-not-learnt", record=request.record, why=str(error))
                continue
            if result.refused and request.klass is not None:
                self._rests[request.klass] = time.monotonic() + ENOUGH
