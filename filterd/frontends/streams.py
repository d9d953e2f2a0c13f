"""Streams: the connections of a door whose clients ask and are answered, one request after the other.

In: listening sockets, and a conversation: a coroutine that gets a `Stream`. The conversation may raise `Gone` at any
time (the client left, was silent for too long, or sends slower than the limits allow) and says nothing more then.
When all places are taken, the client that has been silent longest makes room for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence

import structlog

from filterd.frontends.smtp.settings import SmtpLimits

log = structlog.get_logger("filterd.doors")

BUFFER = 1 << 18  # bytes that wait to be read, and the longest line
HEAD_SECONDS = 20.0  # how long a request may take until its body begins
_CHUNK = 1 << 16
_LINGER = 2.0  # seconds that an answered client may take to close its side


class Gone(Exception):
    """The client will say nothing more, or nothing that is worth waiting for."""


class TooLarge(Exception):
    """It sends more than it may."""


class Stream:
    """One client's connection. Everything but `close` may raise Gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: set[Stream]) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting = waiting
        self._since = 0.0

    @property
    def peer(self) -> str | None:
        """The address of the other end; None on a Unix socket."""
        name = self._writer.get_extra_info("peername")
        return name[0].partition("%")[0].removeprefix("::ffff:") if isinstance(name, tuple) else None

    @property
    def since(self) -> float:
        """Since when it has been waited for."""
        return self._since

    async def first(self, seconds: float) -> bytes:
        """The first line of a request; b"" when there is none."""
        self._since = asyncio.get_running_loop().time()
        self._waiting.add(self)
        try:
            return await self.line(seconds)
        finally:
            self._waiting.discard(self)

    async def line(self, seconds: float = HEAD_SECONDS) -> bytes:
        """A line with its end; b"" at the end of what the client sends. Raises TooLarge."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            raise TooLarge from error
        except (TimeoutError, OSError) as error:
            raise Gone from error

    async def some(self, seconds: float = HEAD_SECONDS) -> bytes:
        """What has come; b"" at the end of what the client sends."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.read(_CHUNK)
        except (TimeoutError, OSError) as error:
            raise Gone from error

    async def body(self, length: int | None, limits: SmtpLimits) -> bytes:
        """`length` bytes, or all until the client's end when that is None; fewer when the client ends before.

        Raises TooLarge for more than `limits.message_size`.
        """
        most = limits.message_size if length is None else length
        if most > limits.message_size:
            raise TooLarge
        pieces: list[bytes] = []
        pace = Pace(limits)
        while length is None or pace.got < length:
            size = _CHUNK if length is None else min(_CHUNK, length - pace.got)
            try:
                async with asyncio.timeout_at(pace.deadline):
                    piece = await self._reader.read(size)
            except (TimeoutError, OSError) as error:
                raise Gone from error
            if not piece:
                break
            pieces.append(piece)
            pace.got += len(piece)
            if pace.got > most:
                raise TooLarge
        return b"".join(pieces)

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Gone from error

    async def finish(self) -> None:
        """Nothing more will be written; what the client still sends is not read, lest a reset reach it before
        our answer does (RFC 9112 section 9.6)."""
        with contextlib.suppress(OSError, TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_CHUNK):
                    pass

    def abort(self) -> None:
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()


class Pace:
    """By when the next bytes of a body must have come: `data_rate`, measured from its begin, after a grace."""

    def __init__(self, limits: SmtpLimits) -> None:
        self.got = 0
        self._limits = limits
        self._began = asyncio.get_running_loop().time()

    @property
    def deadline(self) -> float:
        seconds = self._limits.data_window + self.got / max(1, self._limits.data_rate)
        return self._began + min(seconds, self._limits.data_timeout)


class Streams:
    """The connections of one listener."""

    def __init__(self, converse: Callable[[Stream], Awaitable[None]], limits: Callable[[], SmtpLimits]) -> None:
        self._converse = converse
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[Stream] = set()
        self._closing = False

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        for opened in sockets:
            serve = asyncio.start_unix_server if opened.family == socket.AF_UNIX else asyncio.start_server
            self._servers.append(await serve(self._connected, sock=opened, limit=BUFFER))

    def close(self) -> None:
        """Take no new connections; those under way get their answer."""
        self._closing = True
        for server in self._servers:
            server.close()
        for stream in self._waiting:
            stream.abort()

    async def drain(self) -> None:
        """Return when the last client has its answer."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise

    @property
    def closing(self) -> bool:
        return self._closing

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = Stream(reader, writer, self._waiting)
        if len(self._tasks) >= self._limits().connections and not self._make_room():
            stream.abort()
            return
        task = asyncio.ensure_future(self._run(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_room(self) -> bool:
        longest = min(self._waiting, key=lambda stream: stream.since, default=None)
        if longest is None:
            log.warning("full", connections=len(self._tasks))
            return False
        self._waiting.discard(longest)
        longest.abort()
        return True

    async def _run(self, stream: Stream) -> None:
        try:
            await self._converse(stream)
        except Gone:
            stream.abort()
        except Exception as error:  # noqa: BLE001  one client's trouble is no other's
            log.error("session-failed", why=f"{type(error).__name__}: {error}")
            stream.abort()
        finally:
            stream.close()
