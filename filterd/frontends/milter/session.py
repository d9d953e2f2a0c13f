"""Session: the milter protocol as a dialogue, apart from sockets and time.

In: packets. Out: for each the bytes that answer it, b"" where none is due. One connection carries one client
after another (QUIT_NC), a client one message after another; ABORT forgets the message alone. The message is
put together again as it came: each field with the white space and the folds that it had, so that signatures
over it hold. What is out of order or cannot be read ends the session: `ended` says why.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog

from filterd.frontends import Filter
from filterd.frontends.milter import wire
from filterd.frontends.milter.client import WANTED, Client
from filterd.frontends.milter.delivery import MilterDelivery, render
from filterd.frontends.milter.wire import Action, Command, Offer, Packet, Step
from filterd.frontends.settings import MilterListener
from filterd.frontends.smtp import replies
from filterd.frontends.smtp.dialogue import Traffic
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.smtp.trace import protocol_word
from filterd.frontends.smtp.work import Work
from filterd.frontends.spool import Spool
from filterd.ids import new_id
from filterd.mail.envelope import Envelope, Moment, Recipient
from filterd.reply import Reply

log = structlog.get_logger("filterd.milter")

PROGRESS = 10.0  # seconds between two signs of life while we judge; Postfix gives up after 300 without one

_NEEDED = Action.ADD_HEADERS | Action.CHANGE_HEADERS | Action.DELETE_RECIPIENTS
# What we do without. Connect, MAIL and RCPT are answered, for there the filter may have an early answer.
_SILENT = {
    Command.HELO: Step.SILENT_HELO,
    Command.HEADER: Step.SILENT_HEADER,
    Command.END_OF_HEADER: Step.SILENT_END_OF_HEADER,
    Command.BODY: Step.SILENT_BODY,
    Command.DATA: Step.SILENT_DATA,
    Command.UNKNOWN: Step.SILENT_UNKNOWN,
}
_WANTED = sum(_SILENT.values()) | Step.NO_DATA | Step.NO_UNKNOWN | Step.LEADING_SPACE


@dataclass(frozen=True, slots=True)
class Door:
    """One milter listener and all that stands behind it; a reload replaces it."""

    name: str  # Envelope.listener
    settings: MilterListener
    limits: SmtpLimits
    site: Site
    filter: Filter
    spool: Path | None = None  # folder of large messages in work; None is the system's
    progress: float = PROGRESS


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What a negotiation led to."""

    answer: bytes
    silent: frozenset[int]  # commands that get no answer
    leading_space: bool


@dataclass(slots=True)
class _Mail:
    """An open message."""

    door: Door  # the one it was begun under, whatever is reloaded meanwhile
    sender: str
    parameters: tuple[str, ...]
    spool: Spool
    id: str = field(default_factory=new_id)
    recipients: list[Recipient] = field(default_factory=list)
    named: list[bytes] = field(default_factory=list)  # the recipients as RCPT had them
    size: int = 0
    trouble: Reply | None = None
    _headed: bool = False

    def end_header(self) -> None:
        """The empty line, once: a message without a body may end without one."""
        if not self._headed:
            self._headed = True
            self.write(b"\r\n")

    def write(self, piece: bytes) -> None:
        if self.trouble is not None:
            return
        self.size += len(piece)
        if self.size > self.door.limits.message_size:
            return self._fail(replies.TOO_LARGE)
        try:
            self.spool.write(piece)
        except OSError:
            self._fail(replies.NO_STORAGE)

    def read(self) -> bytes | memoryview | Reply:
        """The message, or why there is none."""
        if self.trouble is not None:
            return self.trouble
        try:
            return self.spool.message()
        except OSError as error:
            log.error("spool-failed", id=self.id, why=str(error))
            return replies.NO_STORAGE

    def _fail(self, trouble: Reply) -> None:
        self.spool.close()
        self.trouble = trouble


