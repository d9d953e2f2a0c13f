"""MilterProtocol: one connection of a mail server, between its socket and its session.

Packets are obeyed one after another; what comes meanwhile waits, within bounds, for the socket is not read
beyond them. Bytes that are no milter protocol close the connection, which no other one notices.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from filterd.frontends.milter.session import Session
from filterd.frontends.milter.wire import LONGEST, Malformed, Packets
from filterd.frontends.smtp.door import Caller

if TYPE_CHECKING:
    from filterd.frontends.milter.server import MilterServer

log = structlog.get_logger("filterd.milter")

IDLE = 7210.0  # seconds without a word; libmilter's own, which is longer than any SMTP client may be silent
_MOST_UNREAD = LONGEST + 4
_TURN = 200  # packets of one connection after which it is somebody else's turn


class MilterProtocol(asyncio.Protocol):
    """One connection to a `MilterServer`."""

    def __init__(self, server: MilterServer) -> None:
        self.since = server.loop.time()  # when something last came or went
        self.working = True
        self.retiring = False
        self.wire: asyncio.Transport
        self.task: asyncio.Task[None]
        self._server = server
        self._session: Session
        self._packets = Packets()
        self._gone: asyncio.Future[None] = server.loop.create_future()
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True

    @property
    def idle(self) -> bool:
        """Waiting for a mail server that has no message open."""
        return not self.working and not self._session.within_mail

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast(asyncio.Transport, transport)
        server = self._server
        peer = Caller.at(transport.get_extra_info("peername")).address
        self._session = Session(lambda: server.door, peer, server.traffic, self._say, self._gone)
        self.task = server.loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._packets.feed(data)
        self.since = self._server.loop.time()
        if self._reading and len(self._packets) >= _MOST_UNREAD:
            self._reading = False
            self.wire.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def check(self, now: float) -> None:
        """Called every second or so: cut who is too slow."""
        limits = self._server.door.limits
        silent = now - self.since
        if not self._writable.is_set():
            late = silent > limits.command_timeout
        elif self.working:
            return
        elif not self._session.agreed:
            late = silent > limits.handshake_timeout
        else:
            late = silent > (limits.line_timeout if len(self._packets) else IDLE)
        if late:
            self._server.note("too slow", self)
            self.cut()

    def retire(self) -> None:
        """Close when the open message has ended; at once when there is none."""
        self.retiring = True
        if self.idle:
            self.cut()

    def cut(self) -> None:
        """Close without a word: the protocol has none that a mail server waits for."""
        self.wire.abort()
        self._leave()

    async def _serve(self) -> None:
        session, server = self._session, self._server
        try:
            if server.enter(self):
                await self._converse(session)
        except Exception:
            log.exception("session-failed", listener=server.name)
        finally:
            session.abandon()
            if session.ended:
                server.note(session.ended, self)
            self.wire.close()
            server.leave(self)

    async def _converse(self, session: Session) -> None:
        obeyed = 0
        while session.ended is None and not self._gone.done():
            packet = self._packets.take()
            if packet is None:
                if self.retiring and not session.within_mail:
                    return
                await self._await_more()
            elif isinstance(packet, Malformed):
                session.ended = packet.text
            else:
                if answer := await session.obey(packet):
                    self._say(answer)
                    await self._writable.wait()
                obeyed += 1
                if obeyed % _TURN == 0:
                    await asyncio.sleep(0)

    async def _await_more(self) -> None:
        if not self._reading:
            self._reading = True
            self.wire.resume_reading()
        self._waiter = self._server.loop.create_future()
        self.working = False
        try:
            await self._waiter
        finally:
            self._waiter, self.working = None, True

    def _say(self, data: bytes) -> None:
        if not self.wire.is_closing():
            self.since = self._server.loop.time()
            self.wire.write(data)

    def _leave(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
