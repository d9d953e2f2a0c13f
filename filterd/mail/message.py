"""Message: the raw bytes, never changed, and a lazy, cached, never-raising view of them.

In: the bytes as they came, lines ended by CRLF or LF. Out: what is in them, each thing read when it is
first asked for and then kept. Everything is bounded however hostile the bytes are; what was odd is in
`defects`, and `ambiguous` says that mail clients may show something else than what was looked at first
(other readings were looked at too).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from functools import cached_property

from filterd.mail import trace
from filterd.mail.address import Mailbox, parse_addresses
from filterd.mail.attachments import Attachment, read_attachments
from filterd.mail.authors import author_domains
from filterd.mail.copies import identity
from filterd.mail.dates import parse_date
from filterd.mail.defects import Defect
from filterd.mail.headers import Header, Headers
from filterd.mail.html import HtmlDocument, read_html
from filterd.mail.language import languages
from filterd.mail.links import Link, collect, header_urls, make_link, text_urls
from filterd.mail.mime import read_parts
from filterd.mail.part import Part
from filterd.mail.received import MAX_RECEIVED, Received, parse_received

MAX_TEXT = 2_000_000  # characters of visible text, all parts together
MAX_HTML = 20  # HTML parts that are read
_MAX_FIELDS = 20  # address fields of one name that are read


class Message:
    """One message. Attributes are values; asking twice gives the same object."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __repr__(self) -> str:
        return f"<Message {len(self.raw)} bytes>"

    @cached_property
    def headers(self) -> Headers:
        """The fields of the header block."""
        return Headers(self.raw)

    @property
    def body_start(self) -> int:
        """Where the body starts: after the empty line."""
        return self.headers.body_start

    @property
    def body(self) -> memoryview:
        """The bytes after the empty line."""
        return memoryview(self.raw)[self.headers.body_start :]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the raw bytes, hex."""
        return hashlib.sha256(self.raw).hexdigest()

    @cached_property
    def identity(self) -> str:
        """Equal for copies of the same message, whichever way they took; see `copies`."""
        return identity(self.headers, self.body)

    # What the header block says.

    @cached_property
    def subject(self) -> str:
        """Decoded, one line."""
        return self._text("subject")

    @cached_property
    def message_id(self) -> str:
        """As it stands, with its angle brackets."""
        return self._text("message-id")

    @cached_property
    def date(self) -> datetime.datetime | None:
        """Aware; None when there is no readable Date."""
        return parse_date(self._text("date"))

    @cached_property
    def from_(self) -> tuple[Mailbox, ...]:
        """The mailboxes of every From field."""
        return self._mailboxes("from")

    @cached_property
    def sender(self) -> tuple[Mailbox, ...]:
        return self._mailboxes("sender")

    @cached_property
    def reply_to(self) -> tuple[Mailbox, ...]:
        return self._mailboxes("reply-to")

    @cached_property
    def to(self) -> tuple[Mailbox, ...]:
        return self._mailboxes("to")

    @cached_property
    def cc(self) -> tuple[Mailbox, ...]:
        return self._mailboxes("cc")

    @cached_property
    def author_domains(self) -> tuple[str, ...]:
        """Every domain that a reading of a From field could show; DMARC needs exactly one (see `authors`)."""
        return author_domains(self.raw, self.headers)

    @cached_property
    def received(self) -> tuple[Received, ...]:
        """The hops, the last one first, at most `MAX_RECEIVED`."""
        return tuple(parse_received(header.raw_text) for header in self.headers.all("received")[:MAX_RECEIVED])

    @property
    def hops(self) -> int:
        """How many Received fields there are, however many."""
        return trace.hops(self.headers)

    @cached_property
    def foreign_verdicts(self) -> tuple[Header, ...]:
        """The fields in which other filters, or forgers, gave a verdict; to be taken away."""
        return trace.foreign_verdicts(self.headers)

    # What the body holds.

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every MIME part in document order; `alternative` ones are second readings of the same bytes."""
        return self._walk[0]

    @cached_property
    def text(self) -> str:
        """What a reader sees: text parts and the visible text of HTML parts, in order."""
        pieces = [self._documents[part].text if part in self._documents else part.text or "" for part in self._shown]
        return "\n".join(dict.fromkeys(piece for piece in pieces if piece))[:MAX_TEXT]

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """What the visible text is clearly written in; see `language`."""
        return languages(self.text)

    @cached_property
    def hidden_text(self) -> str:
        """What is in HTML parts and kept from the reader's eye."""
        return "\n".join(document.hidden for document in self.html if document.hidden)[:MAX_TEXT]

    @cached_property
    def html(self) -> tuple[HtmlDocument, ...]:
        """The HTML parts, attached ones included."""
        return tuple(self._documents.values())

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """What a recipient could follow: from text, HTML and header fields, each once."""
        return self._links[0]

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is carried beside the text; the files that a zip archive lists come after it."""
        return self._attachments[0]

    @cached_property
    def defects(self) -> tuple[str, ...]:
        """Everything odd, in alphabetical order. Reads all of the message."""
        found: set[Defect] = {*self.headers.defects, *self._walk[1]}
        for part in self.parts:
            found |= part.defects
        if any(document.cut for document in self.html):
            found.add(Defect.HTML_CUT)
        if self._links[1]:
            found.add(Defect.TOO_MANY_LINKS)
        if self._attachments[1]:
            found.add(Defect.TOO_MANY_ATTACHMENTS)
        if self.headers.first("date") and self.date is None:
            found.add(Defect.BAD_DATE)
        if self.headers.first("from") and len(self.author_domains) != 1:
            found.add(Defect.BAD_ADDRESS)
        return tuple(sorted(defect.value for defect in found))

    @cached_property
    def ambiguous(self) -> bool:
        """May mail clients show another message than the one that was looked at first?"""
        return any(Defect(name).ambiguous for name in self.defects)

    def _text(self, name: str) -> str:
        header = self.headers.first(name)
        return header.text if header else ""

    def _mailboxes(self, name: str) -> tuple[Mailbox, ...]:
        fields = self.headers.all(name)[:_MAX_FIELDS]
        return tuple(mailbox for field in fields for mailbox in parse_addresses(field.raw_text).mailboxes)

    @cached_property
    def _walk(self) -> tuple[tuple[Part, ...], frozenset[Defect]]:
        return read_parts(self.raw, self.headers)

    @cached_property
    def _shown(self) -> list[Part]:
        """The parts whose text a mail client shows by itself."""
        return [
            part
            for part in self.parts
            if part.type.startswith("text/") and not (part.disposition == "attachment" and part.depth)
        ]

    @cached_property
    def _documents(self) -> dict[Part, HtmlDocument]:
        found = [part for part in self.parts if part.is_html][:MAX_HTML]
        return {part: read_html(part.characters) for part in found}

    @cached_property
    def _links(self) -> tuple[tuple[Link, ...], bool]:
        return collect(self._all_links())

    def _all_links(self) -> Iterator[Link | None]:
        for page in self.html:
            yield from page.links
        for part in self._shown:
            document = self._documents.get(part)
            text = f"{document.text}\n{document.hidden}" if document else part.text or ""
            for url in text_urls(text):
                yield make_link(url, "text")
        for url in header_urls(self.headers):
            yield make_link(url, "header")

    @cached_property
    def _attachments(self) -> tuple[tuple[Attachment, ...], bool]:
        return read_attachments(self.parts)
