"""The ground floor: what came in, read but never changed. Pure: no network, no files, no clock."""

from filterd.mail.envelope import Direction, Envelope, Origin, Recipient, Source
from filterd.mail.mail import Mail
from filterd.mail.message import Message

__all__ = ["Direction", "Envelope", "Mail", "Message", "Origin", "Recipient", "Source"]
