"""OpenMail: a transaction between MAIL and its end; everything that is known of it then."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from filterd.frontends.smtp.client import Client
from filterd.frontends.smtp.commands import Path
from filterd.frontends.smtp.data import Counted
from filterd.frontends.smtp.delivery import TraceLine
from filterd.frontends.smtp.door import Door
from filterd.frontends.smtp.trace import protocol_word, received_line
from filterd.mail.envelope import Envelope, Recipient
from filterd.relay.hop import Handover, Transaction
from filterd.reply import Reply


@dataclass(slots=True)
class OpenMail:
    id: str
    door: Door  # the one it was begun under, whatever is reloaded meanwhile
    sender: Path
    handover: Handover
    transaction: Transaction
    asked: int = 0  # recipients that the next hop was asked about, so that nobody harvests addresses for ever
    recipients: list[Recipient] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
    chunks: Counted | None = None  # what came by BDAT
    refusal: Reply | None = None  # of the chunks, from the first that was refused on

    @property
    def utf8(self) -> bool:
        return self.sender.value("SMTPUTF8") is not None

    async def let_go(self) -> None:
        """Forget it at the next hop, and give the connection back."""
        await self.transaction.reset()
        await self.transaction.close()

    def envelope(self, client: Client, tls: str | None, recipients: Sequence[Recipient] | None = None) -> Envelope:
        """What is known of the mail now; `recipients` instead of all of them."""
        lmtp, user = self.door.settings.lmtp, client.user
        return Envelope(
            id=self.id,
            received_at=datetime.datetime.now(datetime.UTC),
            listener=self.door.name,
            peer=client.caller.address,
            client=self.handover.client,
            sender=self.sender.address,
            recipients=tuple(self.recipients if recipients is None else recipients),
            sender_parameters=self.sender.parameters,
            protocol=protocol_word(lmtp=lmtp, extended=client.extended, tls=bool(tls), user=bool(user), utf8=self.utf8),
            tls=tls,
            user=user,
            direction=client.direction(self.door.site, self.domains),
            queue_id=self.handover.queue_id,
        )

    def trace(self, client: Client, envelope: Envelope) -> TraceLine:
        """Writes our Received line."""
        helo, name, address = client.traced
        hostname = self.door.site.hostname
        return partial(received_line, envelope, helo=helo, name=name, address=address, hostname=hostname)
