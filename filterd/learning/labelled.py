"""Labelled messages from where people keep them, and what the site's model takes of them.

In go folders, files, mailboxes, or an index (one line a message: `spam PATH` or `ham PATH`, relative to the index, as
the TREC spam track has it: a file is one message, even if it begins as an mbox does); out come `Labelled` messages, one
at a time, or `Taken` examples, in order, made by as many processes as asked. An index that cannot be read raises
LearningError; a message that cannot be read is skipped and counted.
"""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filterd.classifier import Model
from filterd.classifier.shards import in_shards
from filterd.classifier.site import Example
from filterd.learning.shelf import Shelf
from filterd.learning.words import LearningError
from filterd.mail import Message
from filterd.sources import Item, Unreadable, read_message, read_sources
from filterd.value import replace

_CREDIBLE = range(1990, 2100)  # years of a Date


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message and what it is."""

    path: str
    spam: bool
    raw: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What learning needs of it."""

    example: Example
    spam: bool
    headers: frozenset[str]
    raw: bytes = b""
    day: str = ""  # of its Date, ISO 8601


class Newest:
    """The newest labels, and as many of their messages as there is room for."""

    def __init__(self, labels: int, room: int, folder: Path | None = None) -> None:
        """At most so many labels, with at most `room` bytes of messages; both on shelves in `folder`."""
        self.labels: deque[tuple[Example, bool]] = deque(maxlen=labels)
        self.messages: dict[str, memoryview] = {}  # by digest
        self.first = self.last = ""  # day of a Date, of all that was read
        self._room = room
        self._examples, self._raw = Shelf(folder), Shelf(folder)

    def add(self, one: Taken) -> None:
        """Raises OSError where the disk is full."""
        self.labels.append((self._examples.put(one.example), one.spam))
        if one.day:
            self.first, self.last = min(self.first or one.day, one.day), max(self.last, one.day)
        self._room += len(self.messages.pop(one.example.digest, b"")) - len(one.raw)
        self.messages[one.example.digest] = self._raw.lay(one.raw)
        while self._room < 0:
            self._room += len(self.messages.pop(next(iter(self.messages))))


@dataclass(slots=True)
class Sources:
    """Where labelled messages are."""

    spam: tuple[str, ...] = ()
    ham: tuple[str, ...] = ()
    index: Path | None = None
    more: tuple[tuple[bool, Callable[[], Iterable[Item]]], ...] = ()  # spam?, and what gives the messages
    unreadable: list[Unreadable] = field(default_factory=list)  # filled while reading

    def count(self) -> int | None:
        """How many messages there are, where that is known without reading them."""
        alone = self.index is not None and not (self.ham or self.spam or self.more)
        return len(read_index(self.index)) if self.index is not None and alone else None

    def __iter__(self) -> Iterator[Labelled]:
        if self.index is not None:
            for spam, path in read_index(self.index):
                yield from self._labelled([read_message(path)], spam)
        yield from self._labelled(read_sources(self.ham), False)
        yield from self._labelled(read_sources(self.spam), True)
        for spam, items in self.more:
            yield from self._labelled(items(), spam)

    def _labelled(self, items: Iterable[Item], spam: bool) -> Iterator[Labelled]:
        for item in items:
            if isinstance(item, Unreadable):
                self.unreadable.append(item)
            else:
                yield Labelled(item.path, spam, item.raw)


def read_index(index: Path) -> list[tuple[bool, str]]:
    """The lines of an index: spam?, path. Upper and lower case, ends of lines and the white space between are all one.
    Raises LearningError."""
    try:
        lines = index.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise LearningError(f"{index}: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines, 1):
        said, *path = line.split(None, 1)[:2] or (b"",)
        if said.lower() in (b"spam", b"ham") and path:
            found.append((said.lower() == b"spam", str(index.parent / os.fsdecode(path[0].rstrip()))))
        elif said:
            raise LearningError(f"{index}:{number}: a line is `spam PATH` or `ham PATH`")
    return found


def take(
    messages: Iterable[Labelled],
    base: Model | None,
    jobs: int = 1,
    done: Callable[[int], None] | None = None,
    *,
    keep_raw: bool = False,
) -> Iterator[Taken]:
    """The examples of these messages, in their order; `done` hears how many there were."""
    count = 0
    for shard in in_shards(messages, partial(_take, base=base, keep_raw=keep_raw), jobs):
        yield from shard
        count += len(shard)
        if done is not None:
            done(count)


def _take(messages: list[Labelled], base: Model | None, keep_raw: bool) -> list[Taken]:
    return [_taken(one, base, keep_raw) for one in messages]


def _taken(labelled: Labelled, base: Model | None, keep_raw: bool) -> Taken:
    message = Message(labelled.raw)
    example = replace(Example.of(message, base), digest=message.identity)
    names = frozenset(header.name.lower() for header in message.headers)
    date = message.date
    day = date.date().isoformat() if date is not None and date.year in _CREDIBLE else ""
    return Taken(example, labelled.spam, names, labelled.raw if keep_raw else b"", day)
