"""Patterns: every regular expression of every rule, tried at once over each field, in linear time.

In go patterns with the field that each is about; out come the numbers of those that match somewhere in a
mail. A field with several values is searched as one text of a line each; no match spans two of them.

A pattern that RE2 cannot take (look-around, back-references) is refused, unless its rule is marked
`backtracking`: then `regex` runs it, with a time limit, where a relaxed linear form of it matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import regex

from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.linear import Linear, PatternError, Shard, always_tried, compile_linear, escape
from filterd.ruleset.relax import loosen, relax

if TYPE_CHECKING:
    from filterd.ruleset.view import View

SHARD = 1000  # patterns in one filter: more make the automaton of literals outgrow its memory
MAX_PATTERN = 4000  # characters
MAX_MATCHES = 1000  # counted in one value
TIME_LIMIT = 0.002  # seconds that a backtracking pattern may take on one value
EVIDENCE = 80  # characters of a match that a finding shows
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One pattern over one field, under a number."""

    number: int
    field: str
    text: str
    linear: Linear
    loose: tuple[Linear, ...]  # one of these matches wherever `linear` does; they are cheaper
    slow: regex.Pattern[str] | None = None

    def spans(self, value: str, view: View) -> Iterator[tuple[int, int]]:
        """Where it matches, at most MAX_MATCHES times. Out of time is no match; the view is told."""
        if self.slow is None:
            for match in islice(self.linear.finditer(value), MAX_MATCHES):
                yield match.span()
        elif not view.out_of_time and self.linear.search(value):
            try:
                for found in islice(self.slow.finditer(value, timeout=TIME_LIMIT), MAX_MATCHES):
                    yield found.span()
            except TimeoutError:
                view.ran_out(self)

    def search(self, value: str, view: View) -> str | None:
        """The first match as evidence, or None."""
        for start, end in self.spans(value, view):
            return excerpt(value, start, end)
        return None

    def count(self, value: str, view: View) -> int:
        return sum(1 for _ in self.spans(value, view))


class Patterns:
    """All patterns of a set of rules: first `add`, then `ready`, then `hits`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Pattern] = {}
        self._fields: dict[str, Field] = {}
        self._sieves: list[tuple[Field, list[tuple[Shard, list[int]]]]] = []

    def __len__(self) -> int:
        return len(self._known)

    def add(self, field: Field, text: str, backtracking: bool = False) -> Pattern:
        """The pattern `text` over `field`; raises PatternError. The same again is the same pattern."""
        known = self._known.get((field.name, text))
        if known is not None and (known.slow is None or backtracking):
            return known
        pattern = _pattern(len(self._known), field, text, backtracking)
        self._known[field.name, text] = pattern
        self._fields[field.name] = field
        return pattern

    @property
    def slow(self) -> tuple[str, ...]:
        """The backtracking ones, as they were written."""
        return tuple(pattern.text for pattern in self._known.values() if pattern.slow is not None)

    def ready(self) -> None:
        """Build the filters; raises PatternError. No pattern can be added after this."""
        for name, field in self._fields.items():
            mine = [
                (form, pattern.number)
                for pattern in self._known.values()
                if pattern.field == name
                for form in pattern.loose
            ]
            shards = [
                shard
                for start in range(0, len(mine), SHARD)
                for shard in _shards(mine[start : start + SHARD], _by_lines(field))
            ]
            self._sieves.append((field, shards))

    def hits(self, view: View) -> frozenset[int]:
        """The numbers of all patterns that may match somewhere in the mail; no other does."""
        found: list[int] = []
        for field, shards in self._sieves:
            if (text := view.searchable(field)) is not None:
                for shard, numbers in shards:
                    found += [numbers[index] for index in shard.matches(text)]
        return frozenset(found)


def _by_lines(field: Field) -> bool:
    return field.kind is not Kind.TEXT


def _shards(forms: Sequence[tuple[Linear, int]], lines: bool) -> Iterator[tuple[Shard, list[int]]]:
    """One filter of forms with the numbers of their patterns, or two halves when one does not hold them."""
    shard = Shard([form for form, _ in forms], lines)
    if shard.works:
        yield shard, [number for _, number in forms]
    elif len(forms) > 1:
        middle = len(forms) // 2
        yield from _shards(forms[:middle], lines)
        yield from _shards(forms[middle:], lines)
    else:
        raise PatternError(f"the pattern {forms[0][0].pattern[:80]!r} needs too much memory")


def _pattern(number: int, field: Field, text: str, backtracking: bool) -> Pattern:
    if len(text) > MAX_PATTERN:
        raise PatternError(f"longer than {MAX_PATTERN} characters; use a list with words")
    lines = _by_lines(field)
    try:
        linear = compile_linear(text, lines)
    except PatternError:
        if not backtracking:
            raise
        return _slow(number, field, text)
    return Pattern(number, field.name, text, linear, _loose(text, linear, lines))


def _slow(number: int, field: Field, text: str) -> Pattern:
    """A backtracking pattern, with the linear one that guards it."""
    lines = _by_lines(field)
    try:
        slow = regex.compile(text, regex.MULTILINE)
    except regex.error as error:
        raise PatternError(str(error)) from error
    try:
        relaxed = relax(text)
        linear = compile_linear(relaxed, lines)
    except ValueError as error:
        raise PatternError(f"no linear form of it can be made: {error}") from error
    if always_tried(linear, lines):
        raise PatternError("a backtracking pattern must hold some text that every match has")
    return Pattern(number, field.name, text, linear, _loose(relaxed, linear, lines), slow)


def _loose(text: str, linear: Linear, lines: bool) -> tuple[Linear, ...]:
    try:
        return tuple(compile_linear(part, lines) for part in loosen(text))
    except PatternError:
        return (linear,)


def glob_form(glob: str) -> str:
    """The pattern of a glob: `*` any text, `?` one character; the whole value, letter case not counting."""
    wild = {"*": ".*", "?": "."}
    return f"(?is)^{''.join(wild.get(mark) or escape(mark) for mark in glob)}$"


def whole_glob(glob: str) -> Linear:
    """A glob by itself, outside the filters."""
    return compile_linear(glob_form(glob), True)


def excerpt(value: str, start: int = 0, end: int | None = None) -> str:
    """A piece of a value on one line, short enough for a finding."""
    piece = _SPACE.sub(" ", value[start:end][: EVIDENCE * 2]).strip()
    return piece if len(piece) <= EVIDENCE else piece[: EVIDENCE - 1] + "…"
