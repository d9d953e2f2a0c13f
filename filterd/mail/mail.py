"""Mail: the envelope, the message, and the host it came from; what every check looks at."""

from __future__ import annotations

from dataclasses import dataclass

from filterd.mail.envelope import Envelope, Origin
from filterd.mail.message import Message


@dataclass(frozen=True, slots=True)
class Mail:
    envelope: Envelope
    message: Message
    origin: Origin
    relayed: int = 0  # bytes, from the top, that our own relays wrote; see `filterd.mail.received`
