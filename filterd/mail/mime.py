"""The parts of a message (RFC 2045, 2046), in document order, by one iterative and capped walk.

In: the raw message and its header block. Out: `Part`s and the defects. Where mail clients are known to disagree
(several boundaries, types or encodings; a header block that ends early; a bare CR) each reading gives parts of its
own, marked `alternative`, so that nothing which some client would show is overlooked. Depth, number of parts and the
bytes looked at are capped; what lies beyond is a defect. Never raises; never changes a byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from filterd.mail import encodings, filenames
from filterd.mail.charsets import decode
from filterd.mail.defects import Defect
from filterd.mail.headers import Headers
from filterd.mail.shape import ContentType, Shape, shape_of

MAX_DEPTH = 50
MAX_PARTS = 1_000
MAX_TEXT = 4_000_000  # bytes of one text part that are decoded
_MAX_READINGS = 4  # boundaries tried for one multipart
_LOOKS = 16  # how many times the message's size may be looked at, all readings together

_BARE_CR = re.compile(rb"\r(?!\n)")
_ANY_DELIMITER = re.compile(rb"^--([^\s-][^\r\n]{0,199}?)[ \t]*\r?$", re.MULTILINE)
_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:")
_ENCODED = frozenset({"base64", "quoted-printable", "uuencode"})


class Part:
    """One MIME part: what it says it is, and what it is."""

    def __init__(
        self,
        buffer: bytes,
        start: int,
        end: int,
        path: str,
        depth: int,
        headers: Headers,
        shape: Shape,
        kind: ContentType,
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
        self.alternative = False  # one of several readings of the same bytes, and not the likeliest
        self._buffer = buffer
        self._start = start
        self._end = end

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
        return decode(self.content[:MAX_TEXT], self.charset, html=self.type == "text/html")

    @property
    def text(self) -> str | None:
        """The characters of a text part; None for any other."""
        return self._text[0] if self.type.startswith("text/") else None

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


MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})


class _Entity(NamedTuple):
    """Some bytes that are to be read as a header block and a body."""

    buffer: bytes
    start: int
    end: int
    path: str
    depth: int
    digest: bool = False  # a child of multipart/digest: message/rfc822 unless it says otherwise
    alternative: bool = False
    normalised: bool = False  # bare CRs were made line ends


@dataclass(slots=True)
class _Walk:
    budget: int
    parts: list[Part] = field(default_factory=list)
    defects: set[Defect] = field(default_factory=set)


def read_parts(raw: bytes, headers: Headers) -> tuple[tuple[Part, ...], frozenset[Defect]]:
    """The parts of the message `raw`, whose header block is `headers`."""
    walk = _Walk(budget=_LOOKS * len(raw) + 1_000_000)
    stack = [_Entity(raw, 0, len(raw), "1", 0)]
    while stack:
        if len(walk.parts) >= MAX_PARTS:
            walk.defects.add(Defect.TOO_MANY_PARTS)
            break
        entity = stack.pop()
        known = headers if not walk.parts else Headers(entity.buffer, entity.start, entity.end)
        stack.extend(reversed(_read(walk, entity, known)))
    return tuple(walk.parts), frozenset(walk.defects)


def _read(walk: _Walk, entity: _Entity, headers: Headers) -> list[_Entity]:
    """Add the parts of one entity to the walk; what is inside it is returned, to be read next."""
    shape = shape_of(headers, entity.digest)
    walk.defects |= shape.defects
    if entity.depth:
        walk.defects |= headers.defects - {Defect.NO_BODY, Defect.MBOX_FROM, Defect.DUPLICATE_HEADER}
    inside: list[_Entity] = []
    for number, kind in enumerate(shape.types):
        alternative = entity.alternative or number > 0
        if kind.type.startswith("multipart/"):
            inside += _multipart(walk, entity, headers, shape, kind, alternative, len(inside))
        elif kind.type in MESSAGES:
            inside += _message(walk, entity, headers, shape, kind, alternative, len(inside))
        else:
            _leaf(walk, entity, headers, shape, kind, alternative)
    if Defect.BARE_CR in headers.defects and not entity.normalised:
        inside += _without_bare_cr(entity, headers, shape)
    return inside


def _part(
    entity: _Entity,
    headers: Headers,
    shape: Shape,
    kind: ContentType,
    alternative: bool,
    span: tuple[int, int],
) -> Part:
    part = Part(entity.buffer, *span, entity.path, entity.depth, headers, shape, kind)
    part.alternative = alternative
    return part


def _leaf(
    walk: _Walk, entity: _Entity, headers: Headers, shape: Shape, kind: ContentType, alternative: bool
) -> None:
    """A part without parts; once more for each other encoding, and for a body that starts early."""
    span = (headers.body_start, entity.end)
    for number, encoding in enumerate(shape.encodings):
        part = _part(entity, headers, shape, kind, alternative or number > 0, span)
        part.encoding = encoding
        walk.parts.append(part)
    if headers.stray_start is not None:
        # RFC 5322 has no such line; servers and readers start the body at it.
        early = _part(entity, headers, shape, kind, True, (headers.stray_start, headers.body_start))
        walk.parts.append(early)
    if kind.type in ("message/partial", "message/external-body"):
        walk.defects.add(Defect.PARTIAL_MESSAGE)


def _message(
    walk: _Walk,
    entity: _Entity,
    headers: Headers,
    shape: Shape,
    kind: ContentType,
    alternative: bool,
    before: int,
) -> list[_Entity]:
    """A message in the message (RFC 2046 section 5.2); some senders encode it against the RFC."""
    part = _part(entity, headers, shape, kind, alternative, (headers.body_start, entity.end))
    walk.parts.append(part)
    readings = _decoded_bodies(walk, part, shape, headers)
    return _children(
        walk, entity, part, [(body, start, end) for body, start, end in readings], before, alternative
    )


def _multipart(
    walk: _Walk,
    entity: _Entity,
    headers: Headers,
    shape: Shape,
    kind: ContentType,
    alternative: bool,
    before: int,
) -> list[_Entity]:
    part = _part(entity, headers, shape, kind, alternative, (headers.body_start, entity.end))
    walk.parts.append(part)
    spans: list[tuple[bytes, int, int]] = []
    for body, start, end in _decoded_bodies(walk, part, shape, headers):
        for boundary in _boundaries(walk, kind, body, start, end):
            spans += [(body, *child) for child in _split(walk, body, start, end, boundary)]
    if not spans:
        # Readers show such a body as it is.
        plain = _part(
            entity, headers, shape, ContentType("text/plain", {}), True, (headers.body_start, entity.end)
        )
        walk.parts.append(plain)
    return _children(walk, entity, part, list(dict.fromkeys(spans)), before, alternative)


def _children(
    walk: _Walk,
    entity: _Entity,
    part: Part,
    spans: list[tuple[bytes, int, int]],
    before: int,
    alternative: bool,
) -> list[_Entity]:
    if entity.depth >= MAX_DEPTH:
        walk.defects.add(Defect.TOO_DEEP)
        return []
    part.children = len(spans)
    digest = part.type == "multipart/digest"
    return [
        _Entity(
            body,
            start,
            end,
            f"{entity.path}.{before + number}",
            entity.depth + 1,
            digest,
            alternative,
            entity.normalised,
        )
        for number, (body, start, end) in enumerate(spans, 1)
    ]


def _decoded_bodies(walk: _Walk, part: Part, shape: Shape, headers: Headers) -> list[tuple[bytes, int, int]]:
    """The bytes inside a container: as they stand, and decoded where it claims an encoding (RFC 2045 section 6.4)."""
    start = headers.body_start if headers.stray_start is None else headers.stray_start
    bodies = [(part._buffer, start, part._end)]
    for encoding in shape.encodings:
        if encoding in _ENCODED and _afford(walk, part.size * 4):
            content = encodings.decode(part.raw, encoding)[0]
            if content != part.raw:
                walk.defects.add(Defect.ENCODED_CONTAINER)
                if part.type in MESSAGES and not _FIELD_START.match(part.raw.lstrip()):
                    bodies.clear()
                bodies.append((content, 0, len(content)))
    return bodies


def _without_bare_cr(entity: _Entity, headers: Headers, shape: Shape) -> list[_Entity]:
    """The same entity as a reader sees it to whom a bare CR ends a line, if that is another one."""
    changed = _BARE_CR.sub(b"\r\n", entity.buffer[entity.start : entity.end])
    other = Headers(changed)
    same_body = len(changed) - other.body_start == entity.end - headers.body_start
    if same_body and shape_of(other, entity.digest) == shape:
        return []
    return [entity._replace(buffer=changed, start=0, end=len(changed), alternative=True, normalised=True)]


def _boundaries(walk: _Walk, kind: ContentType, body: bytes, start: int, end: int) -> list[bytes]:
    """The boundaries, of all that the type may be read to name, that occur in the body."""
    found: list[bytes] = []
    for candidate in kind.boundaries[: 4 * _MAX_READINGS]:
        boundary = candidate.encode("utf-8", "replace")
        if len(found) < _MAX_READINGS and _afford(walk, end - start) and _occurs(body, start, end, boundary):
            found.append(boundary)
    if len(found) > 1:
        walk.defects.add(Defect.DUPLICATE_BOUNDARY)
    if not found:
        walk.defects.add(Defect.NO_DELIMITER if kind.boundaries else Defect.NO_BOUNDARY)
        guess = _ANY_DELIMITER.search(body, start, end) if _afford(walk, end - start) else None
        if guess:
            found.append(guess[1])
    return found


def _occurs(body: bytes, start: int, end: int, boundary: bytes) -> bool:
    return body.startswith(b"--" + boundary, start, end) or body.find(b"\n--" + boundary, start, end) >= 0


def _split(walk: _Walk, body: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """The spans between delimiter lines (RFC 2046 section 5.1.1)."""
    if not _afford(walk, end - start):
        return []
    needle = b"--" + boundary
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    closed = False
    loose: set[bytes] = set()
    position = start if body.startswith(needle, start, end) else _next(body, needle, start, end)
    while position >= 0 and len(spans) <= MAX_PARTS:
        line_end = body.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end
        rest = body[position + len(needle) : line_end].rstrip(b" \t\r")
        if rest in (b"", b"--"):
            if opened is not None:
                spans.append((opened, _line_start(body, opened, position)))
            elif closed and not rest:
                walk.defects.add(Defect.PARTS_AFTER_END)
            closed = closed or bool(rest)
            opened = None if rest else min(line_end + 1, end)
        elif len(loose) < _MAX_READINGS:
            loose.add(rest)
        position = _next(body, needle, line_end, end)
    if opened is not None:
        spans.append((opened, end))
        walk.defects.add(Defect.UNCLOSED_MULTIPART)
    return spans + _loose(walk, body, start, end, boundary, loose)


def _loose(
    walk: _Walk, body: bytes, start: int, end: int, boundary: bytes, loose: set[bytes]
) -> list[tuple[int, int]]:
    """RFC 2046 lets a line that only starts with the delimiter be one; read so too, unless it is another's boundary."""
    spans: list[tuple[int, int]] = []
    for rest in loose:
        longer = boundary + rest.removesuffix(b"--")
        declared = any(body.find(mark + longer) >= 0 for mark in (b'="', b"="))
        if rest and longer != boundary and not declared:
            walk.defects.add(Defect.BOUNDARY_PREFIX)
            spans += _split(walk, body, start, end, boundary + rest)
    return spans


def _next(body: bytes, needle: bytes, start: int, end: int) -> int:
    found = body.find(b"\n" + needle, start, end)
    return found + 1 if found >= 0 else -1


def _line_start(body: bytes, lowest: int, position: int) -> int:
    """`position` without the line end before it, which belongs to the delimiter."""
    if position > lowest and body[position - 1 : position] == b"\n":
        position -= 1
        if position > lowest and body[position - 1 : position] == b"\r":
            position -= 1
    return position


def _afford(walk: _Walk, cost: int) -> bool:
    """May we look at that many more bytes?"""
    if walk.budget < cost:
        walk.defects.add(Defect.TOO_COMPLEX)
        return False
    walk.budget -= cost
    return True
