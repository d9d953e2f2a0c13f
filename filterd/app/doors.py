"""Doors: the listeners of a configuration, opened; and brought in line with a new configuration on reload.

A listening socket outlives the reloads that keep its address, so no connection is refused meanwhile. What
a reload changes holds for new sessions and the next mail of old ones; an address that is gone takes no new
connections and ends its sessions as a shutdown does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from filterd.app.sockets import SocketError, open_sockets, where
from filterd.frontends.settings import Address, AnyListener

log = structlog.get_logger("filterd")


class Door(Protocol):
    """One listener's protocol, on sockets that were opened for it."""

    async def start(self, sockets: list[socket.socket]) -> None: ...

    def adapt(self, listener: AnyListener) -> bool:
        """Other settings, from the next mail on. False: with these it must be opened anew."""
        ...

    def close(self) -> None:
        """Take no new connections."""
        ...

    async def drain(self) -> None:
        """Return when the last session has ended; sessions are told to end at their next command."""
        ...


Maker = Callable[[str, AnyListener, Address], Door]  # from a door's name, its settings, and its address there
Place = tuple[str, Address]  # what a door is known by: its protocol and address


@dataclass(slots=True)
class _Open:
    listener: AnyListener
    sockets: list[socket.socket]
    door: Door
    name: str


class Doors:
    """All open doors, by address."""

    def __init__(self, handed: Mapping[str, list[socket.socket]]) -> None:
        self._handed = handed
        self._open: dict[Place, _Open] = {}
        self._reserved: dict[Place, list[socket.socket]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> list[str]:
        return [one.name for one in self._open.values()]

    @property
    def addresses(self) -> dict[str, list[Address]]:
        """Where one can really connect, by protocol."""
        found: dict[str, list[Address]] = {}
        for one in self._open.values():
            found.setdefault(one.listener.protocol, []).extend(where(opened) for opened in one.sockets)
        return found

    def reserve(self, listeners: tuple[AnyListener, ...]) -> None:
        """Bind what `arrange` will open, so that a port that is taken is known at once. Raises SocketError."""
        try:
            for place in _places(listeners):
                if place not in self._open and place not in self._reserved:
                    self._reserved[place] = open_sockets(place[1], self._handed)
        except SocketError:
            self._let_go()
            raise

    async def arrange(self, listeners: tuple[AnyListener, ...], make: Maker) -> None:
        """Have these listeners open and no others. Raises SocketError; then everything is as it was."""
        self.reserve(listeners)
        wanted = _places(listeners)
        for place in [place for place in self._open if place not in wanted]:
            self._retire(self._open.pop(place), with_sockets=True)
        for place, listener in wanted.items():
            before = self._open.get(place)
            if before is not None and _adapted(before, listener):
                continue
            if before is not None:
                self._retire(before, with_sockets=False)
            await self._start(place, listener, before.sockets if before else self._reserved.pop(place), make)

    def adapt(self) -> None:
        """Tell those that can take it that something behind their settings is another now."""
        for one in self._open.values():
            one.door.adapt(one.listener)

    async def close(self, seconds: float) -> None:
        """Take no new connections, and give sessions `seconds` to end."""
        self._let_go()
        for place in list(self._open):
            self._retire(self._open.pop(place), with_sockets=True)
        if self._ending:
            _, late = await asyncio.wait(self._ending, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                log.warning("sessions-cut", doors=len(late), after=seconds)

    def _let_go(self) -> None:
        for sockets in self._reserved.values():
            _close(sockets)
        self._reserved.clear()

    async def _start(self, place: Place, listener: AnyListener, sockets: list[socket.socket], make: Maker) -> None:
        name = f"{listener.protocol} {where(sockets[0])}"
        door = make(name, listener, place[1])
        await door.start([opened.dup() for opened in sockets])
        self._open[place] = _Open(listener, sockets, door, name)

    def _retire(self, one: _Open, *, with_sockets: bool) -> None:
        one.door.close()
        if with_sockets:
            _close(one.sockets)
        task = asyncio.ensure_future(_drained(one.door.drain()))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _places(listeners: tuple[AnyListener, ...]) -> dict[Place, AnyListener]:
    return {(listener.protocol, address): listener for listener in listeners for address in listener.listen}


def _adapted(one: _Open, listener: AnyListener) -> bool:
    if one.listener.protocol != listener.protocol or not one.door.adapt(listener):
        return False
    one.listener = listener
    return True


async def _drained(waiting: Awaitable[None]) -> None:
    await waiting


def _close(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        opened.close()
