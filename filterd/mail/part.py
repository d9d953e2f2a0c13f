"""Part: one MIME part of a message (RFC 2045), what it says it is and what it is, decoded when asked.

In: a span of a buffer and the shape of the part. Out: lazy, cached attributes. Never raises, never changes
a byte.
"""

from __future__ import annotations

from functools import cached_property

from filterd.mail import encodings, filenames
from filterd.mail.charsets import decode
from filterd.mail.defects import Defect
from filterd.mail.headers import Headers
from filterd.mail.shape import ContentType, Shape

MAX_TEXT = 4_000_000  # bytes of one text part that are decoded
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_HTML_NAMES = filenames.words("htm html shtml xhtml xht svg")
MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})


class Part:
    """One MIME part: what it says it is, and what it is."""

    def __init__(
        self,
        span: tuple[bytes, int, int],
        path: str,
        depth: int,
        headers: Headers,
        shape: Shape,
        kind: ContentType,
        alternative: bool = False,
    ) -> None:
        self.path = path  # "1" is the message itself, "1.2" its second part
        self.depth = depth  # 0 for the message itself
        self.headers = headers
        self.type = kind.type  # lower case
        self.parameters = kind.parameters
        self.charset = kind.parameters.get("charset", "").lower()
        self.disposition = shape.disposition  # "inline", "attachment", ...; "" when it says nothing
        self.encoding = shape.encodings[0]
        self.names = shape.names  # every file name that some reader would show
        self.name = filenames.worst(shape.names)
        self.children = 0
        self.alternative = alternative  # one of several readings of the same bytes, and not the likeliest
        self.guess = False  # may the charset be guessed, which takes a millisecond?
        self._buffer, self._start, self._end = span

    def __repr__(self) -> str:
        return f"<Part {self.path} {self.type} {self._end - self._start} bytes>"

    @property
    def size(self) -> int:
        """Encoded size in bytes."""
        return self._end - self._start

    @cached_property
    def raw(self) -> bytes:
        """The body as it came, encoded."""
        return self._buffer[self._start : self._end]

    @cached_property
    def _decoded(self) -> encodings.Decoded:
        return encodings.decode(self.raw, self.encoding)

    @property
    def content(self) -> bytes:
        """The body with its transfer encoding undone."""
        return self._decoded[0]

    @cached_property
    def _text(self) -> tuple[str, Defect | None]:
        return decode(self.content[:MAX_TEXT], self.charset, html=self.is_html, guess=self.guess)

    @property
    def characters(self) -> str:
        """The content as text, whatever its type."""
        return self._text[0]

    @property
    def text(self) -> str | None:
        """The characters of a text part; None for any other."""
        return self._text[0] if self.type.startswith("text/") else None

    @property
    def is_html(self) -> bool:
        """Is it HTML by its type, or by the name that a reader's system goes by?"""
        return self.type in _HTML or (self.name != "" and filenames.extension(self.name) in _HTML_NAMES)

    @property
    def is_container(self) -> bool:
        return self.type.startswith("multipart/") or self.type in MESSAGES

    @property
    def defects(self) -> frozenset[Defect]:
        """What decoding found. Decodes the part."""
        found = set() if self.is_container else set(self._decoded[1])
        if self.type.startswith("text/") and not self.is_container:
            if self._text[1] is not None:
                found.add(self._text[1])
            if len(self.content) > MAX_TEXT:
                found.add(Defect.TOO_MUCH_TEXT)
        return frozenset(found)
