"""Pool: the connections to one next hop, a bounded number of them, kept a while for the next mail.

With XCLIENT a session is one client's, and its connection is never lent to another; otherwise all mail
shares them. What is idle for too long, too old or broken is closed, and an idle connection makes room for
another client's when the limit is reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

from filterd.relay.address import HopAddress
from filterd.relay.connection import Connection
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.opening import Busy, ConnectFailed, begin_xclient, connect, tls_context
from filterd.relay.settings import RelaySettings
from filterd.relay.standing import Standing

_GOODBYE = 1.0  # seconds that the peers have to close when we end


class Pool:
    def __init__(self, address: HopAddress, settings: RelaySettings, standing: Standing) -> None:
        self.standing = standing
        self.seen: tuple[float, Capabilities] | None = None  # what the newest connection announced, and when
        self._address = address
        self._place = ""  # of several IP addresses the one that served last
        self._settings = settings
        self._tls = tls_context(address, settings)
        self._free = asyncio.Semaphore(settings.max_connections)
        self._busy = 0
        self._lent: dict[Connection, Hashable] = {}
        self._idle: dict[Connection, tuple[Hashable, asyncio.TimerHandle]] = {}  # the longest idle first
        self._closed = False

    async def take(self, handover: Handover, fresh: bool = False) -> Connection:
        """A connection for this client's mail: the one used last, or a new one; raises ConnectFailed.

        `fresh`: only a new one, for a kept one was found dead, and so will be the others.
        """
        try:
            async with asyncio.timeout(self._settings.queue_timeout):
                await self._free.acquire()
        except TimeoutError as error:
            raise Busy(f"is busy: all {self._settings.max_connections} connections are lent") from error
        self._busy += 1
        try:
            key = self._key(handover)
            connection = self._kept(key, fresh)
            if connection is None:
                self._make_room()
                connection = await self.dial(handover if self._settings.xclient else None)
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

    async def dial(self, handover: Handover | None) -> Connection:
        """A new connection, not yet of the pool, the client's own if one is given; raises ConnectFailed."""
        try:
            connection = await connect(self._address, self._settings, self._tls, self._place)
            self._place = connection.place
            self.seen = (time.monotonic(), connection.capabilities)
            if handover is not None:
                await self._begin_xclient(connection, handover)
        except ConnectFailed as error:
            self.standing.unreachable(str(error))
            raise
        self.standing.answered()
        return connection

    def renew(self) -> None:
        """Read the CA file again, for connections from now on; raises OSError when it cannot be read."""
        self._tls = tls_context(self._address, self._settings)

    async def _begin_xclient(self, connection: Connection, handover: Handover) -> None:
        try:
            await begin_xclient(connection, self._address, self._settings, handover)
        except BaseException:
            connection.fail("was not made the client's")
            raise

    async def aclose(self) -> None:
        """Close what is idle; what is lent is closed when it is given back."""
        self._closed = True
        idle = list(self._idle)
        for connection in idle:
            self._drop(connection)
        await asyncio.gather(*(connection.wait_closed(_GOODBYE) for connection in idle))

    def _key(self, handover: Handover) -> Hashable:
        """Who may use the same connection."""
        if not self._settings.xclient:
            return None
        return (handover.client, handover.protocol, handover.port, handover.user)

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
