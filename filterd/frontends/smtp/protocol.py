"""SmtpProtocol: one connection. The only file that knows aiosmtpd.

aiosmtpd gives the class, the table of verbs (`smtp_NAME`) and their calling; reading, writing and time are
ours, because its DATA loop costs ten times what a bulk reader does, its timer sleeps through DATA, and its
replies have no enhanced codes. Commands are answered in order, and what a pipelining client asked at once is
answered in one write.

Whatever ends the conversation, the transaction is given up.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import cached_property
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

from filterd.frontends.connection import CLOSING, Connection, Gone
from filterd.frontends.smtp import replies
from filterd.frontends.smtp.commands import parse_bdat, parse_line
from filterd.frontends.smtp.data import Collector
from filterd.frontends.smtp.dialogue import Dialogue
from filterd.frontends.smtp.door import Caller
from filterd.frontends.smtp.inbox import LONGEST_LINE, LONGEST_LOGIN, Inbox
from filterd.frontends.smtp.tls import describe
from filterd.frontends.smtp.watch import Late, Stage, Watch
from filterd.reply import Reply

if TYPE_CHECKING:
    from filterd.frontends.smtp.server import SmtpServer

_MOST_UNREAD = 1 << 16  # octets of commands that may wait while one is obeyed
_TURN = 50  # commands of one client after which it is somebody else's turn
_MANY_CHUNKS = 1000  # of a message; from there on they have so many octets each, on average
_IDLE_VERBS = frozenset(("NOOP", "RSET", "VRFY", "EXPN", "HELP", "EHLO", "HELO", "LHLO", "XCLIENT", "XFORWARD"))
_OTHER_PROTOCOLS = frozenset(("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PROPFIND", "PRI", "HOST:"))


class SmtpProtocol(Connection, SMTP):
    """One client's connection to a `SmtpServer`."""

    def __init__(self, server: SmtpServer, caller: Caller | None = None) -> None:
        """`caller` is known beforehand when a PROXY header was read."""
        SMTP.__init__(self, None, hostname=server.door.site.hostname, loop=server.listening.loop)
        Connection.__init__(self, server.listening)
        self.watch = Watch()
        self.counted = False  # by its address
        self._server = server
        self._proxied = caller
        self._dialogue: Dialogue
        self._inbox = Inbox()
        self._out = bytearray()
        self._collector: Collector | None = None
        self._data_began = 0.0  # of a message in chunks
        self._idle = 0
        self._bad = 0
        self._failed_logins = 0
        self._ended = False
        self._said_all = False  # the client's side is closed, ours is not

    def __dir__(self) -> list[str]:
        """aiosmtpd searches its instances for verbs at every connection; it need see nothing else."""
        return _VERBS

    @property
    def idle(self) -> bool:
        """Waiting for a client that has no transaction open."""
        return self.watch.stage is Stage.COMMAND and not self._dialogue.within_mail

    @property
    def _received(self) -> int:
        """Octets of the data so far."""
        return self._collector.received if self._collector is not None else 0

    @cached_property
    def caller(self) -> Caller:
        return self._proxied or Caller.at(self.wire.get_extra_info("peername"))

    @property
    def peer(self) -> str | None:
        return self.caller.speaker

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._dialogue = Dialogue(lambda: self._server.door, self.caller, self._server.traffic)
        if tls := transport.get_extra_info("ssl_object"):
            self._dialogue.tls = describe(tls)
        self._enter(Stage.WORK)

    def data_received(self, data: bytes) -> None:
        if self._collector is not None:
            after = self._collector.feed(data)
            if after is None:
                return
            self._collector, data = None, after
        self._inbox.feed(data)
        if self.watch.line_since is None:
            self.watch.line_since = self.loop.time()
        if len(self._inbox) > _MOST_UNREAD:
            self.hold()
        self.wake()

    def eof_received(self) -> bool | None:
        """True: the client ended its side behind a pipelined QUIT, as Exim does, and listens on."""
        if self._inbox.ends_in_quit and self._dialogue.tls is None:
            self._said_all = True
            return True
        return super().eof_received()

    # what the listener calls

    def check(self, now: float) -> None:
        match self.watch.late(now, self._dialogue.door.limits, self._received):
            case Late.COMMAND:
                self.dismiss(replies.TIMED_OUT)
            case Late.LINE:
                self.dismiss(replies.TIMED_OUT, "slow command")
            case Late.DATA:
                self.dismiss(replies.TOO_SLOW, "slow data")
            case Late.WORK if self.unheard:
                self.cut()

    def wasted(self, now: float) -> float:
        limits = self._dialogue.door.limits
        return self.watch.wasted(now, limits, self._received, within_mail=self._dialogue.within_mail)

    def retire(self) -> None:
        super().retire()
        if self.idle:
            self.dismiss(replies.SHUTTING_DOWN)

    def make_room(self) -> None:
        self.dismiss(replies.MADE_ROOM, "idle connections")
        self._server.dismissed(self)

    def dismiss(self, reply: Reply, abuse: str | None = None) -> None:
        """Say a last word and close."""
        if abuse:
            self.note(abuse)
        self._out += replies.render(reply)
        self.close()
        self.give_up()

    # the conversation

    async def converse(self) -> None:
        refusal = self._server.admit(self)
        if refusal is not None:
            return self._say(refusal)
        self._say(await self._dialogue.greet())
        obeyed = 0
        while not self._ended:
            line = await self._line()
            await self._obey(line)
            obeyed += 1
            if obeyed % _TURN == 0:
                await self._flush()
                await asyncio.sleep(0)  # whoever pipelines thousands of commands lets others speak in between

    def failed(self) -> None:
        self._say(replies.INTERNAL_ERROR)

    async def ended(self) -> None:
        await self._dialogue.end()
        self._server.dismissed(self)

    async def _line(self) -> bytes | Reply:
        """The next line of the client. What was answered goes out when there is nothing left to answer."""
        while not self.gone.done():
            line = self._inbox.take()
            if line is not None:
                self.watch.line_since = self.loop.time() if self._inbox.within_line else None
                return line
            if self.retiring and not self._dialogue.within_mail:
                self.dismiss(replies.SHUTTING_DOWN)
                raise Gone
            await self._flush()
            await self._await_client(Stage.COMMAND)
        raise Gone

    async def _obey(self, line: bytes | Reply) -> None:
        command = parse_line(line) if isinstance(line, bytes) else line
        if isinstance(command, Reply):
            return self._answer(command)
        if command.verb in _OTHER_PROTOCOLS:
            return self._end(replies.NOT_SMTP, "not SMTP")
        if self._dialogue.unwelcome and command.verb not in ("QUIT", "XCLIENT"):
            return self._answer(replies.UNWELCOME)
        if command.verb in _IDLE_VERBS and self._wasted():
            return None
        method = self._smtp_methods.get(command.verb)
        if method is None:
            return self._answer(replies.UNKNOWN_COMMAND)
        await method(command.argument)

    async def smtp_EHLO(self, argument: str) -> None:
        self._answer(await self._dialogue.hello("EHLO", argument))
        self._inbox.longest = LONGEST_LOGIN if self._dialogue.door.submission and self._dialogue.tls else LONGEST_LINE

    async def smtp_HELO(self, argument: str) -> None:
        self._answer(await self._dialogue.hello("HELO", argument))

    async def smtp_LHLO(self, argument: str) -> None:
        self._answer(await self._dialogue.hello("LHLO", argument))

    async def smtp_MAIL(self, argument: str | None) -> None:
        reply = await self._dialogue.mail(argument or "")
        self._answer(reply)
        if not reply.ok:  # whoever may not send is not told so for ever
            self._wasted()

    async def smtp_RCPT(self, argument: str | None) -> None:
        self._answer(await self._dialogue.rcpt(argument or ""))

    async def smtp_DATA(self, argument: str) -> None:
        reply = await self._dialogue.data(argument)
        self._answer(reply)
        if reply is not replies.GO_AHEAD:
            return
        await self._flush()
        collector = self._dialogue.dotted()
        await self._receive(collector)
        await self._finish(collector)

    async def smtp_BDAT(self, argument: str | None) -> None:
        chunk = parse_bdat(argument or "")
        if isinstance(chunk, Reply):
            self._say(chunk)
            return self._end(replies.CANNOT_FOLLOW, "BDAT")
        collector = await self._dialogue.bdat(chunk)
        if collector.chunks == 1:
            self._data_began = self.loop.time()
        elif self.loop.time() - self._data_began > self._dialogue.door.limits.data_timeout:
            return self._end(replies.TOO_SLOW, "slow data")
        elif collector.chunks > _MANY_CHUNKS and collector.received < _MANY_CHUNKS * collector.chunks:
            return self._end(replies.TOO_MANY_CHUNKS, "small chunks")
        await self._flush()
        await self._receive(collector)
        reply = self._dialogue.chunk_taken(chunk)
        if reply is None:
            return await self._finish(collector)
        self._answer(reply)
        if chunk.last:
            await self._dialogue.abandon()

    async def smtp_RSET(self, argument: str) -> None:
        self._answer(await self._dialogue.reset(argument))

    async def smtp_NOOP(self, argument: str) -> None:
        self._say(replies.OK)

    async def smtp_VRFY(self, argument: str) -> None:
        self._answer(replies.CANNOT_VERIFY if argument else replies.BAD_PARAMETER)

    async def smtp_EXPN(self, argument: str) -> None:
        self._answer(replies.NOT_IMPLEMENTED)

    async def smtp_AUTH(self, argument: str) -> None:
        reply = self._server.may_log_in(self.caller) or await self._dialogue.auth(argument)
        while reply.code == 334:
            self._say(reply)
            reply = await self._dialogue.respond(await self._line())
        self._answer(reply)
        if reply.code == 535:
            self._failed_logins += 1
            self._server.login_failed(self.caller)
            if self._failed_logins >= self._dialogue.door.limits.failed_logins:
                self._end(replies.TOO_MANY_LOGINS)

    async def smtp_HELP(self, argument: str) -> None:
        self._say(replies.HELP)

    async def smtp_QUIT(self, argument: str) -> None:
        self._end(replies.BYE)

    async def smtp_XCLIENT(self, argument: str) -> None:
        self._answer(await self._dialogue.xclient(argument))

    async def smtp_XFORWARD(self, argument: str) -> None:
        self._answer(await self._dialogue.xforward(argument))

    async def smtp_PROXY(self, argument: str) -> None:
        """Who is to be believed said it before the greeting."""
        self._end(replies.NOT_TRUSTED, "PROXY")

    async def smtp_STARTTLS(self, argument: str) -> None:
        door = self._dialogue.door
        reply = self._dialogue.may_start_tls(argument)
        self._answer(reply)
        if reply is not replies.READY_FOR_TLS or door.tls is None:
            return
        await self._flush()
        self._inbox.take_all()  # RFC 3207 section 4.2: what was said before TLS was said by anybody
        try:
            transport = await self.loop.start_tls(
                self.wire, self, door.tls, server_side=True,
                ssl_handshake_timeout=door.limits.handshake_timeout, ssl_shutdown_timeout=CLOSING,
            )  # fmt: skip
        except (OSError, ssl.SSLError) as error:
            self.note("TLS handshake")
            raise Gone from error
        if transport is None:
            raise Gone
        self.wire = transport
        await self._dialogue.secured(describe(transport.get_extra_info("ssl_object")))

    async def _finish(self, collector: Collector) -> None:
        for answer in await self._dialogue.finish(collector, self.gone):
            self._say(answer)
            if answer.ok:
                self._idle = self._bad = 0

    async def _receive(self, collector: Collector) -> None:
        """Fill it up to the end of the data; it is closed when the client leaves before that."""
        try:
            after = collector.feed(self._inbox.take_all())
            if after is not None:
                self._inbox.feed(after)
            else:
                self._collector = collector
                self.watch.measure(self.loop.time(), collector.received)
                while self._collector is not None:
                    await self._await_client(Stage.DATA)
        except BaseException:
            self._collector = None
            collector.close()
            raise
        self.watch.line_since = self.loop.time() if self._inbox.within_line else None

    def _answer(self, reply: Reply) -> None:
        """Say it, and end the session of somebody who talks too much nonsense."""
        self._say(reply)
        if 500 <= reply.code <= 504:
            self._bad += 1
            if self._bad > self._dialogue.door.limits.bad_commands:
                self._end(replies.TOO_MANY_BAD, "bad commands")

    def _wasted(self) -> bool:
        """Count a command that led nowhere; True when it was one too many, and the session is over."""
        self._idle += 1
        if self._idle > self._dialogue.door.limits.idle_commands:
            self._end(replies.TOO_MANY_IDLE, "idle commands")
        return self._ended

    def _say(self, reply: Reply) -> None:
        self._out += replies.render(reply)
        self._ended = self._ended or reply.code == 421  # RFC 5321 section 3.8

    def _end(self, reply: Reply, abuse: str | None = None) -> None:
        self._say(reply)
        self._ended = True
        if abuse:
            self.note(abuse)

    # waiting and writing

    async def _await_client(self, stage: Stage) -> None:
        """Wait until the client said something; raises Gone when it will not."""
        if self._said_all:
            raise Gone
        if stage is not self.watch.stage:
            self._enter(stage)
        await self.more()
        if stage is not Stage.DATA or self._collector is None:
            self._enter(Stage.WORK)

    async def _flush(self) -> None:
        if self._out:
            self.say(bytes(self._out))
            self._out.clear()
        await self.heard()

    def _enter(self, stage: Stage) -> None:
        self.watch.enter(stage, self.loop.time())

    def close(self) -> None:
        if self.watch.stage is not Stage.CLOSING:
            self._enter(Stage.CLOSING)
            self.say(bytes(self._out))
            self._out.clear()
            super().close()


_VERBS = [name for name in vars(SmtpProtocol) if name.startswith("smtp_")]
