"""Connection: one client of a door, between its socket and the conversation with it.

In: what a transport calls, of asyncio or of uvloop. The conversation is one task that nothing cancels from outside: a
client that leaves, a timeout and a shutdown all end its waiting for `more` with `Gone`. Whatever ends it, the
connection is closed: when what was said has gone out, or after a while without that.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import structlog

from filterd.frontends.smtp.door import Caller

if TYPE_CHECKING:
    from filterd.frontends.listening import Listening

log = structlog.get_logger("filterd.doors")

CLOSING = 10.0  # seconds that a closing connection may take to send what is left


class Gone(Exception):
    """The client will say nothing more, or nothing that is worth waiting for."""


class Connection(asyncio.Protocol):
    """What each protocol builds on: its `data_received` keeps what came and wakes, its `converse` waits and answers."""

    def __init__(self, listening: Listening[Any]) -> None:
        self.listening = listening
        self.loop = listening.loop
        self.wire: asyncio.Transport
        self.task: asyncio.Task[None]
        self.gone: asyncio.Future[None] = self.loop.create_future()  # done: nobody listens any more
        self.retiring = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._lost = False
        self._aborting: asyncio.TimerHandle | None = None

    @cached_property
    def peer(self) -> str | None:
        """The address of the other end; None on a Unix socket."""
        return Caller.at(self.wire.get_extra_info("peername")).address

    async def converse(self) -> None:
        """All of it, from `Listening.enter` on. May raise Gone; anything else is logged."""
        raise NotImplementedError

    def failed(self) -> None:
        """The conversation broke: a last word may be said."""

    async def ended(self) -> None:
        """The conversation is over, however it ended."""

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast(asyncio.Transport, transport)
        self.task = self.loop.create_task(self._serve())

    def eof_received(self) -> bool | None:
        self.give_up()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.give_up()
        self._writable.set()
        if self._aborting is not None:
            self._aborting.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # what the listener calls

    def check(self, now: float) -> None:
        """Called every second or so: cut who is too slow."""

    def wasted(self, now: float) -> float:
        """For how many seconds this connection has been of no use to anybody; 0 when it is of use."""
        return 0.0

    def retire(self) -> None:
        """Close when what is in hand has ended; at once when there is nothing."""
        self.retiring = True

    def make_room(self) -> None:
        """Close, for somebody else's sake."""
        self.cut()

    def cut(self) -> None:
        """Close without a word."""
        self.wire.abort()
        self.give_up()

    # what the conversation calls

    async def more(self) -> None:
        """Wait until the client said something; raises Gone when it will not."""
        if self.gone.done():
            raise Gone
        if not self._reading and not self.wire.is_closing():
            self._reading = True
            self.wire.resume_reading()
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self.gone.done():
            raise Gone

    def hold(self) -> None:
        """Enough has come: read on when there is `more` to wait for."""
        if self._reading and not self.wire.is_closing():
            self._reading = False
            self.wire.pause_reading()

    def wake(self) -> None:
        """There is more."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def say(self, data: bytes) -> None:
        if not self.wire.is_closing():
            self.wire.write(data)

    @property
    def unheard(self) -> bool:
        """Does the client not read what was said?"""
        return not self._writable.is_set()

    async def heard(self) -> None:
        """Wait while the client does not read what was said."""
        if self.unheard:
            await self._writable.wait()

    def give_up(self) -> None:
        """Wait for nothing more from this client."""
        if not self.gone.done():
            self.gone.set_result(None)
        self.wake()

    def note(self, what: str) -> None:
        """A line in the log about this client."""
        self.listening.note(what, self.peer)

    def close(self) -> None:
        self.wire.close()
        if not self._lost and self._aborting is None:  # a timer that nothing cancels would keep all of it for nothing
            self._aborting = self.loop.call_later(CLOSING, self.wire.abort)

    async def _serve(self) -> None:
        try:
            await self.converse()
        except Gone:
            pass
        except Exception:
            log.exception("session-failed", listener=self.listening.name)
            self.failed()
        finally:
            await self.ended()
            self.close()
            self.listening.leave(self)
