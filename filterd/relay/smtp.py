"""SmtpHop: a next hop that speaks SMTP (RFC 5321) or LMTP (RFC 2033), over TCP or a Unix socket."""

from __future__ import annotations

import asyncio
import logging
import time

from filterd.relay.address import HopAddress, HopProtocol
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.opening import ConnectFailed
from filterd.relay.own import OwnHop
from filterd.relay.pool import Pool
from filterd.relay.settings import RelaySettings
from filterd.relay.standing import Standing
from filterd.relay.transaction import SmtpTransaction

log = logging.getLogger(__name__)

_REMEMBERED = 60.0  # seconds that the capabilities stand


class SmtpHop:
    """See NextHop. Raises OSError when the CA file cannot be read."""

    def __init__(self, url: str, address: HopAddress, settings: RelaySettings, standing: Standing) -> None:
        self.url = url
        self._settings = settings
        self._lmtp = address.protocol is HopProtocol.LMTP
        self._pool = Pool(address, settings, standing)
        self._asking: asyncio.Task[Capabilities | None] | None = None

    async def capabilities(self) -> Capabilities | None:
        if (seen := self._pool.seen) is not None and time.monotonic() - seen[0] < _REMEMBERED:
            return seen[1]
        if self._asking is None:  # one asks, everybody hears
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def transaction(self, handover: Handover) -> SmtpTransaction:
        return SmtpTransaction(self.url, self._pool, self._settings, handover, each=self._lmtp)

    async def reserve(self, handover: Handover) -> OwnHop | None:
        try:
            connection = await self._pool.dial(handover if self._settings.xclient else None)
        except ConnectFailed as error:
            log.warning("The next hop %s %s.", self.url, error)
            return None
        return OwnHop(self.url, connection, self._settings, self._pool.standing)

    async def healthy(self) -> str | None:
        try:
            connection = await self._pool.dial(None)
        except ConnectFailed as error:
            return f"The next hop {self.url} {error}."
        connection.quit()
        if self._settings.xclient and not connection.capabilities.has("XCLIENT"):
            return f"The next hop {self.url} does not announce XCLIENT, though `xclient` is set."
        return None

    def renew(self) -> None:
        self._pool.renew()

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        await self._pool.aclose()

    async def _ask(self) -> Capabilities | None:
        try:
            connection = await self._pool.dial(None)
        except ConnectFailed as error:
            log.warning("The next hop %s %s.", self.url, error)
            return None
        connection.quit()
        return connection.capabilities

    def _asked(self, task: asyncio.Task[Capabilities | None]) -> None:
        self._asking = None
