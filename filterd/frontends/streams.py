"""Stream: the connection of a client that asks and is answered, one request after the other.

In: what the client sends, as lines, as it comes or as a body of known length. Out: what is written. All of it may raise
`Gone`: the client left, was silent for too long, sends slower than the limits allow or does not read its answer.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable

from filterd.frontends.connection import Connection, Gone
from filterd.frontends.listening import Listening
from filterd.frontends.smtp.settings import SmtpLimits

BUFFER = 1 << 18  # bytes that wait to be read, and the longest line
HEAD_SECONDS = 20.0  # how long a request may take until its body begins
_LINGER = 2.0  # seconds that an answered client may take to close its side


class TooLarge(Exception):
    """It sends more than it may."""


class Stream(Connection):
    """One client's connection; `conversation` is what is done with it."""

    def __init__(self, listening: Listening[Stream], conversation: Callable[[Stream], Awaitable[None]]) -> None:
        super().__init__(listening)
        self._conversation = conversation
        self._buffer = bytearray()
        self._said_all = False  # the client's side is closed, ours is not
        self._since: float | None = None  # when it began to be waited for with nothing in hand
        self._deadline = math.inf  # of what is waited for

    async def first(self, seconds: float) -> bytes:
        """The first line of a request; b"" when there is none."""
        if self.retiring:
            raise Gone
        self._since = self.loop.time()
        try:
            return await self.line(seconds)
        finally:
            self._since = None

    async def line(self, seconds: float = HEAD_SECONDS) -> bytes:
        """A line with its end; what there is at the end of what the client sends. Raises TooLarge."""
        deadline, scanned = self.loop.time() + seconds, 0
        while (end := self._buffer.find(b"\n", scanned)) < 0 and len(self._buffer) <= BUFFER:
            scanned = len(self._buffer)
            if not await self._awaited(deadline):
                return self._take(scanned)
        if not 0 <= end <= BUFFER:
            raise TooLarge
        return self._take(end + 1)

    async def some(self, seconds: float = HEAD_SECONDS) -> bytes:
        """What has come; b"" at the end of what the client sends."""
        if not self._buffer:
            await self._awaited(self.loop.time() + seconds)
        return self._take(len(self._buffer))

    async def body(self, length: int | None, limits: SmtpLimits) -> bytes:
        """`length` bytes, or all until the client's end when that is None; fewer when the client ends before.

        Raises TooLarge for more than `limits.message_size`.
        """
        most = limits.message_size if length is None else length
        if most > limits.message_size:
            raise TooLarge
        pieces: list[bytes] = []
        pace = Pace(limits, self.loop.time())
        while length is None or pace.got < length:
            if not self._buffer and not await self._awaited(pace.deadline):
                break
            pieces.append(self._take(most + 1 - pace.got if length is None else length - pace.got))
            pace.got += len(pieces[-1])
            if pace.got > most:
                raise TooLarge
        return b"".join(pieces)

    async def write(self, data: bytes) -> None:
        self.say(data)
        self._deadline = self.loop.time() + self.listening.limits().command_timeout
        await self.heard()
        self._deadline = math.inf
        if self.gone.done():
            raise Gone

    async def finish(self) -> None:
        """Nothing more will be written; what the client still sends is not read, lest a reset reach it before
        our answer does (RFC 9112 section 9.6)."""
        with contextlib.suppress(OSError, Gone):
            if self.wire.can_write_eof():
                self.wire.write_eof()
            deadline = self.loop.time() + _LINGER
            while await self._awaited(deadline):
                self._buffer.clear()

    # what the transport and the listener call

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > BUFFER:
            self.hold()
        self.wake()

    def eof_received(self) -> bool | None:
        """It may have ended its side alone, as spamc does, and listen on."""
        self._said_all = True
        self.wake()
        return True

    def check(self, now: float) -> None:
        if now > self._deadline:
            self.cut()

    def wasted(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since

    def retire(self) -> None:
        super().retire()
        if self._since is not None:
            self.cut()

    def cut(self) -> None:
        super().cut()
        self.task.cancel()  # it may wait for what is not the client's

    async def converse(self) -> None:
        if self.listening.enter(self):
            await self._conversation(self)

    async def _awaited(self, deadline: float) -> bool:
        """Wait until something has come; False at the end of what the client sends."""
        if self._said_all:
            return False
        self._deadline = deadline
        before = len(self._buffer)
        await self.more()
        self._deadline = math.inf
        return len(self._buffer) > before

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class Pace:
    """By when the next bytes of a body must have come: `data_rate`, measured from its begin, after a grace."""

    def __init__(self, limits: SmtpLimits, began: float) -> None:
        self.got = 0
        self._limits = limits
        self._began = began

    @property
    def deadline(self) -> float:
        seconds = self._limits.data_window + self.got / max(1, self._limits.data_rate)
        return self._began + min(seconds, self._limits.data_timeout)
