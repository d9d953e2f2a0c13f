"""Advisers: the entrances of the doors that only say what they think, spamd and http."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from filterd.app.entrances import site_of
from filterd.config.model import Config
from filterd.engine.budget import Budget
from filterd.frontends import Filter
from filterd.frontends.advice import Desk
from filterd.frontends.http import Route
from filterd.frontends.http.door import HttpDoor
from filterd.frontends.learner import Learner
from filterd.frontends.settings import Address, AdvisingListener, AnyListener, HttpListener, SpamdListener
from filterd.frontends.spamd.door import SpamdDoor


class Desks:
    """Makes the desk of each of these doors, from the configuration that is in force."""

    def __init__(self, config: Callable[[], Config], filter: Filter, learner: Learner) -> None:
        self._config = config
        self._filter = filter
        self._learner = learner
        self._room = Budget(config().limits.in_flight)

    def desk(self, name: str, listener: AdvisingListener) -> Desk:
        config = self._config()
        self._room.capacity = config.limits.in_flight
        return Desk(
            name=name,
            filter=self._filter,
            learner=self._learner,
            site=site_of(config),
            limits=config.limits,
            room=self._room,
            wait=config.limits.wait,
            quarantine=listener.quarantine_as,
            enforce=listener.enforce,
        )


class SpamdEntrance:
    """A spamd listener."""

    def __init__(self, name: str, listener: SpamdListener, desks: Desks) -> None:
        self._name = name
        self._desks = desks
        self._door = SpamdDoor(desks.desk(name, listener), tell=listener.tell)

    async def start(self, sockets: list[socket.socket]) -> None:
        await self._door.start(sockets)

    def adapt(self, listener: AnyListener) -> bool:
        if not isinstance(listener, SpamdListener):
            return False
        self._door.desk, self._door.tell = self._desks.desk(self._name, listener), listener.tell
        return True

    def close(self) -> None:
        self._door.close()

    async def drain(self) -> None:
        await self._door.drain()


class HttpEntrance:
    """One address of an http listener; its routes ask the service, which knows the configuration in force."""

    def __init__(
        self, name: str, listener: HttpListener, address: Address, desks: Desks, routes: Mapping[str, Route]
    ) -> None:
        self._name = name
        self._address = address
        self._desks = desks
        controller = self._is_controller(listener)
        self._door = HttpDoor(desks.desk(name, listener), listener, routes, controller=controller)

    async def start(self, sockets: list[socket.socket]) -> None:
        await self._door.start(sockets)

    def adapt(self, listener: AnyListener) -> bool:
        if not isinstance(listener, HttpListener):
            return False
        self._door.desk, self._door.settings = self._desks.desk(self._name, listener), listener
        self._door.controller = self._is_controller(listener)
        return True

    def close(self) -> None:
        self._door.close()

    async def drain(self) -> None:
        await self._door.drain()

    def _is_controller(self, listener: HttpListener) -> bool:
        """As rspamd's two ports: the first only scans; a listener with one address does everything there."""
        return len(listener.listen) == 1 or self._address != listener.listen[0]
