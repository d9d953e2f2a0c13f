"""The parts of a message (RFC 2045, 2046), in document order, by one iterative and capped walk.

In: the raw message and its header block. Out: `Part`s and the defects. Where mail clients are known to
disagree (several boundaries, types or encodings; a header block that ends early; a bare CR) each reading
gives parts of its own, marked `alternative`, so that nothing which some client would show is overlooked.
Depth, number of parts and the bytes looked at are capped; what lies beyond is a defect. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from filterd.mail import encodings
from filterd.mail.defects import Defect
from filterd.mail.headers import Headers
from filterd.mail.part import MESSAGES, Part
from filterd.mail.shape import ContentType, Shape, shape_of

MAX_DEPTH = 50
MAX_PARTS = 1_000
_MAX_BOUNDARIES = 4  # read for one multipart
_GUESSES = 50  # parts whose charset is guessed if need be
_LOOKS = 32  # how many times the message's size may be looked at, all readings together

_BARE_CR = re.compile(rb"\r(?!\n)")
_ANY_DELIMITER = re.compile(rb"^--([^\s-][^\r\n]{0,199}?)[ \t]*\r?$", re.MULTILINE)
_FIELD_START = re.compile(rb"\s*+[!-9;-~]++[ \t]*+:")
_ENCODED = frozenset({"base64", "quoted-printable", "uuencode"})
# Said of every part of some real mail, and of no interest below the top.
_ONLY_ON_TOP = frozenset({Defect.NO_BODY, Defect.MBOX_FROM, Defect.DUPLICATE_HEADER})


class _Span(NamedTuple):
    """Some bytes of the message, or of something decoded from it."""

    buffer: bytes
    start: int
    end: int
    alternative: bool = False

    @property
    def size(self) -> int:
        return self.end - self.start


class _Entity(NamedTuple):
    """Bytes that are to be read as a header block and a body."""

    span: _Span
    path: str
    depth: int
    digest: bool = False  # a child of multipart/digest: message/rfc822 unless it says otherwise
    normalised: bool = False  # bare CRs were made line ends


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read an entity: under this type."""

    entity: _Entity
    headers: Headers
    shape: Shape
    kind: ContentType
    alternative: bool
    before: int  # parts inside the entity by earlier readings

    def part(self, start: int | None = None, end: int | None = None) -> Part:
        """The part that this reading gives; its body may be other than from the empty line to the end."""
        entity = self.entity
        body = (
            entity.span.buffer,
            self.headers.body_start if start is None else start,
            entity.span.end if end is None else end,
        )
        return Part(body, entity.path, entity.depth, self.headers, self.shape, self.kind, self.alternative)


@dataclass(slots=True)
class _Walk:
    budget: int
    parts: list[Part] = field(default_factory=list)
    defects: set[Defect] = field(default_factory=set)

    def afford(self, cost: int) -> bool:
        """May we look at that many more bytes?"""
        if self.budget < cost:
            self.defects.add(Defect.TOO_COMPLEX)
            return False
        self.budget -= cost
        return True


def read_parts(raw: bytes, headers: Headers) -> tuple[tuple[Part, ...], frozenset[Defect]]:
    """The parts of the message `raw`, whose header block is `headers`."""
    walk = _Walk(budget=_LOOKS * len(raw) + 1_000_000)
    stack = [_Entity(_Span(raw, 0, len(raw)), "1", 0)]
    while stack:
        if len(walk.parts) >= MAX_PARTS:
            walk.defects.add(Defect.TOO_MANY_PARTS)
            break
        entity = stack.pop()
        known = Headers(*entity.span[:3]) if walk.parts else headers
        stack.extend(reversed(_read(walk, entity, known)))
    for part in walk.parts[:_GUESSES]:
        part.guess = True
    return tuple(walk.parts[:MAX_PARTS]), frozenset(walk.defects)


