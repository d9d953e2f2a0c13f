"""SmtpServer: an SMTP or LMTP listener. It accepts, counts, times out, drains; sessions do the rest.

Plain listeners are served by the loop itself. Where something stands before SMTP (a PROXY header, implicit
TLS) the connection is accepted here and becomes a session when that is over.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from filterd.frontends import Filter
from filterd.frontends.proxy import ProxyError, read_proxy
from filterd.frontends.settings import SmtpListener, SubmissionListener, TlsUse
from filterd.frontends.smtp import replies
from filterd.frontends.smtp.admission import AbuseLog, Admission, Failures
from filterd.frontends.smtp.dialogue import Traffic
from filterd.frontends.smtp.door import Caller, Door
from filterd.frontends.smtp.protocol import SmtpProtocol
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.spool import Memory
from filterd.relay.hop import NextHop
from filterd.reply import Reply

log = structlog.get_logger("filterd.smtp")

_BACKLOG = 1024
_RESTLESS = 0.2  # seconds: who has been idle for less may be just about to speak


class SmtpServer:
    """One listener, on one or several addresses."""

    def __init__(
        self,
        settings: SmtpListener | SubmissionListener,
        *,
        limits: SmtpLimits,
        site: Site,
        hop: NextHop,
        filter: Filter,
        tls: ssl.SSLContext | None = None,
        spool: Path | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or f"{'lmtp' if settings.lmtp else settings.protocol} {settings.listen[0]}"
        self.door = Door(self.name, settings, limits, site, hop, filter, tls, spool)
        self.traffic = Traffic(Memory(limits.memory))
        self.abuse = AbuseLog(log, self.name)
        self.loop: asyncio.AbstractEventLoop
        self._admission = Admission()
        self._failures = Failures()
        self._sessions: dict[SmtpProtocol, bool] = {}  # and whether it was counted by its address
        self._listening: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._arriving: set[asyncio.Task[Any]] = set()  # what accepts, and what stands before SMTP
        self._watching: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        return len(self._sessions)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these listening sockets; they are closed by `close`."""
        self.loop = asyncio.get_running_loop()
        self._watching = self.loop.create_task(self._watch())
        settings = self.door.settings
        for listening in sockets:
            listening.setblocking(False)
            if settings.proxy_protocol or settings.tls is TlsUse.IMPLICIT:
                self._listening.append(listening)
                self._spawn(self._accept(listening))
            else:
                server = await self.loop.create_server(lambda: SmtpProtocol(self), sock=listening, backlog=_BACKLOG)
                self._servers.append(server)

    def adopt(self, **changes: Any) -> None:
        """Go on with other `settings`, `limits`, `site`, `hop`, `filter` or `tls`, from the next mail on.

        The name stays, and so does what stands before SMTP: PROXY headers and implicit TLS.
        """
        self.door = replace(self.door, **changes)
        self.traffic.memory.limit = self.door.limits.memory

    def close(self) -> None:
        """Take no new connections."""
        for server in self._servers:
            server.close()
        for task in self._arriving:
            task.cancel()
        for listening in self._listening:
            listening.close()

    async def drain(self, seconds: float | None = None) -> None:
        """Dismiss the idle, let transactions end; what is left after `seconds`, or on cancel, is cut."""
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
                session.wire.abort()
            for work in self.traffic.work:
                work.cancel()
            if self._watching is not None:
                self._watching.cancel()

    def enter(self, session: SmtpProtocol) -> Reply | None:
        """A session begins. A refusal, if it may not."""
        caller, limits = session.caller, self.door.limits
        assert caller is not None
        now = self.loop.time()
        if len(self._sessions) >= limits.connections and not self._make_room(now):
            self.abuse.note("connections", caller.speaker, now)
            return replies.TOO_BUSY
        counted = not caller.trusted(self.door.trusted)
        if counted:
            refusal = self._admission.enter(caller.speaker, limits, now)
            if refusal is not None:
                self.abuse.note("connections from one address", caller.speaker, now)
                return refusal
        self._sessions[session] = counted
        return None

    def leave(self, session: SmtpProtocol) -> None:
        if self._sessions.pop(session, False) and session.caller is not None:
            self._admission.leave(session.caller.speaker)

    def may_log_in(self, caller: Caller | None) -> Reply | None:
        """A refusal, if too much has been tried from there."""
        speaker = caller.speaker if caller else None
        if not self._failures.too_many(speaker, self.door.limits, self.loop.time()):
            return None
        self.abuse.note("failed logins", speaker, self.loop.time())
        return replies.TOO_MANY_LOGINS

    def login_failed(self, caller: Caller | None) -> None:
        speaker = caller.speaker if caller else None
        log.warning("login-failed", listener=self.name, client=speaker or "")
        self._failures.note(speaker, self.loop.time())

    def _make_room(self, now: float) -> bool:
        """Close the session that has wasted most time, so that silence cannot lock everybody out."""
        wasted = {session: session.wasted(now) for session in self._sessions}
        worst = max(wasted, key=wasted.__getitem__, default=None)
        if worst is None or wasted[worst] <= _RESTLESS:
            return False
        worst.dismiss(replies.MADE_ROOM, "idle connections")
        self.leave(worst)
        return True

    async def _watch(self) -> None:
        while True:
            limits = self.door.limits
            shortest = min(limits.command_timeout, limits.line_timeout, limits.data_window, limits.data_timeout)
            await asyncio.sleep(min(1.0, shortest / 4))
            now = self.loop.time()
            for session in tuple(self._sessions):
                session.check(now)

    async def _accept(self, listening: socket.socket) -> None:
        """Accept on a descriptor of our own, which lives until the loop has let go of it."""
        with listening.dup() as own:
            while True:
                try:
                    connection, _ = await self.loop.sock_accept(own)
                except OSError as error:
                    log.warning("accept-failed", listener=self.name, why=str(error))
                    await asyncio.sleep(0.1)  # out of descriptors, most likely
                    continue
                if len(self._arriving) > self.door.limits.connections:
                    connection.close()
                else:
                    self._spawn(self._welcome(connection))

    async def _welcome(self, connection: socket.socket) -> None:
        """What stands before SMTP. Whoever cannot pass it is closed without a word of SMTP."""
        door = self.door
        try:
            async with asyncio.timeout(door.limits.handshake_timeout):
                caller = await self._proxied(connection) if door.settings.proxy_protocol else None
                await self.loop.connect_accepted_socket(
                    lambda: SmtpProtocol(self, caller),
                    connection,
                    ssl=door.tls if door.settings.tls is TlsUse.IMPLICIT else None,
                )
        except (OSError, ssl.SSLError, ProxyError, TimeoutError) as error:
            connection.close()
            self.abuse.note(f"no session: {error or 'too slow'}", None, self.loop.time())
        except BaseException:
            connection.close()
            raise

    async def _proxied(self, connection: socket.socket) -> Caller:
        direct = Caller.at(connection.getpeername())
        if not direct.trusted(self.door.trusted):
            raise ProxyError("a peer that is not trusted connected to a listener for PROXY")
        connection.setblocking(False)
        proxied = await read_proxy(lambda size: self.loop.sock_recv(connection, size))
        return direct if proxied.itself else Caller(direct.address, proxied.port, True, proxied.address)

    def _spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
