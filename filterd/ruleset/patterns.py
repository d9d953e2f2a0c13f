"""Patterns: every regular expression of every rule, tried at once over each field, in linear time.

In go patterns with the field that each is about; out come the numbers of those of their forms that match somewhere in a
mail. A field with several values is searched as one text of a line each; no match spans two of them.

A pattern that RE2 cannot take (look-around, back-references) is refused, unless its rule is marked
`backtracking`: then `regex` runs it, with a time limit, where a relaxed linear form of it matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import regex

from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.guards import Guard, Sure
from filterd.ruleset.linear import Linear, PatternError, compile_linear, escape
from filterd.ruleset.literals import LEAST, literals
from filterd.ruleset.relax import alternatives, loosen, relax
from filterd.ruleset.sieve import Sieve

if TYPE_CHECKING:
    from filterd.ruleset.view import View

MAX_PATTERN = 4000  # characters
MAX_MATCHES = 1000  # counted in one value
TIME_LIMIT = 0.002  # seconds that a backtracking pattern may take on one value
EVIDENCE = 80  # characters of a match that a finding shows
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One of the alternatives of a pattern, under a number. `loose` matches wherever `exact` does, and is cheaper."""

    number: int
    exact: Linear
    loose: Linear


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One pattern over one field."""

    field: str
    text: str
    whole: Linear
    forms: tuple[Form, ...]
    slow: regex.Pattern[str] | None = None

    @property
    def guard(self) -> Guard:
        return frozenset(form.number for form in self.forms)

    @property
    def sure(self) -> Sure:
        """The forms that, once seen, do match."""
        exact = (form for form in self.forms if self.slow is None and form.loose.pattern == form.exact.pattern)
        return frozenset(form.number for form in exact)

    def spans(self, value: str, view: View) -> Iterator[tuple[int, int]]:
        """Where it matches, at most MAX_MATCHES times. Out of time is no match; the view is told."""
        forms = self._seen(view)
        if not forms:
            return
        linear = forms[0].exact if len(forms) == 1 else self.whole
        if self.slow is None:
            for match in islice(linear.finditer(value), MAX_MATCHES):
                yield match.span()
        elif not view.out_of_time and linear.search(value):
            try:
                for found in islice(self.slow.finditer(value, timeout=TIME_LIMIT), MAX_MATCHES):
                    yield found.span()
            except TimeoutError:
                view.ran_out(self)

    def search(self, value: str, view: View) -> str | None:
        """A match as evidence, or None; the alternatives that are least work are tried first."""
        if self.slow is not None:
            return next((excerpt(value, *span) for span in self.spans(value, view)), None)
        matches = (form.exact.search(value) for form in self._seen(view))
        return next((excerpt(value, *match.span()) for match in matches if match), None)

    def count(self, value: str, view: View) -> int:
        return sum(1 for _ in self.spans(value, view))

    def _seen(self, view: View) -> list[Form]:
        return [form for form in self.forms if form.number in view.seen]


class Patterns:
    """All patterns of a set of rules: first `add`, then `ready`, then `hits`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Pattern] = {}
        self._fields: dict[str, Field] = {}
        self._sieves: list[tuple[Field, Sieve, list[int]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self._known.values())

    def add(self, field: Field, text: str, backtracking: bool = False) -> Pattern:
        """The pattern `text` over `field`; raises PatternError. The same again is the same pattern."""
        known = self._known.get((field.name, text))
        if known is not None and (known.slow is None or backtracking):
            return known
        pattern = _pattern(self._count, field, text, backtracking)
        self._count += len(pattern.forms)
        self._known[field.name, text] = pattern
        self._fields[field.name] = field
        return pattern

    @property
    def slow(self) -> tuple[str, ...]:
        """The backtracking ones, as they were written."""
        return tuple(pattern.text for pattern in self if pattern.slow is not None)

    def ready(self) -> None:
        """Build the sieves. No pattern can be added after this."""
        for name, field in self._fields.items():
            forms = [form for pattern in self if pattern.field == name for form in pattern.forms]
            self._sieves.append(
                (field, Sieve([form.loose for form in forms], _by_lines(field)), [form.number for form in forms])
            )

    def hits(self, view: View) -> frozenset[int]:
        """The numbers of all forms that may match somewhere in the mail; no other does."""
        found: list[int] = []
        for field, sieve, numbers in self._sieves:
            if (text := view.searchable(field)) is not None:
                found += [numbers[place] for place in sieve.matches(text)]
        return frozenset(found)


def _by_lines(field: Field) -> bool:
    return field.kind is not Kind.TEXT


def _pattern(number: int, field: Field, text: str, backtracking: bool) -> Pattern:
    if len(text) > MAX_PATTERN:
        raise PatternError(f"longer than {MAX_PATTERN} characters; use a list with words")
    lines = _by_lines(field)
    try:
        whole = compile_linear(text, lines)
    except PatternError:
        if not backtracking:
            raise
        return _slow(number, field, text)
    return Pattern(field.name, text, whole, _forms(number, text, whole, lines))


def _slow(number: int, field: Field, text: str) -> Pattern:
    """A backtracking pattern, with the linear one that guards it."""
    lines = _by_lines(field)
    try:
        slow = regex.compile(text, regex.MULTILINE)
    except regex.error as error:
        raise PatternError(str(error)) from error
    try:
        relaxed = relax(text)
        whole = compile_linear(relaxed, lines)
    except ValueError as error:
        raise PatternError(f"no linear form of it can be made: {error}") from error
    if not literals(relaxed).needs:
        raise PatternError(f"a backtracking pattern must hold some text of {LEAST} letters that every match has")
    return Pattern(field.name, text, whole, _forms(number, relaxed, whole, lines), slow)


def _forms(number: int, text: str, whole: Linear, lines: bool) -> tuple[Form, ...]:
    """The alternatives one by one, each tried for its own literals; the whole where they cannot be parted."""
    try:
        both = [(compile_linear(part, lines), compile_linear(loosen(part), lines)) for part in alternatives(text)]
    except PatternError:
        return (Form(number, whole, whole),)
    both.sort(key=lambda one: one[0].programsize)
    return tuple(Form(place, *one) for place, one in enumerate(both, number))


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
