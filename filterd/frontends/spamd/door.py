"""SpamdDoor: one spamd listener.

In: connections with one request each. Out: the verdict or what was learnt, in the words of the protocol; a line that
begins no request is answered 76 EX_PROTOCOL. `desk` and `tell` may be replaced at any time and hold from the next
request on.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import structlog

from filterd.frontends.advice import Desk
from filterd.frontends.listening import Listening
from filterd.frontends.spamd import replies
from filterd.frontends.spamd.request import first_line
from filterd.frontends.spamd.session import converse
from filterd.frontends.streams import HEAD_SECONDS, Stream, TooLarge

log = structlog.get_logger("filterd.spamd")


class SpamdDoor:
    def __init__(self, desk: Desk, *, tell: bool) -> None:
        self.desk = desk
        self.tell = tell
        self._listening = Listening[Stream](desk.name, lambda: self.desk.limits)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        await self._listening.start(sockets, lambda: Stream(self._listening, self._converse))

    def close(self) -> None:
        """Take no new connections; those under way get their answer."""
        self._listening.close()

    async def drain(self) -> None:
        await self._listening.drain()

    async def _converse(self, stream: Stream) -> None:
        try:
            line = await stream.first(HEAD_SECONDS)
        except TooLarge:
            line = b"\n"
        first = first_line(line)
        if first is not None:
            await converse(stream, first, self.desk, tell=self.tell)
        elif line:
            log.warning("bad-request", peer=stream.peer, line=repr(line[:40]))
            await stream.write(replies.error(replies.Exit.EX_PROTOCOL, "(no request of this protocol)"))
            await stream.finish()
