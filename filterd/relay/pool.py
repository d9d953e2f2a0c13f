"""Pool: the connections to one next hop, a bounded number of them, kept a while for the next mail.

A connection belongs to the client that it was opened for (XCLIENT makes the session that client's), and is
never lent to another; without XCLIENT all mail shares the key None. What is too old or broken is closed,
what is idle for long too, and an idle connection makes room for one of another key when the limit is
reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable

from filterd.relay.connection import Connection
from filterd.relay.opening import ConnectFailed
from filterd.relay.settings import RelaySettings

Dial = Callable[[], Awaitable[Connection]]

_GOODBYE = 1.0  # seconds that the peers have to close when we end


class Pool:
    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._free = asyncio.Semaphore(settings.max_connections)
        self._busy = 0
        self._lent: dict[Connection, Hashable] = {}
        self._idle: dict[Connection, tuple[Hashable, asyncio.TimerHandle]] = {}  # the longest idle first
        self._closed = False

    async def take(self, key: Hashable, dial: Dial, fresh: bool = False) -> Connection:
        """A kept connection of this key (the last used), or a new one; raises ConnectFailed.

        `fresh`: only a new one, for a kept one was found dead, and so will be the others.
        """
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._free.acquire()
        except TimeoutError as error:
            raise ConnectFailed(
                f"is busy: all {self._settings.max_connections} connections are in use"
            ) from error
        self._busy += 1
        try:
            connection = self._kept(key, fresh)
            if connection is None:
                self._make_room()
                connection = await dial()
        except BaseException:
            self._release()
            raise
        self._lent[connection] = key
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back, and keep it when it may serve again."""
        key = self._lent.pop(connection)
        self._release()
        age = time.monotonic() - connection.opened_at
        if self._closed or not connection.usable or not self._settings.keep or age > self._settings.max_age:
            connection.quit()
        else:
            timer = asyncio.get_running_loop().call_later(self._settings.keep, self._drop, connection)
            self._idle[connection] = (key, timer)

    async def aclose(self) -> None:
        """Close what is idle; what is lent is closed when it is given back."""
        self._closed = True
        idle = list(self._idle)
        for connection in idle:
            self._drop(connection)
        await asyncio.gather(*(connection.wait_closed(_GOODBYE) for connection in idle))

    def _kept(self, key: Hashable, fresh: bool) -> Connection | None:
        for connection in [c for c, (owner, _) in reversed(self._idle.items()) if owner == key]:
            if connection.usable and not fresh:
                self._idle.pop(connection)[1].cancel()
                return connection
            self._drop(connection)
        return None

    def _make_room(self) -> None:
        while self._idle and self._busy + len(self._idle) > self._settings.max_connections:
            self._drop(next(iter(self._idle)))

    def _drop(self, connection: Connection) -> None:
        self._idle.pop(connection)[1].cancel()
        connection.quit()

    def _release(self) -> None:
        self._busy -= 1
        self._free.release()
