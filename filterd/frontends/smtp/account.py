"""Account: who a client of a submission listener is, and the connection to the next hop on which it proved that."""

from __future__ import annotations

from filterd.frontends.smtp import replies
from filterd.frontends.smtp.login import Login, offered
from filterd.relay.hop import Handover, NextHop
from filterd.relay.own import OwnHop
from filterd.reply import Reply


class Account:
    """Of one session."""

    def __init__(self) -> None:
        self.hop: OwnHop | None = None  # the client's own
        self.user: str | None = None
        self._login: Login | None = None

    @property
    def lost(self) -> bool:
        """Logged in, and the connection on which it counts is gone."""
        return self.user is not None and self.hop is not None and self.hop.lost

    async def auth(self, argument: str, mechanisms: str, hop: NextHop, handover: Handover) -> Reply:
        """The AUTH command; 334 asks for a `respond`."""
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() not in mechanisms.split():
            return replies.UNKNOWN_MECHANISM if mechanism else replies.BAD_PARAMETER
        if self.hop is None:
            self.hop = await hop.reserve(handover)
        if self.hop is None:
            return replies.NO_LOGIN_NOW
        has = await self.hop.capabilities()
        if has is None or mechanism.upper() not in offered(has.keywords.get("AUTH", "")).split():
            await self.close()  # another of several hops, perhaps
            return replies.NO_LOGIN_NOW
        self._login = Login(mechanism.upper(), self.hop)
        return await self._heard(await self._login.begin(initial.encode() or None))

    async def respond(self, line: bytes | Reply) -> Reply:
        """The client's next line of the exchange, or why it cannot be read."""
        assert self._login is not None
        return await self._heard(await self._login.respond(line))

    async def close(self) -> None:
        """Let go of the connection, after the mail that is on it."""
        hop, self.hop, self._login = self.hop, None, None
        if hop is not None:
            await hop.aclose()

    async def _heard(self, reply: Reply) -> Reply:
        if reply.code == 334:
            return reply
        login, self._login = self._login, None
        if reply.code == 235 and login is not None and login.user is not None:
            self.user = login.user
            return reply
        if reply.code == 235 or (self.hop is not None and self.hop.lost):
            await self.close()
        return replies.NO_LOGIN_NOW if reply.code == 235 else reply
