"""SmtpTransaction: one mail's conversation in SMTP or LMTP.

In: verbs. Out: the next hop's own replies, or ours (451 4.4.x) when it is gone or breaks the protocol; what
it said then stands in the log. A kept connection that turns out to be dead is replaced by a new one, once,
and only before MAIL was accepted. Between verbs a client may be slow: then the connection is lent to
others, and the conversation is held again on another when the client comes back. After the final dot
nothing is ever sent again: a connection that breaks there is a 451, and the client will try again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from filterd.mail.envelope import Recipient
from filterd.relay import admission
from filterd.relay.answer import Answer
from filterd.relay.connection import Connection
from filterd.relay.handover import xforward_commands
from filterd.relay.hop import Handover
from filterd.relay.opening import Busy, ConnectFailed
from filterd.relay.settings import RelaySettings
from filterd.relay.standing import Standing
from filterd.relay.wire import BareNewline
from filterd.reply import Reply

log = logging.getLogger(__name__)

UNREACHABLE = Reply(451, "The next hop cannot be reached now", "4.4.1")
BUSY = Reply(451, "The next hop is busy", "4.3.2")
LOST = Reply(451, "The connection to the next hop was lost", "4.4.2")
OUR_BUG = Reply(451, "The message is not in wire form", "4.3.0")
OUT_OF_ORDER = Reply(503, "Send MAIL first", "5.5.1")

_DATA = b"DATA\r\n"


class Lender(Protocol):
    """Whose connections a transaction uses."""

    standing: Standing

    async def take(self, handover: Handover, fresh: bool = False) -> Connection:
        """A connection to be given back; raises ConnectFailed. `fresh`: not one that was used before."""
        ...

    def give(self, connection: Connection) -> None: ...


class SmtpTransaction:
    """It holds a connection from MAIL to the end of data, reset or close, or until its client is slow."""

    def __init__(self, url: str, pool: Lender, settings: RelaySettings, handover: Handover, *, each: bool) -> None:
        self._url = url
        self._pool = pool
        self._settings = settings
        self._handover = handover
        self._each = each  # a reply per recipient after the dot: LMTP
        self._connection: Connection | None = None
        self._begun = False  # the next hop may remember something of this transaction
        self._ahead: deque[Answer] = deque()  # answers to commands that were sent in the same breath as MAIL
        self._mail: tuple[str, tuple[str, ...]] | None = None  # what was accepted: the sender,
        self._accepted: list[Recipient] = []  # and these recipients
        self._idle: asyncio.TimerHandle | None = None

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply:
        self._forget()
        reply = await self._begin(sender, parameters, ())
        self._rest()
        return reply

    async def rcpt(self, recipient: Recipient) -> Reply:
        if self._mail is None:
            return OUT_OF_ORDER
        if not await self._resume():
            return LOST
        reply = await self._recipient(recipient)
        self._rest()
        return reply

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        accepted = len(self._accepted)
        try:
            ready = accepted and await self._resume()
            return self._counted(await self._send(chunks, accepted) if ready else (LOST,) * accepted)
        finally:
            self._forget()

    async def deliver(
        self,
        sender: str,
        parameters: Sequence[str],
        recipients: Sequence[Recipient],
        chunks: Iterable[bytes | memoryview],
    ) -> tuple[Reply, ...]:
        """A whole mail, with MAIL, RCPT and DATA in one breath where the next hop has PIPELINING."""
        self._forget()
        try:
            mailed = await self._begin(sender, parameters, recipients)
            if not mailed.ok:
                return self._counted((mailed,) * len(recipients))
            replies = [await self._recipient(recipient) for recipient in recipients]
            accepted = len(self._accepted)
            delivered = iter(await self._send(chunks, accepted) if accepted else ())
            return self._counted(tuple(next(delivered) if reply.ok else reply for reply in replies))
        finally:
            self._forget()

    async def reset(self) -> None:
        self._forget()

    async def close(self) -> None:
        self._forget()

    def another(self) -> SmtpTransaction:
        return SmtpTransaction(self._url, self._pool, self._settings, self._handover, each=self._each)

    async def _begin(self, sender: str, parameters: Sequence[str], ahead: Sequence[Recipient]) -> Reply:
        """MAIL, on a new connection if a kept one is dead; with it, what can be sent ahead for `ahead`."""
        for fresh in (False, True):
            try:
                connection = self._connection = await self._pool.take(self._handover, fresh)
            except ConnectFailed as error:
                log.warning("The next hop %s %s.", self._url, error)
                return BUSY if isinstance(error, Busy) else UNREACHABLE
            has, just_send = connection.capabilities, self._settings.just_send_8bit
            command = admission.mail_command(sender, parameters, has, just_send)
            if isinstance(command, Reply):
                self._release()
                return command
            kept = connection.mails > 0
            heard = await self._open(connection, command, ahead)
            if not kept or (heard and heard[0].code != 421):
                break
            self._release()
        self._ahead.extend(heard[1:])
        reply = self._heard(heard[:1])
        if reply.ok:
            self._mail = (sender, tuple(parameters))
        else:
            self._release()
        return reply

    async def _open(self, connection: Connection, mail: bytes, ahead: Sequence[Recipient]) -> list[Answer]:
        """Say who the client is, MAIL, and what can be sent ahead. The answers from MAIL on."""
        announced = connection.capabilities.keywords.get("XFORWARD")
        before: list[bytes] = []
        if self._settings.xforward and announced:
            before = xforward_commands(self._handover, announced)
        batch = [*before, mail]
        if connection.pipelining:
            commands = [admission.rcpt_command(recipient, connection.capabilities) for recipient in ahead]
            known = [command for command in commands if isinstance(command, bytes)]
            batch += [*known, _DATA] if known else []
        connection.mails += 1
        self._begun = True
        answers = await connection.exchange(batch, self._settings.command_timeout)
        for answer in answers[: len(before)]:
            if not answer.ok:
                log.warning("The next hop %s answered XFORWARD with %s.", self._url, answer.reply())
        return answers[len(before) :]

    async def _recipient(self, recipient: Recipient) -> Reply:
        if self._connection is None:
            return LOST
        command = admission.rcpt_command(recipient, self._connection.capabilities)
        if isinstance(command, Reply):
            return command
        reply = self._heard(await self._say(self._connection, command))
        if reply.ok:
            self._accepted.append(recipient)
        return reply

    async def _send(self, chunks: Iterable[bytes | memoryview], accepted: int) -> tuple[Reply, ...]:
        """DATA and the content. One reply per accepted recipient."""
        if self._connection is None:
            return (LOST,) * accepted
        answers = await self._say(self._connection, _DATA)
        if answers and answers[0].code == 354:
            return await self._content(self._connection, chunks, accepted)
        if answers and answers[0].ok:
            self._connection.fail(f"answered DATA with {answers[0].reply()}")
            answers = []
        return (self._heard(answers),) * accepted

    async def _content(
        self, connection: Connection, chunks: Iterable[bytes | memoryview], accepted: int
    ) -> tuple[Reply, ...]:
        """What comes after 354."""
        patience = self._settings.data_timeout
        due = accepted if self._each else 1  # RFC 2033 section 4.2
        try:
            sent = await connection.send_body(chunks, due, patience)
        except BareNewline:
            log.error("A message with a bare CR or LF reached the relay leg; %s did not get it.", self._url)
            return (OUR_BUG,) * accepted
        if not sent:
            early = connection.farewell
            return (self._heard([early] if early is not None and not early.ok else []),) * accepted
        answers = await connection.answers(due, patience)
        self._begun = False
        replies = [self._heard([answer]) for answer in answers]
        if len(answers) < due:
            replies += [self._heard([])] * (due - len(answers))
        return tuple(replies) if self._each else (replies[0],) * accepted

    async def _say(self, connection: Connection, command: bytes) -> list[Answer]:
        """The answer to a command, which may have been sent already; empty when the connection is lost."""
        if self._ahead:
            return [self._ahead.popleft()]
        return await connection.exchange([command], self._settings.command_timeout)

    def _heard(self, answers: Sequence[Answer]) -> Reply:
        """What an answer, or its absence, amounts to: 2xx, 4xx or 5xx, and never 421, which is ours alone."""
        connection = self._connection
        if answers and answers[0].final:
            reply = answers[0].reply()
            return Reply(451, reply.text, reply.enhanced or "4.3.2") if reply.code == 421 else reply
        if connection is not None:
            if answers:
                connection.fail(f"answered with {answers[0].reply()}")
            log.warning("The next hop %s %s.", self._url, connection.failure)
            self._pool.standing.lost(connection.failure or "was lost")
        return LOST

    def _counted(self, replies: tuple[Reply, ...]) -> tuple[Reply, ...]:
        self._pool.standing.said(replies)
        return replies

    def _rest(self) -> None:
        """The client has the word now; when it takes long, others may have the connection."""
        if self._connection is not None:
            self._idle = asyncio.get_running_loop().call_later(self._settings.hold, self._release)

    async def _resume(self) -> bool:
        """Have a connection again on which the next hop knows what it had accepted."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._connection is not None:
            return True
        mail, recipients = self._mail, self._accepted
        self._accepted = []
        if mail is not None and (await self._begin(*mail, ())).ok:
            replies = [await self._recipient(recipient) for recipient in recipients]
            if all(reply.ok for reply in replies):
                return True
        self._release()
        self._mail, self._accepted = mail, recipients
        return False

    def _forget(self) -> None:
        """End the transaction, at whatever point it is."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._mail = None
        self._accepted.clear()
        self._release()

    def _release(self) -> None:
        """Give the connection back; the next hop is told to forget an unfinished transaction."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if any(answer.code == 354 for answer in self._ahead):  # a lone dot might make an empty mail: RFC 2920, 3.1
            connection.fail("waits for a message that has no recipient")
        self._ahead.clear()
        if self._begun:
            connection.forget()
        self._begun = False
        self._pool.give(connection)
