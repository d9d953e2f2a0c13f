"""RE2 behind one typed door: patterns whose matching takes time linear in the text, whatever the pattern.

In go patterns in RE2's syntax; `^` and `$` are line ends. With `lines`, a text is one value a line and no
match crosses a line end, not even by a negated class. Raises PatternError, and nothing while matching.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import re2

MAX_PROGRAM = 20_000  # RE2 instructions: bounds the work for one character of text
_MEMORY = 2 << 20  # bytes that one pattern's automaton may take
_MEMORY_TOGETHER = 32 << 20
_LINES = "(?m)"  # put before each pattern: `^` and `$` are line ends


class PatternError(ValueError):
    """A pattern that cannot be used; the message says why."""


class Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Linear(Protocol):
    """A compiled pattern."""

    pattern: str
    programsize: int

    def search(self, text: str | bytes) -> Match | None: ...
    def finditer(self, text: str) -> Iterator[Match]: ...


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


class Together:
    """A few small patterns tried at once, in one pass."""

    MOST = 64  # patterns
    LARGEST = 200  # instructions of one: 64 of them make states of at most 51 kB, of which the memory holds hundreds

    def __init__(self, patterns: Sequence[Linear], lines: bool) -> None:
        self._set = re2.Set.SearchSet(_options(lines, _MEMORY_TOGETHER))  # type: ignore[no-untyped-call]
        for pattern in patterns:
            self._set.Add(pattern.pattern)
        self._set.Compile()

    def matches(self, text: bytes) -> Sequence[int]:
        """Which match somewhere in a UTF-8 text, by their places."""
        return cast(Sequence[int], self._set.Match(text) or ())


def _options(lines: bool, memory: int = _MEMORY) -> object:
    how = re2.Options()
    how.log_errors = False
    how.never_capture = True
    how.never_nl = lines
    how.max_mem = memory
    return how
