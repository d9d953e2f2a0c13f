"""Outline: what of a message the record keeps so that a person can find and recognise it. Pure."""

from __future__ import annotations

from filterd.mail import Message
from filterd.record import AttachmentOutline, Outline

URLS = 100
ATTACHMENTS = 100
DEFECTS = 50
AUTHORS = 20
LINE = 500  # characters of a subject, a From line, a URL or a file name


def outline(message: Message, *, languages: bool = False) -> Outline:
    """The outline of a message, capped in every direction. `languages`: say also which it is in."""
    author = message.headers.first("From")
    return Outline(
        subject=_line(message.subject),
        from_=_line(author.text if author is not None else ""),
        authors=_authors(message),
        message_id=_line(message.message_id),
        size=len(message.raw),
        digest=message.digest,
        urls=tuple(dict.fromkeys(_line(link.url) for link in message.links[:URLS])),
        attachments=tuple(
            AttachmentOutline(name=_line(one.name), type=one.type, size=one.size, path=one.path, flags=tuple(one.flags))
            for one in message.attachments[:ATTACHMENTS]
        ),
        defects=tuple(message.defects[:DEFECTS]),
        ambiguous=message.ambiguous,
        languages=message.languages if languages else None,
        identity=message.identity,
    )


def _authors(message: Message) -> tuple[str, ...]:
    """As the grammar reads From before anything is decoded: a display name is never an address."""
    found = tuple(_line(f"{box.local}@{box.domain}".lower()) for box in message.from_[:AUTHORS])
    return found if len(message.author_domains) == 1 or not found else (*found, "")


def _line(text: str) -> str:
    """One printable line: what could move a cursor or break a log line becomes a space."""
    text = text[:LINE]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()
