"""Load for a running SMTP server: a client that speaks as fast as it can, many at once, and numbered mail.

    async with Client("127.0.0.1", 10025) as client:
        replies = await client.send("a@example.net", ["b@example.org"], raw)   # MAIL, RCPT..., DATA, the dot
    replies[-1].code                                                           # 250

Whoever must see every byte on the way uses smtplib or a bare socket instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PATIENCE = 120.0  # seconds that an answer may take: Postfix gives up after 100


@dataclass(frozen=True, slots=True)
class Said:
    """One reply."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300


class Gone(Exception):
    """The server closed the connection, or said nothing for too long."""


class Client:
    """One connection, greeted."""

    def __init__(self, host: str, port: int, *, helo: str = "client.example.net", trickle: float = 0.0) -> None:
        self._address = host, port
        self._helo = helo
        self._trickle = trickle  # seconds between two pieces of 10 kB
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        with _lost():
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        try:
            greeting = await self.answer()
            if not greeting.ok:
                raise Gone(f"{greeting.code} {greeting.text}")
            await self.command(f"EHLO {self._helo}")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def answer(self) -> Said:
        """The next reply of the server; raises Gone."""
        lines: list[bytes] = []
        with _lost():
            async with asyncio.timeout(PATIENCE):
                while not lines or lines[-1][3:4] == b"-":
                    lines.append(await self._reader.readuntil(b"\r\n"))
        return Said(int(lines[-1][:3]), b"\n".join(line[4:-2] for line in lines).decode("utf-8", "replace"))

    async def command(self, line: str) -> Said:
        await self.write(line.encode() + b"\r\n")
        return await self.answer()

    async def write(self, data: bytes) -> None:
        assert self._writer is not None
        with _lost():
            self._writer.write(data)
            await self._writer.drain()

    async def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> list[Said]:
        """One transaction: the answers up to the last. It ends early when something is refused."""
        answers = []
        commands = (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA")
        for line in commands:
            answers.append(await self.command(line))
            if answers[-1].code >= 400:
                if answers[-1].code != 421:
                    await self.command("RSET")
                return answers
        data = stuffed(raw)
        if self._trickle:
            for at in range(0, len(data), 10_000):
                await self.write(data[at : at + 10_000])
                await asyncio.sleep(self._trickle)
        else:
            await self.write(data)
        answers.append(await self.answer())
        return answers


def stuffed(raw: bytes) -> bytes:
    """A message as it travels after 354, with its final dot (RFC 5321 section 4.5.2)."""
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    raw = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
    dotted = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if dotted.startswith(b".") else b"") + dotted + b".\r\n"


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    """Every way in which a connection ends, as one."""
    try:
        yield
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Gone(repr(error)) from error
