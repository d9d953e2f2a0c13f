"""Arrivals: what stands before SMTP on a listener, a PROXY header or implicit TLS.

Connections are accepted here, read no further than that reaches, and become sessions when it is over. Whoever cannot
pass it is closed without a word of SMTP.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from filterd.frontends.connection import CLOSING
from filterd.frontends.proxy import ProxyError, read_proxy
from filterd.frontends.settings import TlsUse
from filterd.frontends.smtp.door import Caller
from filterd.frontends.smtp.protocol import SmtpProtocol

if TYPE_CHECKING:
    from filterd.frontends.smtp.server import SmtpServer

log = structlog.get_logger("filterd.smtp")


class Arrivals:
    """Those of one listener."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._listening: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        for listening in sockets:
            listening.setblocking(False)
            self._listening.append(listening)
            self._spawn(self._accept(listening))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for listening in self._listening:
            listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        """Accept on a descriptor of our own, which lives until the loop has let go of it."""
        server = self._server
        with listening.dup() as own:
            while True:
                try:
                    connection, _ = await server.listening.loop.sock_accept(own)
                except OSError as error:
                    log.warning("accept-failed", listener=server.name, why=str(error))
                    await asyncio.sleep(0.1)  # out of descriptors, most likely
                    continue
                if len(self._tasks) > server.door.limits.connections:
                    connection.close()
                else:
                    self._spawn(self._welcome(connection))

    async def _welcome(self, connection: socket.socket) -> None:
        door, listening = self._server.door, self._server.listening
        implicit = door.settings.tls is TlsUse.IMPLICIT
        try:
            async with asyncio.timeout(door.limits.handshake_timeout):
                caller = await self._proxied(connection) if door.settings.proxy_protocol else None
                await listening.loop.connect_accepted_socket(
                    lambda: SmtpProtocol(self._server, caller),
                    connection,
                    ssl=door.tls if implicit else None,
                    ssl_shutdown_timeout=CLOSING if implicit else None,
                )
        except (OSError, ssl.SSLError, ProxyError, TimeoutError) as error:
            connection.close()
            listening.note(f"no session: {error or 'too slow'}", None)
        except BaseException:
            connection.close()
            raise

    async def _proxied(self, connection: socket.socket) -> Caller:
        direct = Caller.at(connection.getpeername())
        if not direct.trusted(self._server.door.trusted):
            raise ProxyError("a peer that is not trusted connected to a listener for PROXY")
        connection.setblocking(False)
        proxied = await read_proxy(lambda size: self._server.listening.loop.sock_recv(connection, size))
        return direct if proxied.itself else Caller(direct.address, proxied.port, True, proxied.address)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._server.listening.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
