"""The ground floor: what came in, read but never changed. Pure: no network, no files, no clock."""

from filterd.mail.address import Mailbox
from filterd.mail.attachments import Attachment
from filterd.mail.defects import Defect
from filterd.mail.envelope import Direction, Envelope, Origin, Recipient, Source
from filterd.mail.headers import Header, Headers
from filterd.mail.html import HtmlDocument
from filterd.mail.links import Link
from filterd.mail.mail import Mail
from filterd.mail.message import Message
from filterd.mail.part import Part
from filterd.mail.preload import preload
from filterd.mail.received import Received, find_origin

__all__ = [
    "Attachment",
    "Defect",
    "Direction",
    "Envelope",
    "Header",
    "Headers",
    "HtmlDocument",
    "Link",
    "Mail",
    "Mailbox",
    "Message",
    "Origin",
    "Part",
    "Received",
    "Recipient",
    "Source",
    "find_origin",
    "preload",
]
