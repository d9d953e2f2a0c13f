"""NextHop: where accepted mail goes, whatever protocol it speaks.

A front end asks it about each sender and recipient while the client waits, and later hands it a copy. The
same five verbs serve both. Every verb answers with the next hop's own reply; when the next hop is gone or
breaks the protocol the reply is one of ours, 451 with enhanced code 4.4.x, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from filterd.mail.envelope import Origin, Recipient
from filterd.reply import Reply
from filterd.value import Value

if TYPE_CHECKING:
    from filterd.relay.own import OwnHop


class Capabilities(Value):
    """What the next hop announces in EHLO, for ours to announce; keywords upper case."""

    keywords: dict[str, str] = msgspec.field(default_factory=dict)  # "SIZE": "52428800", "8BITMIME": "", ...

    def has(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int | None:
        value = self.keywords.get("SIZE", "")
        return int(value) if value.isascii() and value.isdigit() and int(value) > 0 else None


class Handover(Value, kw_only=True):
    """What the next hop is told about the client, by XFORWARD or XCLIENT, and what our Received line says."""

    client: Origin
    protocol: str = "ESMTP"
    port: int | None = None
    user: str | None = None
    queue_id: str | None = None


class Transaction(Protocol):
    """One conversation with the next hop; one mail at a time."""

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply: ...

    async def rcpt(self, recipient: Recipient) -> Reply: ...

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        """Send the message (wire form: CRLF lines, not dot-stuffed) to the recipients that were accepted.

        One reply per accepted recipient, in order: LMTP's own, or the one SMTP reply repeated. Cancelling
        before the final dot is sent breaks the connection, so that the next hop has no message; cancelling
        later leaves it open whether it has one. The transaction is over when this returns.
        """
        ...

    async def reset(self) -> None:
        """Forget the transaction; the connection may be kept."""
        ...

    async def close(self) -> None:
        """Done: give the connection back to be kept, or quit. Never raises."""
        ...

    def another(self) -> Transaction:
        """A new one for a copy of the same mail, at the same host if there are several."""
        ...


class NextHop(Protocol):
    """A relay address that is ready for use."""

    url: str

    async def capabilities(self) -> Capabilities | None:
        """What it announces (remembered for a short while); None when it cannot be reached now."""
        ...

    def transaction(self, handover: Handover) -> Transaction:
        """Start a conversation on behalf of a client. Connects at the first verb."""
        ...

    async def reserve(self, handover: Handover) -> OwnHop | None:
        """A connection for one client alone; None when there can be none now."""
        ...

    async def healthy(self) -> str | None:
        """None when it answers, else a sentence that says what is wrong."""
        ...

    def renew(self) -> None:
        """Read again what stands on disk, such as the CA file; raises OSError."""
        ...

    async def aclose(self) -> None: ...
