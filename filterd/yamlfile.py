"""YAML text to plain data, with the line of every key.

In goes the text of one file and its name for messages. Out comes a `Document`: dicts, lists, strings,
numbers, booleans and None, and where each of them stands. What a settings file has no use for is refused, all
of it at once, each with `file:line`: tags (`!!python/object`), several documents, duplicate keys, NaN and
infinities, keys that are not words, more than a few aliases (anchor bombs), and deep nesting. Nothing in the
file is ever executed, and reading is iterative, so depth costs no stack.

Plain scalars are read by the core schema of YAML 1.2: `on`, `yes`, `1:30` and `2026-01-01` stay the text that
they are, for a setting's own type to read.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from filterd.told import Told

Key = tuple[str | int, ...]

MAX_BYTES = 10_000_000
MAX_DEPTH = 40
MAX_ALIASES = 16

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,15}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file, and where."""

    file: str
    line: int  # from 1; 0 is the file as a whole
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class DocumentError(Told):
    """A file that cannot be used: every problem in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where it says it."""

    file: str
    data: Any
    lines: dict[Key, int]

    def line(self, key: Key) -> int:
        """The line of `key`, or of the nearest thing around it that the file has."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)


def read_document(path: Path) -> Document:
    """The document in a file; raises DocumentError, also when the file cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DocumentError([Problem(str(path), 0, f"larger than {MAX_BYTES} bytes")])
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DocumentError([Problem(str(path), 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError([Problem(str(path), line, "not UTF-8 text")]) from error
    return parse_document(text, str(path))


def parse_document(text: str, file: str = "<text>") -> Document:
    """The one document in `text`; raises DocumentError. An empty text is an empty mapping."""
    builder = _Builder(file)
    try:
        with contextlib.suppress(_TooMuch):
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        builder.refuse(mark.line + 1 if mark else 0, f"not YAML: {said}")
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0) or 0
        builder.refuse(text.count("\n", 0, position) + 1, "not YAML: a character that is not allowed here")
    if builder.problems:
        raise DocumentError(builder.problems)
    return Document(file, {} if builder.root is None else builder.root, builder.lines)


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    value: dict[str, Any] | list[Any]
    key: Key
    anchor: str | None
    pending: str | None = None  # the key whose value comes next
    expects_key: bool = True
    keys: dict[str, int] = field(default_factory=dict)


class _TooMuch(Exception):
    """Reading goes no further; the problem is already noted."""


class _Builder:
    """Takes the parser's events one by one and builds the data beside the lines."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.lines: dict[Key, int] = {}
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._aliases = 0
        self._documents = 0

    def refuse(self, line: int, text: str) -> None:
        if not (self.problems and self.problems[-1].line == line):
            self.problems.append(Problem(self.file, line, text))

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self.refuse(line, "a second document; a file holds one")
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._stack.pop()
                if done.anchor:
                    self._anchors[done.anchor] = done.value
            case yaml.AliasEvent():
                self._alias(event, line)

    def _open(self, event: Any, line: int) -> None:
        if event.tag and not event.implicit:
            self.refuse(line, f"the tag {_shown(event.tag)} is not allowed; tags are not used here")
        if len(self._stack) >= MAX_DEPTH:
            self.refuse(line, f"nested more than {MAX_DEPTH} deep")
            raise _TooMuch
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(value, self._place(value, line), event.anchor))

    def _scalar(self, event: Any, line: int) -> None:
        top = self._stack[-1] if self._stack else None
        if top and isinstance(top.value, dict) and top.expects_key:
            self._key(top, event.value, line)
            return
        plain = event.implicit[0]
        if event.tag and event.tag != _TEXT_TAG and not any(event.implicit):
            self.refuse(line, f"the tag {_shown(event.tag)} is not allowed; tags are not used here")
        value = _plain(event.value) if plain else event.value
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(line, f"{_shown(event.value)} is not a number that can be used")
        if event.anchor:
            self._anchors[event.anchor] = value
        self._place(value, line)

    def _key(self, top: _Open, name: str, line: int) -> None:
        if name in top.keys:
            self.refuse(line, f"the key {_shown(name)} is here twice; it is first on line {top.keys[name]}")
        top.keys.setdefault(name, line)
        top.pending, top.expects_key = name, False
        self.lines.setdefault((*top.key, name), line)

    def _alias(self, event: Any, line: int) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self.refuse(line, f"more than {MAX_ALIASES} aliases; write the values out")
            raise _TooMuch
        if event.anchor not in self._anchors:
            self.refuse(line, f"the alias *{_shown(event.anchor)} has no finished anchor before it")
        self._place(self._anchors.get(event.anchor), line)

    def _place(self, value: Any, line: int) -> Key:
        """Put a value where it belongs; the key that it got."""
        if not self._stack:
            self.root = value if self._documents == 1 else self.root
            self.lines.setdefault((), line)
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            key: Key = (*top.key, len(top.value))
            top.value.append(value)
            self.lines.setdefault(key, line)
            return key
        if top.expects_key:
            self.refuse(line, "a key is a word, not a list or a mapping")
            top.pending, top.expects_key = "", False
            return (*top.key, "")
        name = top.pending or ""
        top.value.setdefault(name, value)
        top.expects_key = True
        return (*top.key, name)


def _plain(text: str) -> Any:
    """The value of a scalar without quotes, by YAML 1.2 section 10.3.2."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return math.nan
    return text


def _shown(text: str) -> str:
    return ascii(text[:80])[1:-1].replace("tag:yaml.org,2002:", "!!")


def dotted(key: Key) -> str:
    """A key as a person writes it: `listeners[0].relay`."""
    return "".join(_steps(key)).removeprefix(".")


def _steps(key: Key) -> Iterator[str]:
    for step in key:
        yield f"[{step}]" if isinstance(step, int) else f".{step}"
