"""RE2 behind one typed door: patterns whose matching takes time linear in the text, whatever the pattern.

In go patterns in RE2's syntax; `^` and `$` are line ends. With `lines`, a text is one value a line and no
match crosses a line end, not even by a negated class. Raises PatternError, and nothing while matching.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import re2

MAX_PROGRAM = 20_000  # RE2 instructions: bounds the work for one character of text
_MEMORY = 2 << 20  # bytes that one pattern's automaton may take
_LINES = "(?m)"  # put before each pattern: `^` and `$` are line ends
_CANARY = "filterd-canary-6f1d"


class PatternError(ValueError):
    """A pattern that cannot be used; the message says why."""


class Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Linear(Protocol):
    """A compiled pattern."""

    pattern: str
    programsize: int

    def search(self, text: str) -> Match | None: ...
    def finditer(self, text: str) -> Iterator[Match]: ...


class _Filter(Protocol):
    def Add(self, pattern: str, options: object) -> int: ...
    def Compile(self) -> None: ...
    def Match(self, text: bytes, potential: bool = False) -> list[int] | None: ...


def compile_linear(text: str, lines: bool) -> Linear:
    """The pattern, compiled; raises PatternError with RE2's words."""
    try:
        compiled = cast(Linear, re2.compile(f"{_LINES}{text}", _options(lines)))  # type: ignore[no-untyped-call]
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise PatternError(said.replace(_LINES, "", 1)) from error
    if compiled.programsize > MAX_PROGRAM:
        raise PatternError("it compiles to too large a program; repeat less")
    return compiled


def escape(text: str) -> str:
    return cast(str, re2.escape(text))  # type: ignore[no-untyped-call]


def always_tried(compiled: Linear, lines: bool) -> bool:
    """Whether it requires no literal text, so that a filter can never rule it out."""
    alone = _filter([compiled], lines)
    return bool(alone.Match(b"", potential=True))


class Shard:
    """Some patterns tried at once: their literals in one pass, then only those whose literals are there."""

    def __init__(self, patterns: Sequence[Linear], lines: bool) -> None:
        self._filter: _Filter | None = None
        with contextlib.suppress(re2.error):
            self._filter = _filter(patterns, lines, _CANARY)
        self._size = len(patterns)

    @property
    def works(self) -> bool:
        """False when the literals outgrow RE2's memory: it does not compile, or finds nothing, hence the canary."""
        return self._size in self.matches(_CANARY.encode())

    def matches(self, text: bytes) -> Sequence[int]:
        """Which patterns match somewhere in a UTF-8 text, by their positions."""
        return (self._filter.Match(text) if self._filter is not None else None) or ()


def _filter(patterns: Sequence[Linear], lines: bool, *more: str) -> _Filter:
    made = cast(_Filter, re2.Filter())  # type: ignore[no-untyped-call]
    how = _options(lines)
    for text in (*(pattern.pattern for pattern in patterns), *more):
        made.Add(text, how)
    made.Compile()
    return made


def _options(lines: bool) -> object:
    how = re2.Options()
    how.log_errors = False
    how.never_capture = True
    how.never_nl = lines
    how.max_mem = _MEMORY
    return how
