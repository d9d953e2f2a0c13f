"""Connection: one socket to a next hop, byte transparent and bounded in memory.

Commands go out as given; answers come back as values. A connection that was lost, that stopped answering,
or whose peer broke the protocol has a `failure` (one sentence) and is of no more use; its verbs then return
less than was asked for, and raise nothing but BareNewline and CancelledError. Cancelling any of them aborts
the connection. One caller at a time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from filterd.relay import wire
from filterd.relay.answer import Answer, AnswerReader, BadAnswer
from filterd.relay.hop import Capabilities

_BLOCK = 1 << 16  # what is handed to the transport at once, at least


class Connection(asyncio.Protocol):
    """Made by `filterd.relay.opening.connect`, which has the greeting behind it."""

    def __init__(self) -> None:
        self.capabilities = Capabilities()
        self.failure: str | None = None
        self.farewell: Answer | None = None  # an answer that nothing had asked for, such as 421 or an early 552
        self.opened_at = time.monotonic()
        self.place = ""  # the IP address of the peer
        self.mails = 0  # transactions begun; above 0 it is a kept connection, which may have gone stale
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._answers: deque[Answer] = deque()
        self._owed = 1  # answers that the peer has yet to give; the first is its banner
        self._unheard = 0  # of those, how many answer a RSET that nobody waits for; they come first
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._lost = False

    @property
    def usable(self) -> bool:
        return self.failure is None

    @property
    def pipelining(self) -> bool:
        return self.capabilities.has("PIPELINING")

    async def exchange(self, commands: Sequence[bytes], patience: float) -> list[Answer]:
        """Send the commands, at once with PIPELINING (RFC 2920). Their answers; fewer when it is lost."""
        if self.pipelining:
            self._send(b"".join(commands), len(commands))
            return await self.answers(len(commands), patience)
        heard: list[Answer] = []
        for command in commands:
            await self._until(lambda: not self._unheard, patience)
            self._send(command, 1)
            answers = await self.answers(1, patience)
            if not answers:
                break
            heard += answers
        return heard

    async def answers(self, count: int, patience: float) -> list[Answer]:
        """The next `count` answers; fewer when the connection is lost or `patience` seconds are over."""
        await self._until(lambda: len(self._answers) >= count, patience)
        return [self._answers.popleft() for _ in range(min(count, len(self._answers)))]

    async def send_body(self, chunks: Iterable[bytes | memoryview], answers: int, patience: float) -> bool:
        """Send the content and the final dot, to which `answers` answers are due. False: no dot was sent.

        `patience`: seconds that the peer may stop reading. On BareNewline and any other exception the
        connection is gone before the dot, so that the peer has no message.
        """
        try:
            blocks = _blocks(wire.stuffed(chunks))
            block = next(blocks)
            for following in blocks:
                self._send(block, 0)
                await asyncio.sleep(0)
                await self._until(lambda: not self._paused, patience)
                if not self.usable:
                    return False
                block = following
        except BaseException:
            self.fail("gave up within the message")
            raise
        self._send(block, answers)
        return self.usable

    def forget(self) -> None:
        """RSET, without waiting for the answer."""
        self._unheard += 1
        self._send(b"RSET\r\n", 1)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS (RFC 3207); raises ssl.SSLError and OSError."""
        if not self._reader.idle or self._answers or not self.usable:
            raise ConnectionError("it sent more before TLS began")  # response injection, CVE-2011-0411
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise ConnectionError("it closed the connection while TLS began")
        self._transport = transport

    @property
    def certificate(self) -> bytes:
        """What the peer showed, in DER; empty without TLS."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return (tls.getpeercert(binary_form=True) if tls is not None else None) or b""

    def fail(self, why: str) -> None:
        """Of no more use. What was not sent yet never will be."""
        self.failure = self.failure or why
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def quit(self) -> None:
        """QUIT and close, without waiting."""
        if self.usable and self._transport is not None:
            self._send(b"QUIT\r\n", 1)
            self.failure = "was closed by us"
            self._transport.close()

    async def wait_closed(self, patience: float) -> None:
        """Wait until it is closed; after `patience` seconds it is aborted."""
        try:
            async with asyncio.timeout(patience):
                while not self._lost:
                    await self._woken()
        except TimeoutError:
            self.fail("did not let us close it")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=4 * _BLOCK)

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._reader.feed(data)
        except BadAnswer as error:
            return self.fail(str(error))
        for answer in answers:
            if self._owed == 0:
                self.farewell = answer
                return self.fail(f"spoke out of turn: {answer.reply()}")
            self._owed -= 1
            if self._unheard:
                self._unheard -= 1
                if not answer.ok:
                    return self.fail(f"refused RSET: {answer.reply()}")
                continue
            self._answers.append(answer)
            if answer.code == 421:  # RFC 5321 section 3.8: it is closing the connection
                return self.fail(f"closed the connection: {answer.reply()}")
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.failure = self.failure or (f"broke the connection: {error}" if error else "closed the connection")
        self._lost = True
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def _send(self, data: bytes, answers: int) -> None:
        if self._transport is not None and self.usable:
            self._owed += answers
            self._transport.write(data)

    async def _until(self, done: Callable[[], bool], patience: float) -> None:
        """Wait until it is done or the connection failed."""
        if done() or not self.usable:
            return
        try:
            async with asyncio.timeout(patience):
                while self.usable and not done():
                    await self._woken()
        except TimeoutError:
            self.fail(f"did not go on within {patience:g} seconds")
        except BaseException:
            self.fail("was given up by us")
            raise

    async def _woken(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces joined until they are worth a system call; the last one holds the final dot."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        if size >= _BLOCK:
            yield b"".join(gathered)
            gathered, size = [], 0
        gathered.append(piece)
        size += len(piece)
    yield b"".join(gathered)
