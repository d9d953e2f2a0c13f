"""A scriptable next hop on a real socket: it speaks SMTP or LMTP, records every byte, and fails on order.

    async with FakeHop(script={"RCPT": ["250 ok", "550 5.1.1 no such user"]}) as hop:
        ...                                        # connect to hop.url
    hop.messages[0].content                        # the bytes of the mail, dots unstuffed
    hop.sessions[0].commands                       # ["EHLO localhost", "MAIL FROM:<a@b>", ...]

`script` says what is answered to a verb: BANNER, EHLO, LHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP, QUIT,
STARTTLS, XFORWARD, XCLIENT, and "." for the end of the message. A list is used up one answer after the other;
anything else is the answer each time; a verb without a script is answered as a friendly server would. An
answer is

    a str       a reply; its lines are sent with CRLF
    bytes       sent as they are
    DIE         the connection is closed without a word
    ABORT       the same by TCP reset
    HANG        nothing is answered any more
    a function  called with (session, argument), returns one of these

`die_in_body=n` closes the connection after n bytes of a message have been read.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Step(enum.Enum):
    DIE = "close without a word"
    ABORT = "reset"
    HANG = "never answer"


DIE, ABORT, HANG = Step.DIE, Step.ABORT, Step.HANG

KEYWORDS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")

_FRIENDLY = {
    "BANNER": "220 hop.example ESMTP",
    "HELO": "250 hop.example",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    ".": "250 2.0.0 Ok: queued",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
    "STARTTLS": "220 2.0.0 Ready",
    "XFORWARD": "250 2.0.0 Ok",
    "XCLIENT": "220 hop.example ESMTP",
}


@dataclass
class Delivered:
    """A message that ended in a dot, whatever was answered to it."""

    mail: str  # the command as it came
    rcpts: list[str]  # those that were accepted
    wire: bytes  # between the 354 and the final dot
    session: Session

    @property
    def content(self) -> bytes:
        """With the dots of the transport taken away (RFC 5321 section 4.5.2)."""
        return b"\r\n".join(line.removeprefix(b".") for line in self.wire.split(b"\r\n"))


@dataclass
class Session:
    """One connection."""

    received: bytearray = field(default_factory=bytearray)  # every byte that came, TLS taken away
    commands: list[str] = field(default_factory=list)
    mail: str | None = None
    rcpts: list[str] = field(default_factory=list)
    tls: bool = False
    login: list[str] = field(default_factory=list)  # the lines of the client after AUTH
    ended: bool = False

    def forget(self) -> None:
        self.mail, self.rcpts = None, []


class _Gone(Exception):
    """The session is over."""


class _Wire:
    """The reading side of a socket, by separators."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    async def line(self) -> bytes:
        return await self._until(b"\r\n")

    async def message(self) -> bytes:
        """Up to and with the final dot, which ends a line of its own."""
        self._buffer[:0] = b"\r\n"
        return (await self._until(b"\r\n.\r\n"))[2:]

    async def some(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        return bytes(self._buffer[:size])

    async def _until(self, separator: bytes) -> bytes:
        start = 0
        while (found := self._buffer.find(separator, start)) < 0:
            start = max(0, len(self._buffer) - len(separator))
            await self._more()
        end = found + len(separator)
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return taken

    async def _more(self) -> None:
        data = await self._reader.read(1 << 18)
        if not data:
            raise _Gone
        self._buffer += data


class FakeHop:
    def __init__(
        self,
        *,
        lmtp: bool = False,
        keywords: Iterable[str] = KEYWORDS,
        script: Mapping[str, Any] | None = None,
        unix: Path | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        host: str = "127.0.0.1",
        die_in_body: int | None = None,
    ) -> None:
        self.lmtp = lmtp
        self.host = host
        self.implicit = implicit  # TLS from the first byte
        self.keywords = tuple(keywords) + (("STARTTLS",) if tls and not implicit else ())
        self.script: dict[str, Any] = {
            verb: list(said) if isinstance(said, list) else said for verb, said in (script or {}).items()
        }
        self.unix = unix
        self.tls = tls
        self.die_in_body = die_in_body
        self.sessions: list[Session] = []
        self.messages: list[Delivered] = []
        self.url = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def commands(self) -> list[str]:
        """Of all sessions."""
        return [command for session in self.sessions for command in session.commands]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def ended(self, count: int) -> None:
        """Wait until so many sessions are over."""
        while sum(session.ended for session in self.sessions) < count:
            self._changed.clear()
            await self._changed.wait()

    async def start(self) -> None:
        """Listen; after `stop` again, on the same port."""
        if self.unix is not None:
            self._server = await asyncio.start_unix_server(self._accept, self.unix)
            self.url = f"lmtp+unix:{self.unix}"
            return
        context = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "lmtp" if self.lmtp else "smtps" if self.implicit else "smtp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{scheme}://{host}:{self.port}"

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a crash would."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0.001)  # for what was accepted a moment ago
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(tls=self.implicit)
        self.sessions.append(session)
        try:
            with contextlib.suppress(_Gone, OSError, asyncio.CancelledError):  # ssl.SSLError is an OSError
                await self._converse(session, _Wire(reader), writer)
        finally:
            session.ended = True
            self._changed.set()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                async with asyncio.timeout(0.5):  # after a failed handshake Python 3.11 never says closed
                    await writer.wait_closed()

    async def _converse(self, session: Session, wire: _Wire, writer: asyncio.StreamWriter) -> None:
        await self._answer(session, writer, "BANNER", "")
        while True:
            line = await wire.line()
            session.received += line
            command = line[:-2].decode("utf-8", "surrogateescape")
            session.commands.append(command)
            verb, _, argument = command.partition(" ")
            said = await self._answer(session, writer, verb.upper(), argument)
            good = said.startswith(b"2")
            match verb.upper():
                case "MAIL" if good:
                    session.forget()
                    session.mail = command
                case "RCPT" if good:
                    session.rcpts.append(command)
                case "RSET" | "EHLO" | "LHLO" | "HELO" | "XCLIENT":
                    session.forget()
                case "DATA" if said.startswith(b"354"):
                    await self._message(session, wire, writer)
                case "AUTH":
                    await self._login(session, wire, writer, said)
                case "STARTTLS" if good and self.tls:
                    await writer.start_tls(self.tls)
                    session.tls = True
                case "QUIT":
                    raise _Gone

    async def _login(self, session: Session, wire: _Wire, writer: asyncio.StreamWriter, said: bytes) -> None:
        """The lines after AUTH; what is answered to each is the next answer of the script's AUTH."""
        while said.startswith(b"334"):
            line = await wire.line()
            session.received += line
            session.login.append(line[:-2].decode())
            said = await self._answer(session, writer, "AUTH", session.login[-1])

    async def _message(self, session: Session, wire: _Wire, writer: asyncio.StreamWriter) -> None:
        if self.die_in_body is not None:
            session.received += await wire.some(self.die_in_body)
            raise _Gone
        message = await wire.message()
        session.received += message
        content = message.removesuffix(b".\r\n")
        self.messages.append(Delivered(session.mail or "", list(session.rcpts), content, session))
        for recipient in session.rcpts if self.lmtp else [""]:
            await self._answer(session, writer, ".", recipient)
        session.forget()

    async def _answer(self, session: Session, writer: asyncio.StreamWriter, verb: str, argument: str) -> bytes:
        said = self._scripted(session, verb)
        if callable(said):
            said = said(session, argument)
        match said:
            case Step.DIE:
                raise _Gone
            case Step.ABORT:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                raise _Gone
            case Step.HANG:
                await asyncio.Event().wait()
            case str():
                said = said.replace("\n", "\r\n").encode() + b"\r\n"
        writer.write(said)
        await writer.drain()
        return bytes(said)

    def _scripted(self, session: Session, verb: str) -> Any:
        said = self.script.get(verb)
        if isinstance(said, list):
            said = said.pop(0) if said else None
        if said is not None:
            return said
        if verb in ("EHLO", "LHLO") and (verb == "LHLO") == self.lmtp:
            keywords = [k for k in self.keywords if not (session.tls and k == "STARTTLS")]
            lines = ["hop.example", *keywords]
            return "\n".join(f"250{'-' if n < len(lines) else ' '}{line}" for n, line in enumerate(lines, 1))
        if verb == "RCPT" and session.mail is None:
            return "503 5.5.1 MAIL first"
        if verb == "DATA" and not session.rcpts:
            return "554 5.5.1 No valid recipients"
        return _FRIENDLY.get(verb, "502 5.5.2 Not implemented")
