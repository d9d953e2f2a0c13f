"""Where accepted mail goes: SMTP, LMTP, or a Maildir, behind one protocol (`NextHop`).

hop = next_hop("smtp://127.0.0.1:10026", RelaySettings())
transaction = hop.transaction(Handover(client=envelope.client))
try:
    replies = await deliver(transaction, sender, sender_parameters, recipients, chunks)
finally:
    await transaction.close()
"""

from __future__ import annotations

from filterd.relay.address import HopAddress, HopProtocol, parse_url
from filterd.relay.delivering import deliver
from filterd.relay.hop import Capabilities, Handover, NextHop, Transaction
from filterd.relay.maildir import MaildirHop
from filterd.relay.settings import RelaySettings, TlsMode
from filterd.relay.several import SeveralHops
from filterd.relay.smtp import SmtpHop
from filterd.relay.standing import Standing

__all__ = [
    "Capabilities",
    "Handover",
    "HopAddress",
    "HopProtocol",
    "NextHop",
    "RelaySettings",
    "SeveralHops",
    "Standing",
    "TlsMode",
    "Transaction",
    "deliver",
    "next_hop",
    "parse_url",
]


def next_hop(url: str, settings: RelaySettings, standing: Standing | None = None) -> NextHop:
    """The next hop that `url` names; nothing is connected yet. Several are a `SeveralHops`.

    Raises ValueError (one sentence) for a bad address, OSError when the CA file cannot be read.
    """
    address, standing = parse_url(url), standing or Standing()
    if address.protocol is HopProtocol.MAILDIR:
        return MaildirHop(url, address.path, settings, standing)
    return SmtpHop(url, address, settings, standing)
