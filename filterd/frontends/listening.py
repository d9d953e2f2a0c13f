"""Listening: the connections of one listener, whatever they speak. It accepts, counts, times out, drains; each
connection does the rest.

When all places are taken, whoever has been of no use for longest makes room for the next one, so that silence cannot
lock everybody out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from filterd.frontends.abuse import AbuseLog
from filterd.frontends.connection import Connection
from filterd.frontends.smtp.settings import SmtpLimits

log = structlog.get_logger("filterd.doors")

_BACKLOG = 1024
_RESTLESS = 0.2  # seconds: who has been idle for less may be just about to speak

C = TypeVar("C", bound=Connection)


class Listening(Generic[C]):
    """`limits` gives those that are in force. `work` is what goes on after its connection has ended; draining waits
    for it, too."""

    def __init__(self, name: str, limits: Callable[[], SmtpLimits]) -> None:
        self.name = name
        self.limits = limits
        self.work: set[asyncio.Task[Any]] = set()
        self.loop: asyncio.AbstractEventLoop
        self._abuse = AbuseLog(name)
        self._connections: set[C] = set()
        self._servers: list[asyncio.Server] = []
        self._watching: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def start(self, sockets: Sequence[socket.socket], connected: Callable[[], C]) -> None:
        """Serve these listening sockets; they are closed by `close`."""
        self.loop = asyncio.get_running_loop()
        self._watching = self.loop.create_task(self._watch())
        for listening in sockets:
            listening.setblocking(False)
            create: Any = self.loop.create_server
            if listening.family == socket.AF_UNIX:
                create = self.loop.create_unix_server
            self._servers.append(await create(connected, sock=listening, backlog=_BACKLOG))

    def close(self) -> None:
        """Take no new connections."""
        for server in self._servers:
            server.close()

    async def drain(self, seconds: float | None = None) -> None:
        """Send the idle away, let what is in hand end; what is left after `seconds`, or on cancel, is cut."""
        self.close()
        for connection in tuple(self._connections):
            connection.retire()
        try:
            async with asyncio.timeout(seconds):
                while left := {connection.task for connection in self._connections} | self.work:
                    await asyncio.wait(left)
        except TimeoutError:
            log.warning("drain-cut", listener=self.name, sessions=len(self._connections))
        finally:
            for connection in tuple(self._connections):
                connection.cut()
            for work in self.work:
                work.cancel()
            if self._watching is not None:
                self._watching.cancel()

    def enter(self, connection: C) -> bool:
        """It has come to stay. False: there is no room, and none can be made."""
        if len(self._connections) >= self.limits().connections and not self._make_room():
            connection.note("connections")
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: C) -> None:
        self._connections.discard(connection)

    def note(self, what: str, peer: str | None) -> None:
        """One line in the log, or less when it is the same again."""
        self._abuse.note(what, peer, self.loop.time())

    def _make_room(self) -> bool:
        now = self.loop.time()
        wasted = {connection: connection.wasted(now) for connection in self._connections}
        worst = max(wasted, key=wasted.__getitem__, default=None)
        if worst is None or wasted[worst] <= _RESTLESS:
            return False
        worst.make_room()
        self.leave(worst)
        return True

    async def _watch(self) -> None:
        while True:
            limits = self.limits()
            shortest = min(
                limits.command_timeout, limits.line_timeout, limits.handshake_timeout, limits.data_window,
                limits.data_timeout,
            )  # fmt: skip
            await asyncio.sleep(min(1.0, shortest / 4))
            now = self.loop.time()
            for connection in tuple(self._connections):
                connection.check(now)
