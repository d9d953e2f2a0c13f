"""The HTTP door: what Prometheus and load balancers ask. One GET a connection, from a table of routes.

In: connections. Out: the route's answer, 404, 405, or 400 for what is not HTTP. A head over 8 KB or slower
than ten seconds ends the connection; bodies are not read. A failing route is a 500 that says nothing about
why.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

import structlog

from filterd.value import Value

log = structlog.get_logger("filterd.http")

HEAD = 8192
PATIENCE = 10.0


class Answer(Value):
    status: int
    content_type: str
    body: bytes


Route = Callable[[], Awaitable[Answer]]


class HttpDoor:
    """One http listener."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        for opened in sockets:
            self._servers.append(await asyncio.start_server(self._connected, sock=opened, limit=HEAD))

    def close(self) -> None:
        """Take no new connections; those under way get their answer."""
        for server in self._servers:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._respond(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _respond(self, head: bytes) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        path, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _rendered(_plain(HTTPStatus.BAD_REQUEST))
        route = self._routes.get(path.partition("?")[0])
        if route is None:
            return _rendered(_plain(HTTPStatus.NOT_FOUND))
        if method not in ("GET", "HEAD"):
            return _rendered(_plain(HTTPStatus.METHOD_NOT_ALLOWED))
        try:
            return _rendered(await route(), with_body=method == "GET")
        except Exception as error:  # noqa: BLE001 - the next request may fare better
            log.error("http-failed", path=path[:100], why=f"{type(error).__name__}: {error}")
            return _rendered(_plain(HTTPStatus.INTERNAL_SERVER_ERROR))


def _plain(status: HTTPStatus) -> Answer:
    return Answer(status.value, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())


def _rendered(answer: Answer, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")