class Session:
    """One connection of a mail server. `say` sends bytes at once; `gone` is done when nobody listens any more."""

    def __init__(
        self,
        door: Callable[[], Door],
        peer: str | None,
        traffic: Traffic,
        say: Callable[[bytes], None],
        gone: asyncio.Future[None],
    ) -> None:
        self._door = door
        self._peer = peer
        self._traffic = traffic
        self._say = say
        self._gone = gone
        self.agreed = False  # is the negotiation over?
        self._silent: frozenset[int] = frozenset()  # commands that get no answer
        self._leading_space = False
        self._client = Client()
        self._mail: _Mail | None = None
        self.ended: str | None = None  # "" is a farewell, else what was wrong
        self._alive: asyncio.TimerHandle | None = None

    @property
    def within_mail(self) -> bool:
        return self._mail is not None

    def obey(self, packet: Packet) -> bytes | Coroutine[Any, Any, bytes]:
        """The answer to a packet, or what gives it, where the filter is asked."""
        verb = _VERBS.get(packet.command)
        if verb is None:
            return self._refuse(f"command {packet.command:#x}")
        if not self.agreed and packet.command not in (Command.NEGOTIATE, Command.QUIT):
            return self._refuse("no negotiation")
        return verb(self, packet.data)

    def abandon(self) -> None:
        """Forget the open message."""
        mail, self._mail = self._mail, None
        self._client.end_mail()
        if mail is not None:
            mail.spool.close()

    def _negotiate(self, data: bytes) -> bytes:
        offer = wire.parse_offer(data)
        if offer is None or self.agreed:
            return self._refuse("negotiation")
        agreed = _agree(offer)
        if agreed is None:
            return self._refuse(f"version {offer.version} with actions {offer.actions:#x} is not enough")
        self.agreed = True
        self._silent, self._leading_space = agreed.silent, agreed.leading_space
        return agreed.answer

    def _macro(self, data: bytes) -> bytes:
        macros = wire.parse_macros(data)
        if macros is None:
            return self._refuse("macros")
        if macros:
            self._client.learn(data[0], macros)
        return b""

    async def _connect(self, data: bytes) -> bytes:
        connect = wire.parse_connect(data)
        if connect is None:
            return self._refuse("connect")
        self._client = self._client.arrived(connect)
        door = self._door()
        return _answer(await self._early(door, self._envelope(door, new_id()), Moment.CONNECT))

    def _helo(self, data: bytes) -> bytes:
        strings = wire.parse_strings(data)
        if strings is None:
            return self._refuse("HELO")
        self._client.helo = wire.text(strings[0])
        return self._unless_silent(Command.HELO)

    async def _open(self, data: bytes) -> bytes:
        strings = wire.parse_strings(data)
        if strings is None:
            return self._refuse("MAIL")
        if self._mail is not None:
            self._mail.spool.close()
        door = self._door()
        address, parameters = _path(strings)
        self._mail = mail = _Mail(door, address, parameters, Spool(self._traffic.memory, door.spool))
        early = await self._early(door, self._envelope(door, mail.id, mail), Moment.MAIL)
        if early is not None:
            self.abandon()
        return _answer(early)

    async def _rcpt(self, data: bytes) -> bytes:
        strings, mail = wire.parse_strings(data), self._mail
        if strings is None or mail is None:
            return self._refuse("RCPT")
        if len(mail.recipients) >= mail.door.limits.recipients:
            return wire.reply_code(replies.TOO_MANY_RECIPIENTS)  # RFC 5321 section 4.5.3.1.10
        recipient = Recipient(*_path(strings))
        envelope = self._envelope(mail.door, mail.id, mail, recipient)
        early = await self._early(mail.door, envelope, Moment.RCPT)
        if early is None:
            mail.recipients.append(recipient)
            mail.named.append(strings[0])
        return _answer(early)

    def _nothing(self, data: bytes) -> bytes:
        """DATA and commands that the mail server does not know, where it will not leave them out."""
        return wire.CONTINUE

    def _header(self, data: bytes) -> bytes:
        strings, mail = wire.parse_strings(data), self._mail
        if strings is None or len(strings) != 2 or mail is None:
            return self._refuse("header")
        name, value = strings
        if b"\n" in value:  # folds come as LF, or as CRLF
            value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        mail.write(b"%b%b%b\r\n" % (name, b":" if self._leading_space else b": ", value))
        return self._unless_silent(Command.HEADER)

    def _end_of_header(self, data: bytes) -> bytes:
        if self._mail is None:
            return self._refuse("end of header")
        self._mail.end_header()
        return self._unless_silent(Command.END_OF_HEADER)

    def _body(self, data: bytes) -> bytes:
        if self._mail is None:
            return self._refuse("body")
        self._mail.end_header()
        self._mail.write(data)
        return self._unless_silent(Command.BODY)

    async def _end(self, data: bytes) -> bytes:
        mail = self._mail
        if mail is None:
            return self._refuse("end of message")
        mail.end_header()
        mail.write(data)  # the last chunk may come with it
        envelope = self._envelope(mail.door, mail.id, mail)
        self._mail = None  # the work has it now
        self._client.end_mail()
        return await self._finish(mail, envelope)

    def _abort(self, data: bytes) -> bytes:
        self.abandon()
        return b""

    def _next_client(self, data: bytes) -> bytes:
        self.abandon()
        self._client = Client()
        return b""

    def _quit(self, data: bytes) -> bytes:
        self.ended = ""
        return b""

    async def _finish(self, mail: _Mail, envelope: Envelope) -> bytes:
        """The answer to a whole message."""
        if not mail.recipients:
            mail.spool.close()
            log.warning("no-recipients", id=mail.id, listener=envelope.listener, queue_id=envelope.queue_id)
            return wire.CONTINUE
        busy = len(self._traffic.work) >= mail.door.limits.messages
        raw = replies.TOO_MUCH_MAIL if busy else mail.read()
        if isinstance(raw, Reply):
            mail.spool.close()
            return self._refused(envelope, raw)
        work = Work(mail.door.filter, envelope, raw, MilterDelivery(), enforce=mail.door.settings.enforce)
        task = work.start(mail.spool.close)
        self._traffic.work.add(task)
        task.add_done_callback(self._traffic.work.discard)
        self._keep_waiting(mail.door.progress)
        try:
            done = await work.result(self._gone, mail.door.site.deadline)
        finally:
            if self._alive is not None:
                self._alive.cancel()
        if isinstance(done, Reply) or not done.reply.ok:
            return wire.reply_code(done if isinstance(done, Reply) else done.reply)
        copies = work.outcome.copies if work.outcome else ()
        return render(done.record.decisions, copies, mail.named, leading_space=self._leading_space)

    def _keep_waiting(self, seconds: float, sign: bytes = b"") -> None:
        """Show life every so many seconds, from then on until the timer is cancelled."""
        if sign:
            self._say(sign)
        loop = asyncio.get_running_loop()
        self._alive = loop.call_later(seconds, self._keep_waiting, seconds, wire.PROGRESS)

    async def _early(self, door: Door, envelope: Envelope, moment: Moment) -> Reply | None:
        """The filter's early answer."""
        return await door.filter.screen(envelope, moment, enforce=door.settings.enforce)

    def _refused(self, envelope: Envelope, refusal: Reply) -> bytes:
        log.info(
            "refused-data",
            id=envelope.id,
            listener=envelope.listener,
            client=envelope.client.address,
            sender=envelope.sender,
            reply=str(refusal),
        )
        return wire.reply_code(replies.about(refusal, envelope.id))

    def _refuse(self, what: str) -> bytes:
        self.ended = what
        return b""

    def _unless_silent(self, command: Command) -> bytes:
        return b"" if command in self._silent else wire.CONTINUE

    def _envelope(self, door: Door, id: str, mail: _Mail | None = None, asked: Recipient | None = None) -> Envelope:
        """All that is known. `asked`: about this recipient alone."""
        client = self._client
        parameters = mail.parameters if mail else ()
        recipients = (asked,) if asked else tuple(mail.recipients) if mail else ()
        tls, user = client.tls, client.user
        utf8 = "SMTPUTF8" in (parameter.upper() for parameter in parameters)
        return Envelope(
            id=id,
            received_at=datetime.datetime.now(datetime.UTC),
            listener=door.name,
            peer=self._peer,
            client=client.origin,
            sender=mail.sender if mail else "",
            recipients=recipients,
            sender_parameters=parameters,
            protocol=protocol_word(lmtp=False, extended=True, tls=bool(tls), user=bool(user), utf8=utf8),
            tls=tls,
            user=user,
            direction=client.direction(door.site, (recipient.domain for recipient in recipients)),
            queue_id=client.queue_id,
        )


