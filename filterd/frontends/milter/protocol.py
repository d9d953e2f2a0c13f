"""MilterProtocol: one connection of a mail server, between its socket and its session.

Packets are obeyed one after another; what comes meanwhile waits, within bounds, for the socket is not read
beyond them. Bytes that are no milter protocol close the connection, which no other one notices.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from filterd.frontends.connection import Connection
from filterd.frontends.milter.session import Session
from filterd.frontends.milter.wire import LONGEST, Malformed, Packets

if TYPE_CHECKING:
    from filterd.frontends.milter.server import MilterServer

IDLE = 7210.0  # seconds without a word; libmilter's own, which is longer than any SMTP client may be silent
_MOST_UNREAD = LONGEST + 4
_TURN = 200  # packets of one connection after which it is somebody else's turn


class MilterProtocol(Connection):
    """One connection to a `MilterServer`."""

    def __init__(self, server: MilterServer) -> None:
        super().__init__(server.listening)
        self._since = self.loop.time()  # when something last came or went
        self._working = True
        self._packets = Packets()
        self._session: Session
        self._server = server

    @property
    def idle(self) -> bool:
        """Waiting for a mail server that has no message open."""
        return not self._working and not self._session.within_mail

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        server = self._server
        self._session = Session(lambda: server.door, self.peer, server.traffic, self.say, self.gone)

    def data_received(self, data: bytes) -> None:
        self._packets.feed(data)
        self._since = self.loop.time()
        if len(self._packets) >= _MOST_UNREAD:
            self.hold()
        self.wake()

    def check(self, now: float) -> None:
        limits = self.listening.limits()
        silent = now - self._since
        if self.unheard:
            late = silent > limits.command_timeout
        elif self._working:
            return
        elif not self._session.agreed:
            late = silent > limits.handshake_timeout
        else:
            late = silent > (limits.line_timeout if len(self._packets) else IDLE)
        if late:
            self.note("too slow")
            self.cut()

    def wasted(self, now: float) -> float:
        return now - self._since if self.idle else 0.0

    def retire(self) -> None:
        super().retire()
        if self.idle:
            self.cut()

    def say(self, data: bytes) -> None:
        self._since = self.loop.time()
        super().say(data)

    async def converse(self) -> None:
        if not self.listening.enter(self):
            return
        session, obeyed = self._session, 0
        while session.ended is None and not self.gone.done():
            packet = self._packets.take()
            if packet is None:
                if self.retiring and not session.within_mail:
                    return
                self._working = False
                await self.more()
                self._working = True
            elif isinstance(packet, Malformed):
                session.ended = packet.text
            else:
                answer = session.obey(packet)
                if not isinstance(answer, bytes):
                    answer = await answer
                if answer:
                    self.say(answer)
                    await self.heard()
                obeyed += 1
                if obeyed % _TURN == 0:
                    await asyncio.sleep(0)

    async def ended(self) -> None:
        self._session.abandon()
        if self._session.ended:
            self.note(self._session.ended)
