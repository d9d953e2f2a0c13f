"""What a message is to the classifier: numbers. The one extraction, for serving, learning, training,
evaluation.

In goes a Message as it was received; out come sorted arrays of indices, each once. Two views and a half:

- `raw` (view R, 2^18): four-byte windows of the first 3,000 bytes, headers included. Very strong at the
  site where it was learnt and misleading anywhere else: the site model's alone.
- `text` (view T, 2^18): words of the decoded text and pairs of them, words of each header under its name,
  hosts of links, and the shape. For the site model.
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
from filterd.classifier.text import REACH, Text
from filterd.mail import Message

VERSION = 1

BITS = 18  # of the views R and T
SIZE = 1 << BITS
HEAD = 3_000  # bytes of view R
VISIBLE = 12_000  # bytes of subject and visible text
FIELDS = 8_000  # bytes of header text and of links' hosts

_READ = 16_000  # bytes in which view R finds its head
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

    @cached_property
    def raw(self) -> Hashes:
        """View R."""
        return unique(_top(windows(as_bytes(head(self._message.raw))), BITS))

    @cached_property
    def text(self) -> Hashes:
        """View T."""
        return unique(self.text_occurrences)

    @cached_property
    def text_occurrences(self) -> Hashes:
        """As `text`, but in order of place and with repetitions."""
        fields = self._fields
        found = (self._shapes, self.visible.words, self.visible.pairs(), fields.words, fields.pairs())
        return _top(np.concatenate(found), BITS)

    def text_token(self, place: int) -> str:
        """What stands at a place in `text_occurrences`, as a person reads it."""
        if place < len(self._shapes):
            return f"shape: {self.shape[place]}"
        place -= len(self._shapes)
        for name, text in (("word", self.visible), ("header", self._fields)):
            words = len(text.words)
            if place < words:
                return f"{name}: {text.word(place)}"
            place -= words
            for reach in range(1, REACH + 1):
                if place < (pairs := max(words - reach, 0)):
                    return f"{name}s: {text.word(place)} {text.word(place + reach)}"
                place -= pairs
        raise IndexError(place)

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


def head(raw: bytes) -> bytes:
    """The first 3,000 bytes as view R sees them: line ends LF, no fields that tell a filter's verdict."""
    block, blank, body = raw[:_READ].replace(b"\r\n", b"\n").partition(b"\n\n")
    return (_VERDICT_FIELD.sub(b"", block + b"\n") + blank[1:] + body)[:HEAD]


def _top(hashes: Hashes, bits: int) -> Hashes:
    return hashes >> np.uint32(32 - bits)