@lru_cache(16)
def _agree(offer: Offer) -> _Agreed | None:
    """All that we want of what is offered; None when that is too little. A mail server offers the same each time."""
    if offer.version < wire.OLDEST or offer.actions & _NEEDED != _NEEDED:
        return None
    steps = _WANTED & offer.steps
    settable = offer.actions & Action.SET_MACROS
    version = min(offer.version, wire.VERSION)
    return _Agreed(
        answer=wire.negotiate(version, _NEEDED | settable, steps, WANTED if settable else {}),
        silent=frozenset(command for command, step in _SILENT.items() if step & steps),
        leading_space=bool(steps & Step.LEADING_SPACE),
    )


_VERBS: dict[int, Callable[[Session, bytes], bytes | Coroutine[Any, Any, bytes]]] = {
    Command.NEGOTIATE: Session._negotiate,
    Command.MACRO: Session._macro,
    Command.CONNECT: Session._connect,
    Command.HELO: Session._helo,
    Command.MAIL: Session._open,
    Command.RCPT: Session._rcpt,
    Command.DATA: Session._nothing,
    Command.UNKNOWN: Session._nothing,
    Command.HEADER: Session._header,
    Command.END_OF_HEADER: Session._end_of_header,
    Command.BODY: Session._body,
    Command.END: Session._end,
    Command.ABORT: Session._abort,
    Command.QUIT_NC: Session._next_client,
    Command.QUIT: Session._quit,
}


def _answer(early: Reply | None) -> bytes:
    """Go on, or what is said instead."""
    return wire.CONTINUE if early is None else wire.reply_code(early)


def _path(strings: list[bytes]) -> tuple[str, tuple[str, ...]]:
    """The address without its brackets, and the ESMTP parameters."""
    return wire.text(strings[0].removeprefix(b"<").removesuffix(b">")), tuple(map(wire.text, strings[1:]))
