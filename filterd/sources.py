"""Messages from where people keep them: files, folders, mbox, Maildir, standard input.

In: paths. Out: one `Found` for each message, in a stable order, in wire form (CRLF lines, as an SMTP client
would have sent it), or one `Unreadable` with a sentence. One message is in memory at a time, none is larger
than `limit`, and nothing is written.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LIMIT = 100_000_000

_QUOTED_FROM = re.compile(rb">+From ")


@dataclass(frozen=True, slots=True)
class Found:
    """One message and how a person would name it: `a.eml`, `inbox.mbox#3`, `-`."""

    path: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that should hold a message and cannot be read."""

    path: str
    why: str


Item = Found | Unreadable


def read_sources(paths: Iterable[str], limit: int = LIMIT) -> Iterator[Item]:
    """Every message in these places."""
    for path in paths:
        if path == "-":
            yield from _read_stream(sys.stdin.buffer, "-", limit)
        elif os.path.isdir(path):
            yield from _read_folder(Path(path), limit)
        else:
            yield from _read_file(Path(path), limit)


def read_message(path: str, limit: int = LIMIT) -> Item:
    """The file as one message, whatever stands in it; a first `From ` line of an mbox is not part of it."""
    if "\0" in path:
        return Unreadable(path, "not the name of a file")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            return Unreadable(path, "not a file")
        with open(path, "rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        return Unreadable(path, _why(error))
    if len(raw) > limit:
        return Unreadable(path, f"larger than {limit} bytes")
    return Found(path, wire_form(raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw))


def wire_form(raw: bytes) -> bytes:
    """The message with CRLF at the end of every line, whatever ended it before."""
    ends, returns = raw.count(b"\n"), raw.count(b"\r")
    if returns == 0:
        return raw.replace(b"\n", b"\r\n")
    if ends == returns == raw.count(b"\r\n"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _read_folder(folder: Path, limit: int) -> Iterator[Item]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield Unreadable(str(folder), _why(error))
        return
    maildir = {"cur", "new"} <= set(names)
    for name in names:
        path = folder / name
        if path.is_dir():
            if not (maildir and name == "tmp") and (maildir or not name.startswith(".")):
                yield from _read_folder(path, limit)
        elif not name.startswith(".") and not maildir:
            yield from _read_file(path, limit)


def _read_file(path: Path, limit: int) -> Iterator[Item]:
    try:
        with path.open("rb") as file:
            yield from _read_stream(file, str(path), limit)
    except OSError as error:
        yield Unreadable(str(path), _why(error))


def _read_stream(file: IO[bytes], path: str, limit: int) -> Iterator[Item]:
    """One message, or all those of an mbox, which is known by its first word."""
    first = file.readline(limit + 1)
    if first.startswith(b"From "):
        yield from _read_mbox(file, path, limit)
        return
    raw = first + file.read(limit + 1 - len(first)) if len(first) <= limit else first
    if len(raw) > limit:
        yield Unreadable(path, f"larger than {limit} bytes")
    else:
        yield Found(path, wire_form(raw))


def _read_mbox(file: IO[bytes], path: str, limit: int) -> Iterator[Item]:
    """The messages of an mbox whose first `From ` line was read (RFC 4155); `>From ` is unquoted."""
    lines: list[bytes] = []
    number, size, blank = 1, 0, False
    while line := file.readline(limit + 1):
        if blank and line.startswith(b"From "):
            yield _one_of_mbox(lines, f"{path}#{number}", size, limit)
            lines, number, size, blank = [], number + 1, 0, False
            continue
        blank = line in (b"\n", b"\r\n")
        size += len(line)
        if size <= limit:
            lines.append(line[1:] if _QUOTED_FROM.match(line) else line)
    yield _one_of_mbox(lines, f"{path}#{number}", size, limit)


def _one_of_mbox(lines: list[bytes], path: str, size: int, limit: int) -> Item:
    if size > limit:
        return Unreadable(path, f"larger than {limit} bytes")
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines = lines[:-1]  # the empty line before the next `From ` is not part of the message
    return Found(path, wire_form(b"".join(lines)))


def _why(error: OSError) -> str:
    return error.strerror or str(error)
