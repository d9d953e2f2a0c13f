"""Where accepted mail goes: SMTP, LMTP, or a Maildir, behind one protocol (`NextHop`).

hop = next_hop("smtp://127.0.0.1:10026", RelaySettings())
transaction = hop.transaction(Handover(client=envelope.client))
try:
    replies = await deliver(transaction, sender, sender_parameters, recipients, chunks)
finally:
    await transaction.close()
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from filterd.mail.envelope import Recipient
from filterd.relay.address import HopAddress, HopProtocol, parse_url
from filterd.relay.hop import Capabilities, Handover, NextHop, Transaction
from filterd.relay.maildir import MaildirHop
from filterd.relay.settings import RelaySettings, TlsMode
from filterd.relay.smtp import SmtpHop
from filterd.relay.transaction import SmtpTransaction
from filterd.reply import Reply

__all__ = [
    "Capabilities",
    "Handover",
    "HopAddress",
    "HopProtocol",
    "NextHop",
    "RelaySettings",
    "TlsMode",
    "Transaction",
    "deliver",
    "next_hop",
    "parse_url",
]


def next_hop(url: str, settings: RelaySettings) -> NextHop:
    """The next hop that `url` names; nothing is connected yet.

    Raises ValueError (one sentence) for a bad address, OSError when the CA file cannot be read.
    """
    address = parse_url(url)
    if address.protocol is HopProtocol.MAILDIR:
        return MaildirHop(url, address.path, settings)
    return SmtpHop(url, address, settings)


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
    if isinstance(transaction, SmtpTransaction):
        return await transaction.deliver(sender, parameters, recipients, chunks)
    mailed = await transaction.mail(sender, parameters)
    if not mailed.ok:
        return (mailed,) * len(recipients)
    replies = [await transaction.rcpt(recipient) for recipient in recipients]
    delivered = iter(await transaction.data(chunks) if any(reply.ok for reply in replies) else ())
    return tuple(next(delivered) if reply.ok else reply for reply in replies)
