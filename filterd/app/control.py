"""The control socket: how `filterd status` asks a running service. Whoever connects gets one JSON object.

It stands in the state folder as `control.sock`, for the service's own user and group. It takes no orders.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from filterd.app.sockets import open_sockets
from filterd.frontends.settings import Address

Report = Callable[[], Awaitable[dict[str, Any]]]

PATIENCE = 10.0


def path_of(state: Path) -> Path:
    return state / "control.sock"


class Control:
    """The answering side."""

    def __init__(self, state: Path, report: Report) -> None:
        self._path = path_of(state)
        self._report = report
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises SocketError."""
        (opened,) = open_sockets(Address(path=str(self._path)), {})
        self._server = await asyncio.start_unix_server(self._answer, sock=opened)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(json.dumps(await self._report()).encode() + b"\n")
            await writer.drain()
        except OSError:
            writer.transport.abort()
        finally:
            writer.close()


def ask(state: Path) -> dict[str, Any] | None:
    """The report of the service on this state folder; None when none answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PATIENCE)
        try:
            link.connect(str(path_of(state)))
            data = b"".join(iter(lambda: link.recv(65536), b""))
            report = json.loads(data)
        except (OSError, ValueError):
            return None
    return report if isinstance(report, dict) else None
