"""SmtpDelivery: what the SMTP door can do about an outcome. Each copy is one transaction at the next hop.

It can be withdrawn, when the client has gone or our time is up: from then on no final dot is sent, and what
had not been sent is answered 451. A copy whose dot is out runs to its end, for only the next hop knows what
became of it.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from filterd.decision import Copy
from filterd.frontends.smtp import replies
from filterd.mail.envelope import Envelope, Recipient
from filterd.relay import deliver
from filterd.relay.hop import Transaction
from filterd.reply import Reply

TraceLine = Callable[[Sequence[Recipient], datetime.datetime], bytes]


class Withdrawn(Exception):
    """The content ends before its end: the delivery was withdrawn while the next hop read it."""


class SmtpDelivery:
    """Delivers the copies of one mail."""

    splits = True
    advises = False

    def __init__(
        self,
        envelope: Envelope,
        transaction: Callable[[], Transaction],
        trace: TraceLine,
        *,
        may_refuse: bool,
        replies_each: bool,
    ) -> None:
        self.may_refuse = may_refuse
        self.replies_each = replies_each
        self._envelope = envelope
        self._transaction = transaction
        self._trace = trace
        self._withdrawn = False
        self._under_way: set[_Sending] = set()

    def withdraw(self) -> None:
        """From now on no final dot goes out."""
        self._withdrawn = True
        for sending in self._under_way:
            sending.stop()

    async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
        """One reply per recipient of the copy, in order. See `filterd.engine.outcome.Delivery`."""
        recipients = [self._envelope.recipients[at] for at in copy.recipients]
        refused = (replies.about(replies.TOO_LATE, self._envelope.id),) * len(recipients)
        if self._withdrawn:
            return refused
        line = self._trace(recipients, datetime.datetime.now(datetime.UTC))
        size = len(line) + sum(len(piece) for piece in content)
        sending = _Sending(self._transaction(), chain((line,), content))
        self._under_way.add(sending)
        try:
            return await sending.run(self._envelope.sender, self._parameters(size), recipients)
        except Withdrawn:
            return refused
        finally:
            self._under_way.discard(sending)

    def _parameters(self, size: int) -> tuple[str, ...]:
        """The client's own, but for the size: the copy has other headers than what came in (RFC 1870)."""
        return tuple(
            f"SIZE={size}" if parameter.upper().startswith("SIZE=") else parameter
            for parameter in self._envelope.sender_parameters
        )


class _Sending:
    """One copy on its way."""

    def __init__(self, transaction: Transaction, content: chain[bytes | memoryview]) -> None:
        self._transaction = transaction
        self._content = content
        self._task: asyncio.Task[tuple[Reply, ...]] | None = None
        self._stopped = False
        self._dot_is_out = False

    def stop(self) -> None:
        self._stopped = True
        if self._task is not None and not self._dot_is_out:
            self._task.cancel()

    async def run(self, sender: str, parameters: Sequence[str], recipients: Sequence[Recipient]) -> tuple[Reply, ...]:
        """Raises Withdrawn when it was stopped before the final dot."""
        self._task = asyncio.ensure_future(self._transact(sender, parameters, recipients))
        try:
            return await self._task
        except asyncio.CancelledError:
            if self._stopped and self._task.cancelled():
                raise Withdrawn from None
            self._task.cancel()
            raise

    async def _transact(
        self, sender: str, parameters: Sequence[str], recipients: Sequence[Recipient]
    ) -> tuple[Reply, ...]:
        try:
            replied = await deliver(self._transaction, sender, parameters, recipients, self._pieces())
        finally:
            await self._transaction.close()
        return tuple(map(replies.passed_on, replied))

    def _pieces(self) -> Iterator[bytes | memoryview]:
        """The content; when the next hop's side has taken all of it, the dot is as good as sent."""
        yield from self._content
        if self._stopped:
            raise Withdrawn
        self._dot_is_out = True
