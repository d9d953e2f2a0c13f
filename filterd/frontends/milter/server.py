"""MilterServer: a milter listener. It accepts, counts, times out, drains; sessions do the rest.

Its peers are mail servers, which the postmaster let reach it; they are believed and none of them is limited by
its address. When it is full the connection that has been idle longest is closed, so that silence cannot lock
everybody out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from filterd.frontends import Filter
from filterd.frontends.milter.protocol import MilterProtocol
from filterd.frontends.milter.session import PROGRESS, Door
from filterd.frontends.settings import MilterListener
from filterd.frontends.smtp.admission import AbuseLog
from filterd.frontends.smtp.dialogue import Traffic
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.spool import Memory

log = structlog.get_logger("filterd.milter")

_BACKLOG = 1024
_RESTLESS = 0.2  # seconds: who has been idle for less may be just about to speak


class MilterServer:
    """One listener, on one or several addresses."""

    def __init__(
        self,
        settings: MilterListener,
        *,
        limits: SmtpLimits,
        site: Site,
        filter: Filter,
        spool: Path | None = None,
        name: str | None = None,
        progress: float = PROGRESS,
    ) -> None:
        self.name = name or f"milter {settings.listen[0]}"
        self.door = Door(self.name, settings, limits, site, filter, spool, progress)
        self.traffic = Traffic(Memory(limits.memory))
        self.loop: asyncio.AbstractEventLoop
        self._abuse = AbuseLog(log, self.name)
        self._sessions: set[MilterProtocol] = set()
        self._servers: list[asyncio.Server] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        return len(self._sessions)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these listening sockets; they are closed by `close`."""
        self.loop = asyncio.get_running_loop()
        self._watching = self.loop.create_task(self._watch())
        for listening in sockets:
            listening.setblocking(False)
            create: Any = self.loop.create_server
            if listening.family == socket.AF_UNIX:
                create = self.loop.create_unix_server
            self._servers.append(await create(lambda: MilterProtocol(self), sock=listening, backlog=_BACKLOG))

    def adopt(self, **changes: Any) -> None:
        """Go on with other `settings`, `limits`, `site` or `filter`, from the next mail on. The name stays."""
        self.door = replace(self.door, **changes)
        self.traffic.memory.limit = self.door.limits.memory

    def close(self) -> None:
        """Take no new connections."""
        for server in self._servers:
            server.close()

    async def drain(self, seconds: float | None = None) -> None:
        """Close what is idle, let messages end; what is left after `seconds`, or on cancel, is cut."""
        self.close()
        for session in tuple(self._sessions):
            session.retire()
        try:
            async with asyncio.timeout(seconds):
                while left := {session.task for session in self._sessions} | self.traffic.work:
                    await asyncio.wait(left)
        except TimeoutError:
            log.warning("drain-cut", listener=self.name, sessions=len(self._sessions))
        finally:
            for session in tuple(self._sessions):
                session.cut()
            for work in self.traffic.work:
                work.cancel()
            if self._watching is not None:
                self._watching.cancel()

    def enter(self, session: MilterProtocol) -> bool:
        """A session begins. False: there is no room, and none can be made."""
        if len(self._sessions) >= self.door.limits.connections and not self._make_room():
            self.note("connections", session)
            return False
        self._sessions.add(session)
        return True

    def leave(self, session: MilterProtocol) -> None:
        self._sessions.discard(session)

    def note(self, what: str, session: MilterProtocol) -> None:
        """One line in the log, or less when it is the same again."""
        peer = session.wire.get_extra_info("peername")
        self._abuse.note(what, peer[0] if isinstance(peer, tuple) else None, self.loop.time())

    def _make_room(self) -> bool:
        """Close the session that has been idle longest."""
        idle = [session for session in self._sessions if session.idle]
        oldest = min(idle, key=lambda session: session.since, default=None)
        if oldest is None or self.loop.time() - oldest.since < _RESTLESS:
            return False
        oldest.cut()
        self.leave(oldest)
        return True

    async def _watch(self) -> None:
        while True:
            limits = self.door.limits
            await asyncio.sleep(min(1.0, limits.line_timeout / 4, limits.handshake_timeout / 4))
            now = self.loop.time()
            for session in tuple(self._sessions):
                session.check(now)
