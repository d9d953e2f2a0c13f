"""Dialogue: SMTP as a conversation of verbs and replies, apart from sockets and time.

Each verb returns its Reply; the protocol alone writes. MAIL and RCPT are asked of the next hop in step, so
that its refusals are the client's answers; at DATA that conversation is given back before a byte is read, so
that a slow client holds no connection of the next hop. Then the filter decides, and `SmtpDelivery` opens a
transaction for each copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from filterd.frontends.reports import plain
from filterd.frontends.settings import TlsUse
from filterd.frontends.smtp import commands, identity, replies
from filterd.frontends.smtp.client import Client, relayed
from filterd.frontends.smtp.commands import Chunk
from filterd.frontends.smtp.data import Collector, Counted, Dotted, Trouble
from filterd.frontends.smtp.delivery import SmtpDelivery
from filterd.frontends.smtp.door import Caller, Door
from filterd.frontends.smtp.identity import XCLIENT_ATTRIBUTES, XFORWARD_ATTRIBUTES, Said
from filterd.frontends.smtp.login import offered
from filterd.frontends.smtp.opened import OpenMail
from filterd.frontends.smtp.settings import BareNewline
from filterd.frontends.smtp.trace import loops
from filterd.frontends.smtp.work import Work
from filterd.frontends.spool import Memory
from filterd.ids import new_id
from filterd.mail.envelope import Moment, Recipient
from filterd.reply import Reply

log = structlog.get_logger("filterd.smtp")

C = TypeVar("C", bound=Collector)

# What the next hop must have for us to announce it. When it cannot be reached all is announced, and MAIL asks
# again: a client that may not send 8-bit mail because we were blind for a moment would bounce it.
_PASSED_ON = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_REFUSALS = {
    Trouble.SIZE: replies.TOO_LARGE,
    Trouble.NUL: replies.NUL_IN_DATA,
    Trouble.BARE: replies.BARE_IN_DATA,
    Trouble.STORAGE: replies.NO_STORAGE,
}


@dataclass(slots=True)
class Traffic:
    """What all sessions of a listener share."""

    memory: Memory
    work: set[asyncio.Task[Any]] = field(default_factory=set)  # mails between their final dot and their end


class Dialogue:
    """One session."""

    def __init__(self, door: Callable[[], Door], caller: Caller, traffic: Traffic) -> None:
        self._current = door
        self._traffic = traffic
        self.door = door()
        self.client = Client(caller, caller.trusted(self.door.trusted) and not self.door.submission)
        self.tls: str | None = None  # protocol and cipher
        self._announced: dict[str, str] = {}
        self._largest = self.door.limits.message_size
        self._blind = False  # the next hop could not be asked what it has
        self._mail: OpenMail | None = None
        self.unwelcome = False  # was refused as it connected: nothing but QUIT is obeyed

    @property
    def within_mail(self) -> bool:
        return self._mail is not None

    async def greet(self) -> Reply:
        """The first word, and the answer to XCLIENT, which goes back to it: a refusal for who is `unwelcome`."""
        self.unwelcome = False
        if not self.door.submission and self.client.origin.known:
            handover = self.client.handover
            nothing = OpenMail(new_id(), self.door, commands.Path(""), handover, self.door.hop.transaction(handover))
            if (early := await self._screen(nothing, Moment.CONNECT)) is not None:
                self.unwelcome = True
                return early
        protocol = "LMTP" if self.door.settings.lmtp else "ESMTP"
        return Reply(220, f"{self.door.site.hostname} {protocol} filterd")

    async def hello(self, verb: str, argument: str) -> Reply:
        if (verb == "LHLO") != self.door.settings.lmtp:
            return replies.UNKNOWN_COMMAND  # RFC 2033 section 4.1
        helo = commands.parse_hello(argument)
        if isinstance(helo, Reply):
            return helo
        await self.abandon()
        self.door = self._current()
        self.client.helo = helo
        self.client.extended = verb != "HELO"
        await self._look_ahead()
        if self._blind and self.door.submission:
            return replies.HOP_DOWN  # else the client would conclude that nobody can log in here
        if not self.client.extended:
            return Reply(250, self.door.site.hostname)
        keywords = [f"{keyword} {value}".rstrip() for keyword, value in self._announced.items()]
        return Reply(250, "\n".join([self.door.site.hostname, *keywords]))

    async def mail(self, argument: str) -> Reply:
        refusal = self._before_mail()
        if refusal is not None:
            return refusal
        if self._blind and self.client.extended:
            await self._look_ahead()
            if self._blind:
                return replies.HOP_UNKNOWN
        path = commands.parse_mail(argument, self._announced)
        if isinstance(path, Reply):
            return path
        if int(path.value("SIZE") or 0) > self._largest:
            return replies.TOO_LARGE  # RFC 1870 section 6.1
        door = self.door = self._current()
        handover = self.client.handover
        hop = self.client.account.hop or door.hop
        mail = OpenMail(new_id(), door, path, handover, hop.transaction(handover))
        early = await self._screen(mail, Moment.MAIL)
        if early is not None:
            return early
        reply = await mail.transaction.mail(path.address, path.parameters)
        if reply.ok:
            self._mail = mail
        else:
            await mail.transaction.close()
        return replies.HOP_LOST if self.client.account.lost else replies.passed_on(reply)

    async def rcpt(self, argument: str) -> Reply:
        mail = self._mail
        if mail is None:
            return replies.NEED_MAIL
        if mail.chunks is not None:
            return replies.WITHIN_DATA
        path = commands.parse_rcpt(argument, self._announced, utf8=mail.utf8)
        if isinstance(path, Reply):
            return path
        if mail.asked >= mail.door.limits.recipients:
            return replies.TOO_MANY_RECIPIENTS  # RFC 5321 section 4.5.3.1.10
        mail.asked += 1
        if not self.client.may_relay(mail.door.site) and relayed(path, mail.door.site):
            return replies.NO_RELAY
        reports = mail.door.site.reports
        ends_here = bool(reports) and plain(path.address) in reports
        if mail.door.before_queue and not ends_here and mail.door.site.recipients.lacks(path.local, path.domain):
            return replies.UNKNOWN_RECIPIENT
        recipient = Recipient(path.address, path.parameters)
        early = await self._screen(mail, Moment.RCPT, recipient)
        if early is not None:
            return early
        reply = replies.OK if ends_here else await mail.transaction.rcpt(recipient)
        if reply.ok:
            mail.recipients.append(recipient)
            mail.domains.add(path.domain)
        return replies.passed_on(reply)

    async def data(self, argument: str) -> Reply:
        """354 when the data may come; the next hop's connection has been given back by then."""
        if argument:
            return replies.NO_ARGUMENT
        return await self._take_data() or replies.GO_AHEAD

    async def bdat(self, chunk: Chunk) -> Counted:
        """Where the octets of a chunk go. They are taken even when `chunk_taken` refuses them (RFC 3030, 2)."""
        mail = self._mail
        chunks = mail.chunks if mail is not None else None
        if chunks is None:
            refusal = await self._take_data()
            chunks = self._collector(Counted)
            if mail is not None:
                mail.chunks, mail.refusal = chunks, refusal
        if mail is None or mail.refusal is not None:
            chunks.discard()
        chunks.expect(chunk.size, last=chunk.last)
        return chunks

    def chunk_taken(self, chunk: Chunk) -> Reply | None:
        """The reply to a chunk that is not the last one, or that is refused; None: `finish` answers."""
        mail = self._mail
        if mail is None:
            return replies.NEED_MAIL
        if mail.chunks is not None and mail.chunks.trouble and not mail.refusal:
            mail.refusal = _REFUSALS[mail.chunks.trouble]
        if mail.refusal is not None or not chunk.last:
            return mail.refusal or Reply(250, f"{chunk.size} octets received", "2.0.0")
        return None

    def dotted(self) -> Dotted:
        return self._collector(Dotted)

    async def finish(self, collector: Collector, gone: asyncio.Future[None]) -> tuple[Reply, ...]:
        """The answer to the final dot: one reply, with LMTP one for each accepted recipient (RFC 2033).

        It comes within the deadline. When that passes, or `gone` says that the client left, no copy is sent
        any more. Takes the collector over.
        """
        mail = self._mail
        assert mail is not None
        envelope = mail.envelope(self.client, self.tls)
        trace = mail.trace(self.client, envelope)
        self._mail = self.client.xforward = None
        each = len(mail.recipients) if mail.door.settings.lmtp else 1
        try:
            refusal = _REFUSALS.get(collector.trouble) if collector.trouble else None
            raw = b"" if refusal else collector.message()
        except OSError as error:
            log.error("spool-failed", id=mail.id, why=str(error))
            refusal, raw = replies.NO_STORAGE, b""
        if refusal is None and loops(raw, envelope, mail.door.site.hostname):
            refusal = replies.LOOP
        if refusal is not None:
            collector.close()
            log.info(
                "refused-data",
                id=mail.id,
                listener=envelope.listener,
                client=envelope.client.address or envelope.peer,
                sender=envelope.sender,
                reply=str(refusal),
            )
            return (replies.about(refusal, mail.id),) * each
        delivery = SmtpDelivery(
            envelope,
            mail.transaction.another,
            trace,
            may_refuse=mail.door.before_queue,
            replies_each=mail.door.settings.lmtp,
        )
        work = Work(mail.door.filter, envelope, raw, delivery, enforce=mail.door.settings.enforce)
        task = work.start(collector.close)
        self._traffic.work.add(task)
        task.add_done_callback(self._traffic.work.discard)
        return await work.answer(gone, mail.door.site.deadline)

    async def reset(self, argument: str) -> Reply:
        if argument:
            return replies.NO_ARGUMENT
        await self.abandon()
        return replies.OK

    async def xclient(self, argument: str) -> Reply:
        said = self._said(argument, XCLIENT_ATTRIBUTES, self.client.xclient)
        if isinstance(said, Reply):
            return said
        await self.abandon()
        self.client.xclient = said
        self.client.helo = ""
        return await self.greet()

    async def xforward(self, argument: str) -> Reply:
        said = self._said(argument, XFORWARD_ATTRIBUTES, self.client.xforward)
        if isinstance(said, Reply):
            return said
        self.client.xforward = said
        return replies.OK

    async def auth(self, argument: str) -> Reply:
        """The AUTH command; to 334 the client answers by `respond`."""
        if not self.door.submission:
            return replies.NOT_IMPLEMENTED
        if not self.tls:
            return replies.LOGIN_NEEDS_TLS
        if not (self.client.helo and self.client.extended):
            return replies.NEED_HELLO
        if self.client.user:
            return replies.LOGIN_TWICE
        if self._mail is not None:
            return replies.NOT_WITHIN_MAIL
        mechanisms = self._announced.get("AUTH", "")
        return await self.client.account.auth(argument, mechanisms, self.door.hop, self.client.handover)

    async def respond(self, line: bytes | Reply) -> Reply:
        """A line of the exchange that AUTH began, or why it cannot be read."""
        return await self.client.account.respond(line)

    def may_start_tls(self, argument: str) -> Reply:
        """220 when TLS may begin."""
        if argument:
            return replies.NO_ARGUMENT
        if self.tls:
            return replies.TLS_ALREADY
        return replies.READY_FOR_TLS if self._offers_tls else replies.NOT_IMPLEMENTED

    async def secured(self, tls: str) -> None:
        """TLS is on: what was said before it is forgotten (RFC 3207 section 4.2)."""
        await self.abandon()
        self.tls = tls
        self.client.helo = ""
        self.client.xclient = None

    async def end(self) -> None:
        """The session is over."""
        await self.abandon()
        await self.client.account.close()

    async def abandon(self) -> None:
        """Forget the open transaction, here and at the next hop; nothing of it reaches the next one."""
        mail, self._mail = self._mail, None
        self.client.xforward = None
        if mail is not None:
            if mail.chunks is not None:
                mail.chunks.close()
            await mail.let_go()

    @property
    def _offers_tls(self) -> bool:
        return self.door.tls is not None and self.door.settings.tls is TlsUse.STARTTLS and not self.tls

    async def _take_data(self) -> Reply | None:
        """Make ready for the data: the next hop's connection is given back. A refusal, if it may not come."""
        mail = self._mail
        if mail is None:
            return replies.NEED_MAIL
        if mail.chunks is not None:
            return replies.WITHIN_DATA
        if not mail.recipients:
            return replies.NEED_RCPT
        if len(self._traffic.work) >= mail.door.limits.messages:
            return replies.TOO_MUCH_MAIL
        await mail.let_go()
        return None

    def _collector(self, kind: type[C]) -> C:
        normalize = self.door.site.bare_newline == BareNewline.NORMALIZE
        return kind(self._largest, self._traffic.memory, normalize=normalize, spool=self.door.spool)

    def _before_mail(self) -> Reply | None:
        if not self.client.helo:
            return replies.NEED_HELLO
        if self.door.settings.require_tls and not self.tls:
            return replies.NEED_TLS
        if self.door.submission and not self.client.user:
            return replies.NEED_LOGIN
        if self.client.account.lost:
            return replies.HOP_LOST
        return replies.NESTED_MAIL if self._mail is not None else None

    def _said(self, argument: str, allowed: tuple[str, ...], before: Said | None) -> Said | Reply:
        if not self.client.trusted:
            return replies.NOT_TRUSTED
        if self._mail is not None:
            return replies.NOT_WITHIN_MAIL
        return identity.parse_attributes(argument, allowed, before or Said())

    async def _look_ahead(self) -> None:
        """Learn what the next hop has, and so what we announce and take."""
        ours = self.door.limits.message_size
        capabilities = await (self.client.account.hop or self.door.hop).capabilities()
        self._blind = capabilities is None
        self._largest = min(ours, capabilities.size or ours) if capabilities else ours
        self._announced = {}
        if not self.client.extended:
            return
        self._announced["CHUNKING"] = ""  # ends here: the next hop is sent DATA
        for keyword in _PASSED_ON:
            if capabilities is None or capabilities.has(keyword):
                self._announced[keyword] = str(self._largest) if keyword == "SIZE" else ""
        if self._offers_tls:
            self._announced["STARTTLS"] = ""
        if self.door.submission and self.tls and capabilities is not None:
            mechanisms = offered(capabilities.keywords.get("AUTH", ""))
            self._announced |= {"AUTH": mechanisms} if mechanisms else {}
        if self.client.trusted:
            self._announced["XCLIENT"] = " ".join(XCLIENT_ATTRIBUTES)
            self._announced["XFORWARD"] = " ".join(XFORWARD_ATTRIBUTES)

    async def _screen(self, mail: OpenMail, moment: Moment, *asked: Recipient) -> Reply | None:
        """The filter's early answer, where we may refuse; about one recipient at a time."""
        if not mail.door.before_queue:
            return None
        envelope = mail.envelope(self.client, self.tls, asked)
        return await mail.door.filter.screen(envelope, moment, enforce=mail.door.settings.enforce)