def _read(walk: _Walk, entity: _Entity, headers: Headers) -> list[_Entity]:
    """Add the parts of one entity to the walk; what is inside it is returned, to be read next."""
    shape = shape_of(headers, entity.digest)
    walk.defects |= shape.defects
    if entity.depth:
        walk.defects |= headers.defects - _ONLY_ON_TOP
    inside: list[_Entity] = []
    for number, kind in enumerate(shape.types):
        alternative = entity.span.alternative or number > 0
        reading = _Reading(entity, headers, shape, kind, alternative, len(inside))
        if kind.type.startswith("multipart/"):
            inside += _multipart(walk, reading)
        elif kind.type in MESSAGES:
            inside += _message(walk, reading)
        else:
            _leaf(walk, reading)
    if Defect.BARE_CR in headers.defects and not entity.normalised:
        inside += _without_bare_cr(walk, entity, headers, shape)
    return inside


def _leaf(walk: _Walk, reading: _Reading) -> None:
    """A part without parts; once more for each other encoding, and for a body that starts early."""
    headers = reading.headers
    for number, encoding in enumerate(reading.shape.encodings):
        part = reading.part()
        part.encoding = encoding
        part.alternative = reading.alternative or number > 0
        walk.parts.append(part)
    if headers.stray_start is not None:
        # RFC 5322 knows no such line; servers and readers start the body at it.
        walk.parts.append(replace(reading, alternative=True).part(headers.stray_start, headers.body_start))
    if reading.kind.type in ("message/partial", "message/external-body"):
        walk.defects.add(Defect.PARTIAL_MESSAGE)


def _message(walk: _Walk, reading: _Reading) -> list[_Entity]:
    """A message in the message (RFC 2046 section 5.2)."""
    part = reading.part()
    walk.parts.append(part)
    return _children(walk, reading, part, list(_bodies(walk, part, reading)))


def _multipart(walk: _Walk, reading: _Reading) -> list[_Entity]:
    """The parts between the delimiters, for each boundary that the type may be read to name."""
    part = reading.part()
    walk.parts.append(part)
    spans: dict[_Span, None] = {}
    for body in _bodies(walk, part, reading):
        for number, boundary in enumerate(_boundaries(walk, reading.kind, body)):
            body = body._replace(alternative=body.alternative or number > 0)
            spans.update(dict.fromkeys(_split(walk, body, boundary)))
    if not spans:
        # Readers show such a body as it is.
        plain = replace(reading, kind=ContentType("text/plain", {}), alternative=True)
        walk.parts.append(plain.part())
    return _children(walk, reading, part, list(spans))


def _children(walk: _Walk, reading: _Reading, part: Part, spans: list[_Span]) -> list[_Entity]:
    entity = reading.entity
    if entity.depth >= MAX_DEPTH:
        walk.defects.add(Defect.TOO_DEEP)
        return []
    part.children = len(spans)
    digest = part.type == "multipart/digest"
    children: list[_Entity] = []
    for number, span in enumerate(spans, reading.before + 1):
        marked = span._replace(alternative=span.alternative or reading.alternative)
        path = f"{entity.path}.{number}"
        children.append(_Entity(marked, path, entity.depth + 1, digest, entity.normalised))
    return children


def _bodies(walk: _Walk, part: Part, reading: _Reading) -> Iterator[_Span]:
    """What is inside a container: as it stands, and decoded where it claims an encoding.

    RFC 2045 section 6.4 forbids that claim; most readers ignore it, some do not.
    """
    headers, span = reading.headers, reading.entity.span
    start = headers.body_start if headers.stray_start is None else headers.stray_start
    plain = _Span(span.buffer, start, span.end)
    encoded = [encoding for encoding in reading.shape.encodings if encoding in _ENCODED]
    legible = not encoded or part.type not in MESSAGES or bool(_FIELD_START.match(*plain[:3]))
    if legible:
        yield plain
    for encoding in encoded:
        if walk.afford(4 * part.size):
            content = encodings.decode(part.raw, encoding)[0]
            if content != part.raw:
                walk.defects.add(Defect.ENCODED_CONTAINER)
                yield _Span(content, 0, len(content), alternative=legible)


def _without_bare_cr(walk: _Walk, entity: _Entity, headers: Headers, shape: Shape) -> list[_Entity]:
    """The same entity as a reader sees it to whom a bare CR ends a line, if that is another one."""
    span = entity.span
    if not walk.afford(4 * span.size):
        return []
    changed = _BARE_CR.sub(b"\r\n", span.buffer[span.start : span.end])
    other = Headers(changed)
    same_body = len(changed) - other.body_start == span.end - headers.body_start
    if same_body and shape_of(other, entity.digest) == shape:
        return []
    return [entity._replace(span=_Span(changed, 0, len(changed), alternative=True), normalised=True)]


