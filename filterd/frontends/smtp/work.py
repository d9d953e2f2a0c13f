"""Work: one mail between its final dot and its reply.

Judged, then fulfilled. The reply comes in time: when the deadline passes or the client leaves first, judging
stops; but fulfilling is never cut, for what the quarantine or the next hop has taken must be recorded. It is
only told, through the delivery, that no further copy may go out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.frontends import Filter
from filterd.frontends.smtp import replies
from filterd.mail.envelope import Envelope
from filterd.reply import Reply

log = structlog.get_logger("filterd.smtp")


class Withdrawable(Delivery, Protocol):
    def withdraw(self) -> None:
        """From now on no copy goes out."""
        ...


class Work:
    """`outcome` is what was concluded, from the time that it was."""

    def __init__(
        self,
        filter: Filter,
        envelope: Envelope,
        raw: bytes | memoryview,
        delivery: Withdrawable,
        *,
        enforce: bool,
    ) -> None:
        self._filter = filter
        self._envelope = envelope
        self._raw = raw
        self._delivery = delivery
        self._enforce = enforce
        self.outcome: Outcome | None = None
        self._task: asyncio.Task[Fulfilment]

    def start(self, ended: Callable[[], None]) -> asyncio.Task[Fulfilment]:
        """Begin. `ended` is called when the message is needed no more, which may be after the answer."""
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(lambda task: ended())
        return self._task

    async def answer(self, gone: asyncio.Future[None], deadline: float) -> tuple[Reply, ...]:
        """One reply, with LMTP one per recipient; see `result`."""
        return self._each(await self.result(gone, deadline))

    async def result(self, gone: asyncio.Future[None], deadline: float) -> Fulfilment | Reply:
        """What came of it within `deadline` seconds; the reply that says why not, when that passes or `gone`."""
        await asyncio.wait((self._task, gone), timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            return self._result()
        log.warning("given-up", id=self._envelope.id, why="client left" if gone.done() else "deadline")
        self._delivery.withdraw()
        if self.outcome is not None:
            self._task.add_done_callback(lambda task: self._result())
        else:
            self._task.cancel()
        return replies.about(replies.TOO_LATE, self._envelope.id)

    async def _run(self) -> Fulfilment:
        self.outcome = await self._filter.examine(self._envelope, self._raw, enforce=self._enforce)
        return await self._filter.fulfil(self.outcome, self._raw, self._delivery)

    def _result(self) -> Fulfilment | Reply:
        error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        if error is None:
            return self._task.result()
        log.error("filter-failed", id=self._envelope.id, why=repr(error))
        return replies.about(replies.TROUBLE, self._envelope.id)

    def _each(self, result: Fulfilment | Reply) -> tuple[Reply, ...]:
        each = self._delivery.replies_each
        if isinstance(result, Reply):
            return (result,) * (len(self._envelope.recipients) if each else 1)
        return tuple(map(replies.with_status, result.replies if each else (result.reply,)))
