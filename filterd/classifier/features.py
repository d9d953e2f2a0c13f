"""What a message is to the classifier: numbers. The one extraction, for serving, learning, training,
evaluation.

In goes a Message as it was received; out come sorted arrays of indices, each once. The site model has three views
(2^18 each), the base model one:

- `header`: four-byte windows of the first 4,000 bytes of the header fields, as they came. How mail of one kind was made
  and delivered: very strong at the site where it was learnt, and misleading anywhere else.
- `raw`: four-byte windows of the first 3,000 bytes of the message, header and body.
- `text`: words of the decoded text, words of each header under its name, hosts of links, and the shape.
- `portable` (a stretch for each of `BLOCKS`): shape, words and letters, which is what still holds at
  another site. All that the base model sees.

Verdicts of filters, ours or others', and results of authentication are in none of them, and line ends are
LF in all, so that a copy from a mailbox gives what the wire gave. Cut at fixed sizes, so time is bounded;
empty arrays for an empty message; never raises. A change that gives any message other numbers needs a new
VERSION.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filterd.classifier.hashing import Hashes, as_bytes, finish, numbers, unique, windows
from filterd.classifier.shape import shape, unix
from filterd.classifier.text import Text
from filterd.mail import Message

VERSION = 2

BITS = 18  # of each of the site model's views
SIZE = 1 << BITS
VIEWS = ("header", "raw", "text")  # of a site
HEADER = 4_000  # bytes of the view `header`
HEAD = 3_000  # ... and of `raw`
VISIBLE = 12_000  # bytes of subject and visible text
FIELDS = 8_000  # bytes of header text and of links' hosts

_READ = 16_000  # bytes in which these find theirs
_VERDICT = (
    "authentication-results",
    "received-spf",
    "arc-",
    "x-bogosity",
    "x-filterd-",
    "x-ham-",
    "x-quarantine-",
    "x-rspamd-",
    "x-spam-",
    "x-spamd-",
    "x-virus-",
)
_VERDICT_FIELD = re.compile(
    rb"^(?:%s)[^\n]*\n(?:[ \t][^\n]*\n)*" % "|".join(_VERDICT).encode(), re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Block:
    """One kind of portable feature: a stretch of the base model's weights."""

    name: str
    bits: int
    offset: int

    @property
    def size(self) -> int:
        return 1 << self.bits


SHAPE = Block("shape", 14, 0)
WORDS = Block("words", 17, SHAPE.size)
LETTERS = Block("letters", 17, SHAPE.size + WORDS.size)
BLOCKS = (SHAPE, WORDS, LETTERS)
PORTABLE_SIZE = LETTERS.offset + LETTERS.size


class Features:
    """One message's features; each is made when it is first asked for."""

    def __init__(self, message: Message) -> None:
        self._message = message

    @property
    def site(self) -> tuple[Hashes, ...]:
        """All that the site model sees, in the order of its views."""
        return self.header, self.raw, self.text

    @cached_property
    def header(self) -> Hashes:
        return _windows(self._opening[0][:HEADER])

    @cached_property
    def raw(self) -> Hashes:
        return _windows(b"".join(self._opening)[:HEAD])

    @cached_property
    def text(self) -> Hashes:
        return unique(self.text_occurrences)

    @cached_property
    def text_occurrences(self) -> Hashes:
        """As `text`, but in order of place and with repetitions."""
        return _top(np.concatenate((self._shapes, self.visible.words, self._fields.words)), BITS)

    def text_token(self, place: int) -> str:
        """What stands at a place in `text_occurrences`, as a person reads it."""
        if place < len(self._shapes):
            return f"shape: {self.shape[place]}"
        place -= len(self.shape)
        words = len(self.visible.words)
        return f"word: {self.visible.word(place)}" if place < words else f"header: {self._fields.word(place - words)}"

    @cached_property
    def portable(self) -> tuple[Hashes, ...]:
        """Indices into each of `BLOCKS`, counted from the block's own start."""
        return tuple(unique(hashes) for hashes in self.occurrences)

    @cached_property
    def occurrences(self) -> tuple[Hashes, ...]:
        """As `portable`, but in order of place and with repetitions: what an explanation needs."""
        return (
            _top(self._shapes, SHAPE.bits),
            _top(self.visible.words, WORDS.bits),
            _top(self.visible.letters(), LETTERS.bits),
        )

    @cached_property
    def shape(self) -> list[str]:
        """The shape tokens, in the order of the first of `occurrences`."""
        return shape(self._message)

    @cached_property
    def visible(self) -> Text:
        """Subject and visible text: the words and letters of `occurrences`."""
        return Text([(b"subject", self._message.subject), (b"", unix(self._message.text, VISIBLE))], VISIBLE)

    @cached_property
    def _opening(self) -> tuple[bytes, bytes]:
        return opening(self._message.raw)

    @cached_property
    def _shapes(self) -> Hashes:
        return finish(numbers([token.encode("utf-8", "replace") for token in self.shape]))

    @cached_property
    def _fields(self) -> Text:
        fields = [
            (name.encode(), header.text)
            for header in self._message.headers
            if not (name := header.name.lower()).startswith(_VERDICT)
        ]
        hosts = " ".join(dict.fromkeys(link.host for link in self._message.links))
        return Text([(b"links", hosts), *fields], FIELDS)


def opening(raw: bytes) -> tuple[bytes, bytes]:
    """How a message begins, its header fields and the rest: line ends LF, no fields that tell a filter's verdict."""
    block, blank, body = raw[:_READ].replace(b"\r\n", b"\n").partition(b"\n\n")
    return _VERDICT_FIELD.sub(b"", block + b"\n"), blank[1:] + body


def _windows(data: bytes) -> Hashes:
    return unique(_top(windows(as_bytes(data)), BITS))


def _top(hashes: Hashes, bits: int) -> Hashes:
    return hashes >> np.uint32(32 - bits)