def _boundaries(walk: _Walk, kind: ContentType, body: _Span) -> list[bytes]:
    """The boundaries, of all that the type may be read to name, that occur in the body."""
    found: list[bytes] = []
    for candidate in kind.boundaries:
        boundary = candidate.encode("utf-8", "replace")
        if len(found) < _MAX_BOUNDARIES and _delimiter(walk, body, b"--" + boundary, body.start) >= 0:
            found.append(boundary)
    if len(found) > 1:
        walk.defects.add(Defect.DUPLICATE_BOUNDARY)
    if not found:
        walk.defects.add(Defect.NO_DELIMITER if kind.boundaries else Defect.NO_BOUNDARY)
        guess = _ANY_DELIMITER.search(*body[:3]) if walk.afford(body.size) else None
        if guess:
            found.append(guess[1])
    return found


def _split(walk: _Walk, body: _Span, boundary: bytes) -> list[_Span]:
    """The spans between delimiter lines (RFC 2046 section 5.1.1): exact, and loose if that differs."""
    spans, longer = _between(walk, body, boundary, loose=False)
    if any(not _declared(walk, body, boundary + rest.removesuffix(b"--")) for rest in longer):
        walk.defects.add(Defect.BOUNDARY_PREFIX)
        others, _ = _between(walk, body._replace(alternative=True), boundary, loose=True)
        spans += [other for other in others if other._replace(alternative=body.alternative) not in spans]
    return spans


def _between(walk: _Walk, body: _Span, boundary: bytes, *, loose: bool) -> tuple[list[_Span], set[bytes]]:
    """The spans, and how lines go on that only start with the delimiter; `loose` takes those for delimiters.

    The RFC wants that ("it is sufficient that the boundary appear in its entirety"); most readers do not do
    it.
    """
    needle = b"--" + boundary
    buffer, _, end, alternative = body
    spans: list[_Span] = []
    longer: set[bytes] = set()
    opened: int | None = None
    closed = False
    position = _delimiter(walk, body, needle, body.start)
    while position >= 0 and len(spans) <= MAX_PARTS:
        line_end = buffer.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end
        rest = buffer[position + len(needle) : line_end].rstrip(b" \t\r")
        if loose or rest in (b"", b"--"):
            last = rest.startswith(b"--")
            if opened is not None:
                spans.append(_Span(buffer, opened, _line_start(buffer, opened, position), alternative))
            elif closed and not last:
                walk.defects.add(Defect.PARTS_AFTER_END)
            closed = closed or last
            opened = None if last else min(line_end + 1, end)
        elif len(longer) < _MAX_BOUNDARIES:
            longer.add(rest)
        position = _delimiter(walk, body, needle, line_end)
    if opened is not None:
        spans.append(_Span(buffer, opened, end, alternative))
        walk.defects.add(Defect.UNCLOSED_MULTIPART)
    return spans, longer


def _declared(walk: _Walk, body: _Span, boundary: bytes) -> bool:
    """Is that the boundary of another multipart?"""
    if not walk.afford(2 * body.size):
        return True
    return any(body.buffer.find(mark + boundary) >= 0 for mark in (b'="', b"="))


def _delimiter(walk: _Walk, body: _Span, needle: bytes, start: int) -> int:
    """Where the next line that starts with `needle` is, from `start` on; -1 when there is none."""
    buffer, first, end, _ = body
    if start == first and buffer.startswith(needle, start, end):
        return start
    found = buffer.find(b"\n" + needle, start, end)
    seen = (found if found >= 0 else end) - start
    if not walk.afford(seen):
        return -1
    return found + 1 if found >= 0 else -1


def _line_start(buffer: bytes, lowest: int, position: int) -> int:
    """`position` without the line end before it, which belongs to the delimiter."""
    if position > lowest and buffer[position - 1 : position] == b"\n":
        position -= 1
        if position > lowest and buffer[position - 1 : position] == b"\r":
            position -= 1
    return position
