"""deliver: a whole mail at once, whatever the next hop speaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from filterd.mail.envelope import Recipient
from filterd.relay.hop import Transaction
from filterd.reply import Reply


@runtime_checkable
class Whole(Protocol):
    """A transaction with a way of its own for a whole mail."""

    async def deliver(
        self,
        sender: str,
        parameters: Sequence[str],
        recipients: Sequence[Recipient],
        chunks: Iterable[bytes | memoryview],
    ) -> tuple[Reply, ...]: ...


async def deliver(
    transaction: Transaction,
    sender: str,
    parameters: Sequence[str],
    recipients: Sequence[Recipient],
    chunks: Iterable[bytes | memoryview],
) -> tuple[Reply, ...]:
    """A whole mail at once, in as few round trips as the next hop allows. One reply per recipient, in order.

    A recipient that was refused has the refusal; the others have the reply to the message. The caller closes
    the transaction.
    """
    if isinstance(transaction, Whole):
        return await transaction.deliver(sender, parameters, recipients, chunks)
    mailed = await transaction.mail(sender, parameters)
    if not mailed.ok:
        return (mailed,) * len(recipients)
    replies = [await transaction.rcpt(recipient) for recipient in recipients]
    delivered = iter(await transaction.data(chunks) if any(reply.ok for reply in replies) else ())
    return tuple(next(delivered) if reply.ok else reply for reply in replies)
