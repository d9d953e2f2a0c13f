"""SmtpHop and SmtpTransaction: a next hop that speaks SMTP (RFC 5321) or LMTP (RFC 2033), over TCP or a
Unix socket.

In: verbs, one mail at a time. Out: the next hop's own replies, or ours (451 4.4.x) when it is gone or
breaks the protocol; what it said then stands in the log. A kept connection that turns out to be dead is
replaced by a new one once, and only before MAIL was accepted. After the final dot nothing is ever sent
again: a connection that breaks there is a 451, and the client will come again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Hashable, Iterable, Sequence

from filterd.mail.envelope import Recipient
from filterd.relay import admission
from filterd.relay.address import HopAddress, HopProtocol
from filterd.relay.answer import Answer
from filterd.relay.connection import Connection
from filterd.relay.handover import xforward_commands
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.opening import ConnectFailed, begin_xclient, connect, tls_context
from filterd.relay.pool import Pool
from filterd.relay.settings import RelaySettings
from filterd.relay.wire import BareNewline
from filterd.reply import Reply

log = logging.getLogger(__name__)

UNREACHABLE = Reply(451, "The next hop cannot be reached now", "4.4.1")
LOST = Reply(451, "The connection to the next hop was lost", "4.4.2")
OUR_BUG = Reply(451, "The message is not in wire form", "4.3.0")
OUT_OF_ORDER = Reply(503, "Send MAIL first", "5.5.1")

_REMEMBERED = 60.0  # seconds that the capabilities stand
_DATA = b"DATA\r\n"


class SmtpHop:
    """A relay address that is spoken to in SMTP or LMTP."""

    def __init__(self, url: str, address: HopAddress, settings: RelaySettings) -> None:
        self.url = url
        self.settings = settings
        self.each = address.protocol is HopProtocol.LMTP  # a reply per recipient
        self._address = address
        self._tls = tls_context(settings)
        self._pool = Pool(settings)
        self._known: Capabilities | None = None
        self._known_at = 0.0
        self._asking: asyncio.Task[Capabilities | None] | None = None

    async def capabilities(self) -> Capabilities | None:
        if self._known is not None and time.monotonic() - self._known_at < _REMEMBERED:
            return self._known
        if self._asking is None:  # one asks, everybody hears
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def transaction(self, handover: Handover) -> SmtpTransaction:
        return SmtpTransaction(self, handover)

    async def healthy(self) -> str | None:
        try:
            connection = await self._dial(None)
        except ConnectFailed as error:
            return f"the next hop {self.url} {error}"
        missing = self.settings.xclient and not connection.capabilities.has("XCLIENT")
        connection.quit()
        return (
            f"the next hop {self.url} does not announce XCLIENT, though `xclient` is set" if missing else None
        )

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        await self._pool.aclose()

    async def take(self, handover: Handover, fresh: bool = False) -> Connection:
        """A connection for mail of this client; raises ConnectFailed."""
        key: Hashable = None
        if self.settings.xclient:
            key = (handover.client, handover.protocol, handover.port, handover.user)
            return await self._pool.take(key, lambda: self._dial(handover), fresh)
        return await self._pool.take(key, lambda: self._dial(None), fresh)

    def give(self, connection: Connection) -> None:
        self._pool.give(connection)

    async def _dial(self, handover: Handover | None) -> Connection:
        connection = await connect(self._address, self.settings, self._tls)
        self._known, self._known_at = connection.capabilities, time.monotonic()
        if handover is not None:
            try:
                await begin_xclient(connection, self._address, self.settings, handover)
            except BaseException:
                connection.fail("was not made the client's")
                raise
        return connection

    async def _ask(self) -> Capabilities | None:
        try:
            connection = await self._pool.take(None, lambda: self._dial(None), fresh=True)
        except ConnectFailed as error:
            log.warning("the next hop %s %s", self.url, error)
            return None
        self._pool.give(connection)
        return connection.capabilities

    def _asked(self, task: asyncio.Task[Capabilities | None]) -> None:
        self._asking = None


class SmtpTransaction:
    """One conversation. It holds a connection from MAIL to the end of data, reset or close."""

    def __init__(self, hop: SmtpHop, handover: Handover) -> None:
        self._hop = hop
        self._handover = handover
        self._connection: Connection | None = None
        self._ahead: deque[Answer] = deque()  # answers to commands that were sent in the same breath as MAIL
        self._begun = False  # the next hop may remember something of this transaction
        self._accepted: int | None = None  # recipients so far; None before MAIL

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply:
        return await self._begin(sender, parameters, ())

    async def rcpt(self, recipient: Recipient) -> Reply:
        if self._accepted is None or self._connection is None:
            return OUT_OF_ORDER
        command = admission.rcpt_command(recipient, self._connection.capabilities)
        if isinstance(command, Reply):
            return command
        reply = self._heard(await self._say(command))
        self._accepted += reply.ok
        return reply

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        accepted, connection = self._accepted, self._connection
        if not accepted or connection is None:
            return ()
        try:
            answers = await self._say(_DATA)
            if answers and answers[0].code == 354:
                return await self._content(connection, chunks, accepted)
            if answers and answers[0].ok:
                connection.fail(f"answered DATA with {answers[0].reply()}")
                answers = []
            return (self._heard(answers),) * accepted
        finally:
            self._release()

    async def deliver(
        self,
        sender: str,
        parameters: Sequence[str],
        recipients: Sequence[Recipient],
        chunks: Iterable[bytes | memoryview],
    ) -> tuple[Reply, ...]:
        """A whole mail, with MAIL, RCPT and DATA in one breath where the next hop has PIPELINING."""
        try:
            mailed = await self._begin(sender, parameters, recipients)
            if not mailed.ok:
                return (mailed,) * len(recipients)
            replies = [await self.rcpt(recipient) for recipient in recipients]
            delivered = iter(await self.data(chunks))
            return tuple(next(delivered) if reply.ok else reply for reply in replies)
        finally:
            self._release()

    async def reset(self) -> None:
        self._release()

    async def close(self) -> None:
        self._release()

    async def _begin(self, sender: str, parameters: Sequence[str], ahead: Sequence[Recipient]) -> Reply:
        """MAIL, on a new connection if a kept one is dead; with it, what can be sent ahead for `ahead`."""
        self._release()
        for fresh in (False, True):
            try:
                connection = self._connection = await self._hop.take(self._handover, fresh)
            except ConnectFailed as error:
                log.warning("the next hop %s %s", self._hop.url, error)
                return UNREACHABLE
            mail = admission.mail_command(
                sender, parameters, connection.capabilities, self._hop.settings.just_send_8bit
            )
            if isinstance(mail, Reply):
                self._release()
                return mail
            kept = connection.mails > 0
            connection.mails += 1
            self._begun = True
            heard = await self._open(connection, mail, ahead)
            if not kept or (heard and heard[0].code != 421):
                break
            self._release()
        self._ahead.extend(heard[1:])
        reply = self._heard(heard[:1])
        if reply.ok:
            self._accepted = 0
        else:
            self._release()
        return reply

    async def _open(self, connection: Connection, mail: bytes, ahead: Sequence[Recipient]) -> list[Answer]:
        """The answers from MAIL on."""
        announced = connection.capabilities.keywords.get("XFORWARD")
        before: list[bytes] = []
        if self._hop.settings.xforward and announced:
            before = xforward_commands(self._handover, announced)
        batch = [*before, mail]
        if connection.pipelining:
            commands = [admission.rcpt_command(recipient, connection.capabilities) for recipient in ahead]
            known = [command for command in commands if isinstance(command, bytes)]
            batch += [*known, _DATA] if known else []
        answers = await connection.exchange(batch, self._hop.settings.command_timeout)
        for answer in answers[: len(before)]:
            if not answer.ok:
                log.warning("the next hop %s answered XFORWARD with %s", self._hop.url, answer.reply())
        return answers[len(before) :]

    async def _say(self, command: bytes) -> list[Answer]:
        """The answer to a command, which may have been sent already; empty when the connection is lost."""
        if self._ahead:
            return [self._ahead.popleft()]
        if self._connection is None:
            return []
        return await self._connection.exchange([command], self._hop.settings.command_timeout)

    async def _content(
        self, connection: Connection, chunks: Iterable[bytes | memoryview], accepted: int
    ) -> tuple[Reply, ...]:
        """What comes after 354. One reply per accepted recipient."""
        patience = self._hop.settings.data_timeout
        due = accepted if self._hop.each else 1  # RFC 2033 section 4.2
        try:
            sent = await connection.send_body(chunks, due, patience)
        except BareNewline:
            log.error(
                "a message with a bare CR or LF reached the relay leg; it was not sent to %s", self._hop.url
            )
            return (OUR_BUG,) * accepted
        if not sent:
            early = connection.farewell
            return (self._heard([early] if early is not None and not early.ok else []),) * accepted
        answers = await connection.answers(due, patience)
        self._begun = len(answers) < due
        replies = [self._heard([answer]) for answer in answers]
        if len(replies) < due:
            replies += [self._heard([])] * (due - len(replies))
        return tuple(replies) if self._hop.each else (replies[0],) * accepted

    def _heard(self, answers: Sequence[Answer]) -> Reply:
        """What an answer, or its absence, amounts to: a 2xx, 4xx or 5xx, and never 421, which is ours alone."""
        connection = self._connection
        if answers and answers[0].final:
            reply = answers[0].reply()
            return Reply(451, reply.text, reply.enhanced or "4.3.2") if reply.code == 421 else reply
        if answers and connection is not None:
            connection.fail(f"answered with {answers[0].reply()}")
        if connection is not None:
            log.warning("the next hop %s %s", self._hop.url, connection.failure)
        return LOST

    def _release(self) -> None:
        """Give the connection back; the next hop is told to forget an unfinished transaction."""
        connection, self._connection = self._connection, None
        self._accepted = None
        if connection is None:
            return
        if any(
            answer.code == 354 for answer in self._ahead
        ):  # a lone dot might make an empty mail: RFC 2920, 3.1
            connection.fail("waits for a message that has no recipient")
        self._ahead.clear()
        if self._begun:
            connection.forget()
        self._begun = False
        self._hop.give(connection)
