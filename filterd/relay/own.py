"""OwnHop: a next hop over one connection that serves one client and nobody else.

For submission: the client proves to the next hop who it is, and its mail goes over the connection on which it did.
A connection that is lost stays lost, for only the client can prove that again: from then on every verb answers 451.
"""

from __future__ import annotations

import asyncio

from filterd.relay.answer import Answer
from filterd.relay.connection import Connection
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.opening import Busy, ConnectFailed
from filterd.relay.settings import RelaySettings
from filterd.relay.standing import Standing
from filterd.relay.transaction import SmtpTransaction

_FOR_GOOD = 1e6  # seconds: nobody else waits for it


class OwnHop:
    """See NextHop. Made by `NextHop.reserve`; the transactions of several copies take turns."""

    def __init__(self, url: str, connection: Connection, settings: RelaySettings, standing: Standing) -> None:
        self.url = url
        self.standing = standing
        self._connection = connection
        self._settings = settings.model_copy(update={"hold": _FOR_GOOD})
        self._turn = asyncio.Lock()
        self._ending = False

    @property
    def lost(self) -> bool:
        return not self._connection.usable

    async def say(self, line: bytes) -> Answer | None:
        """The answer to one line without its CRLF; None when the connection is lost."""
        answers = await self._connection.exchange([line + b"\r\n"], self._settings.command_timeout)
        return answers[0] if answers else None

    async def capabilities(self) -> Capabilities | None:
        return None if self.lost else self._connection.capabilities

    def transaction(self, handover: Handover) -> SmtpTransaction:
        return SmtpTransaction(self.url, self, self._settings, handover, each=False)

    async def reserve(self, handover: Handover) -> OwnHop | None:
        return self

    async def healthy(self) -> str | None:
        return f"The next hop {self.url} {self._connection.failure}." if self.lost else None

    def renew(self) -> None:
        """It has its connection."""

    async def aclose(self) -> None:
        """Quit; when a transaction is open, after it."""
        self._ending = True
        if not self._turn.locked():
            self._connection.quit()

    async def take(self, handover: Handover, fresh: bool = False) -> Connection:
        """The connection for one transaction; raises ConnectFailed when it is lost."""
        if fresh or self.lost:
            raise ConnectFailed(f"{self._connection.failure}, and with it what the client had proved")
        try:
            async with asyncio.timeout(self._settings.queue_timeout):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Busy("is busy with another mail of this client") from error
        return self._connection

    def give(self, connection: Connection) -> None:
        self._turn.release()
        if self._ending:
            connection.quit()
