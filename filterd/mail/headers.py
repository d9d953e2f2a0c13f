"""Headers: the fields of one header block, in order, each with the exact bytes that it occupies.

In: a buffer and where the block starts. Out: a sequence of `Header`, where the body starts, and the
defects. The spans are exact, so that a field can be cut out and the rest stays byte for byte. Lines end at
LF; a CR before it belongs to the line end, any other CR is data and a defect. Never raises, never changes a
byte, linear in the size of the block. Beyond `MAX_HEADERS` fields only those that the rest of the house
must not miss are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import overload

from filterd.mail.defects import Defect
from filterd.mail.words import decode_words
from filterd.value import Value

MAX_HEADERS = 2_000
MAX_HEADER = 102_400  # bytes of one field that we decode; Postfix's header_size_limit
MAX_LINE = 998  # RFC 5322 section 2.1.1
_MAX_STRUCTURAL = 100

# RFC 5322 section 3.6.8 for the name, section 4.5 (obs-optional) for white space before the colon.
_FIELD = re.compile(rb"^([!-9;-~]++)([ \t]*+):([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?", re.MULTILINE)
_BLANK_LINE = re.compile(rb"\n\r?(?:\n|\Z)")
_BLANK_FOLD = re.compile(rb"\n[ \t]+\r?(?:\n|\Z)")
_BARE_CR = re.compile(rb"\r(?!\n)")
_LONG_LINE = re.compile(rb"^[^\n]{%d}" % (MAX_LINE + 2), re.MULTILINE)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_FOREIGN = re.compile(rb"x-(?:spam|filterd|quarantine|spamd)-", re.IGNORECASE)

_STRUCTURAL = frozenset(
    {"from", "content-type", "content-transfer-encoding", "content-disposition", "authentication-results"}
)
# RFC 5322 section 3.6: fields that may stand only once, and of which readers choose one.
_ONCE = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "mime-version", "in-reply-to"}
)


class Header(Value):
    """One field. `[start, end)` is where it stands in the buffer, its line end included."""

    name: str
    value: bytes  # as it came, from after the colon to before the last line end
    start: int
    end: int
    occurrence: int  # the nth of its name from the top, counted from 1

    @property
    def raw_text(self) -> str:
        """Unfolded (RFC 5322 section 2.2.3), not decoded, without white space around it."""
        text = _characters(self.value)
        return (_FOLD.sub("", text) if "\n" in text else text).strip(" \t\r\n")

    @property
    def text(self) -> str:
        """Unfolded, encoded words decoded (RFC 2047), white space around it gone."""
        text = self.raw_text
        return decode_words(text) if "=?" in text else text


class Headers(Sequence[Header]):
    """The fields of one block, in order; names are compared without case."""

    __slots__ = (
        "_by_name",
        "_fields",
        "body_start",
        "defects",
        "foreign",
        "stray",
        "stray_start",
        "total",
        "truncated",
    )

    def __init__(self, buffer: bytes, start: int = 0, end: int | None = None) -> None:
        stop = len(buffer) if end is None else end
        self.defects: set[Defect] = set()
        self.truncated = False
        self.foreign: list[Header] = []  # verdicts of other filters, or forged ones: all of them
        self.total: dict[str, int] = {}  # fields by lower-case name, those that were not kept included
        self.stray: list[tuple[int, int]] = []  # spans between fields: lines that are no field
        block_end, self.body_start = self._limits(buffer, start, stop)
        self._fields: list[Header] = []
        self._by_name: dict[str, list[Header]] = {}
        self._read(buffer, start, block_end)
        self._inspect(buffer, start, block_end)
        if self.stray and _mbox_line(buffer, *self.stray[0]) and self.stray[0][0] == start:
            self._skip_mbox_line(buffer)
        self.stray_start = self.stray[0][0] if self.stray else None
        if self.stray:
            self.defects.add(Defect.NO_COLON)

    def _limits(self, buffer: bytes, start: int, stop: int) -> tuple[int, int]:
        """Where the fields end, and where the body starts."""
        if buffer.startswith(b"\n", start, stop):
            return start, start + 1
        if buffer.startswith(b"\r\n", start, stop):
            return start, start + 2
        blank = _BLANK_LINE.search(buffer, start, stop)
        if blank is None:
            self.defects.add(Defect.NO_BODY)
            return stop, stop
        return blank.start() + 1, blank.end()

    def _read(self, buffer: bytes, start: int, block_end: int) -> None:
        fields, by_name, total = self._fields, self._by_name, self.total
        position = start
        for match in _FIELD.finditer(buffer, start, block_end):
            if match.start() != position:
                self.stray.append((position, match.start()))
            position = match.end()
            name = match[1].decode("ascii")
            key = name.lower()
            total[key] = occurrence = total.get(key, 0) + 1
            if match[2]:
                self.defects.add(Defect.SPACE_BEFORE_COLON)
            foreign = key[:2] == "x-" and is_foreign(key)
            full = len(fields) >= MAX_HEADERS
            if full:
                self.truncated = True
                if not (foreign or (key in _STRUCTURAL and occurrence <= _MAX_STRUCTURAL)):
                    continue
            value = match[3]
            if value.endswith(b"\r"):
                value = value[:-1]
            field = Header(name, value, match.start(), position, occurrence)
            if foreign:
                self.foreign.append(field)
                if full:
                    continue
            fields.append(field)
            by_name.setdefault(key, []).append(field)
        if position < block_end:
            self.stray.append((position, block_end))

    def _inspect(self, buffer: bytes, start: int, block_end: int) -> None:
        """Defects of the block as a whole, each found by one linear search."""
        defects = self.defects
        if buffer.find(b"\0", start, block_end) >= 0:
            defects.add(Defect.NUL)
        if buffer.find(b"\r", start, block_end) >= 0 and _BARE_CR.search(buffer, start, block_end):
            defects.add(Defect.BARE_CR)
        if _BLANK_FOLD.search(buffer, start, block_end):
            defects.add(Defect.BLANK_FOLD)
        if block_end - start > MAX_LINE and _LONG_LINE.search(buffer, start, block_end):
            defects.add(Defect.LONG_LINE)
        if self.truncated:
            defects.add(Defect.TOO_MANY_HEADERS)
        if any(field.end - field.start > MAX_HEADER for field in self._fields):
            defects.add(Defect.LONG_HEADER)
        if any(count > 1 and name in _ONCE for name, count in self.total.items()):
            defects.add(Defect.DUPLICATE_HEADER)
        block = buffer[start:block_end]
        if not block.isascii() and not _is_utf8(block):
            defects.add(Defect.EIGHT_BIT_HEADER)

    def _skip_mbox_line(self, buffer: bytes) -> None:
        self.defects.add(Defect.MBOX_FROM)
        start, end = self.stray[0]
        line_end = buffer.find(b"\n", start, end) + 1 or end
        self.stray[:1] = [(line_end, end)] if line_end < end else []

    @overload
    def __getitem__(self, index: int) -> Header: ...
    @overload
    def __getitem__(self, index: slice) -> list[Header]: ...
    def __getitem__(self, index: int | slice) -> Header | list[Header]:
        return self._fields[index]

    def __len__(self) -> int:
        return len(self._fields)

    def __iter__(self) -> Iterator[Header]:
        return iter(self._fields)

    def all(self, name: str) -> tuple[Header, ...]:
        """The fields of that name, from the top."""
        return tuple(self._by_name.get(name.lower(), ()))

    def first(self, name: str) -> Header | None:
        """The topmost field of that name."""
        found = self._by_name.get(name.lower())
        return found[0] if found else None


def is_foreign(name: str) -> bool:
    """Is this a field in which another filter, or a forger, gives a verdict? They are taken away."""
    return _FOREIGN.match(name.encode("ascii", "replace")) is not None


def _characters(value: bytes) -> str:
    """The characters of a field: UTF-8 (RFC 6532), else one character a byte."""
    value = value[:MAX_HEADER]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace") if _decodes_cp1252(value) else value.decode("latin-1")


def _decodes_cp1252(value: bytes) -> bool:
    return not any(byte in value for byte in b"\x81\x8d\x8f\x90\x9d")


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _mbox_line(buffer: bytes, start: int, end: int) -> bool:
    return buffer.startswith((b"From ", b">From "), start, end)
