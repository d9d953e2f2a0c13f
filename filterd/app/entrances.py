"""Entrances: the doors of each protocol as `Doors` opens, adapts and drains them."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from filterd.frontends.http import HttpDoor, Route
from filterd.frontends.settings import AnyListener


class HttpEntrance:
    """An http listener."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._door = HttpDoor(routes)

    async def start(self, sockets: list[socket.socket]) -> None:
        await self._door.start(sockets)

    def adapt(self, listener: AnyListener) -> None:
        """Its routes ask the service, which knows its configuration."""

    def close(self) -> None:
        self._door.close()

    async def drain(self) -> None:
        """An answer takes less time than the shutdown around it."""


def open_http(routes: Mapping[str, Route]) -> HttpEntrance:
    return HttpEntrance(routes)
