"""Operators: what can be asked of one value of a field.

Each operator is built once, when rules are loaded, from its place in the YAML, into a `Matcher`: a plain
function from a value to the evidence that it passes, or None. Its guards name what must be seen in the mail for any
value to pass, so that it is not even asked about most mail; where a clue that is sure is seen, some value passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from filterd.ruleset.comparing import COMPARISONS, NO_NUMBER, bounds, number, passing, text_of
from filterd.ruleset.fields import Catalogue, Field, Kind
from filterd.ruleset.guards import ALWAYS, UNSURE, Guard, Guards, Signs, Sure, every
from filterd.ruleset.linear import PatternError, escape
from filterd.ruleset.lists import WordList, membership, unusable
from filterd.ruleset.patterns import Pattern, Patterns, excerpt, glob_form
from filterd.ruleset.place import Place, shown, unknown
from filterd.ruleset.view import View


@dataclass(frozen=True, slots=True)
class Matcher:
    """`passes` gives the evidence that a value passes, or None; `count` how often, when not just once."""

    passes: Callable[[Any, View], str | None]
    guards: Guards = ALWAYS
    count: Callable[[Any, View], int] | None = None
    sure: Sure = UNSURE


@dataclass(slots=True)
class Context:
    """What a rule is built with, and what is learnt about it on the way."""

    patterns: Patterns
    signs: Signs
    lists: dict[str, WordList]
    catalogue: Catalogue
    backtracking: bool = False
    used_lists: dict[str, set[Kind]] = field(default_factory=dict)
    asks: list[tuple[str, Place]] = field(default_factory=list)  # names of other findings
    fields: list[str] = field(default_factory=list)  # names of the fields that are asked about


@dataclass(frozen=True, slots=True)
class Operator:
    """Its name in the YAML, the kinds of field that it fits, what it says, an example, how it is built."""

    name: str
    kinds: frozenset[Kind]
    about: str
    example: str
    build: Callable[[Place, Field, Context], Matcher | None]


_WORDS = frozenset({Kind.TEXT, Kind.STRING, Kind.DOMAIN, Kind.ADDRESS})
_TEXTUAL = frozenset(kind for kind in Kind if kind.textual)
_NAMES = _TEXTUAL - {Kind.TEXT}
_NUMERIC = frozenset(kind for kind in Kind if kind.numeric)
_ANY_TEXTS = ("", "a", "0", " -", "q7 Z-_.\u00e9\u2603, " * 200)  # what matches all of these matches whatever comes


def _equals(place: Place, of: Field, context: Context) -> Matcher | None:
    if of.kind is Kind.FLAG:
        if not isinstance(place.data, bool):
            place.refuse(f"{of.name} is true or false, not {shown(place.data)}")
        wanted_flag = place.data
        return Matcher(lambda value, view: "" if value is wanted_flag else None)
    if of.kind.numeric:
        numbers = {one for each in place.each() if (one := number(each, of.kind)) is not None}
        if not any(of.least <= one <= of.most for one in numbers):
            place.refuse(NO_NUMBER)
        return Matcher(lambda value, view: text_of(value) if value in numbers else None)
    wanted = frozenset(text.casefold() for text in place.texts("what a field equals"))
    for text in wanted:
        if of.choices and text not in of.choices:
            place.refuse(unknown("word", text, of.choices) + f" ({of.name} is {', '.join(of.choices)})")
    return Matcher(
        lambda value, view: excerpt(value) if value.casefold() in wanted else None, _says(of, wanted, context)
    )


def _in(place: Place, of: Field, context: Context) -> Matcher | None:
    if isinstance(place.data, str):
        words = context.lists.get(place.data)
        if words is None:
            place.refuse(unknown("list", place.data, context.lists))
            return None
        context.used_lists.setdefault(words.name, set()).add(of.kind)
        place.problems.extend(unusable(words, of.kind))
        entries: Sequence[str] = words.texts
    else:
        entries = place.texts("an entry")
    try:
        holds = membership(of.kind, entries)
    except ValueError as error:
        if not isinstance(place.data, str):
            place.refuse(str(error))
        return None
    name = f"{of.name} in {place.data if isinstance(place.data, str) else sorted(entries)}"
    return Matcher(
        lambda value, view: excerpt(value) if holds(value) else None,
        context.signs.guard(name, lambda view: any(map(holds, view.values(of)))),
    )


def _says(of: Field, wanted: frozenset[str], context: Context) -> Guards:
    """Of a field with few words: that it says one of these."""
    if not of.choices:
        return ALWAYS
    name = f"{of.name} = {' or '.join(sorted(wanted))}"
    return context.signs.guard(name, lambda view: any(value.casefold() in wanted for value in view.values(of)))


def _pattern_of(place: Place, of: Field, context: Context, text: str, what: str) -> Pattern | None:
    try:
        return context.patterns.add(of, text, context.backtracking)
    except PatternError as error:
        place.refuse(f"the {what} cannot be used: {error}")
        return None


def _matching(patterns: Iterable[Pattern | None]) -> Matcher | None:
    """Any of the patterns."""
    usable = tuple(pattern for pattern in patterns if pattern is not None)
    if not usable:
        return None

    def passes(value: str, view: View) -> str | None:
        return next((said for pattern in usable if (said := pattern.search(value, view)) is not None), None)

    def count(value: str, view: View) -> int:
        return sum(pattern.count(value, view) for pattern in usable)

    guard: Guard = frozenset().union(*(pattern.guard for pattern in usable))
    return Matcher(passes, (guard,), count, frozenset().union(*(pattern.sure for pattern in usable)))


def _regex(place: Place, of: Field, context: Context) -> Matcher | None:
    def made() -> Iterator[Pattern | None]:
        for one in place.each():
            for text in one.texts("a pattern"):
                pattern = _pattern_of(one, of, context, text, "pattern")
                if pattern is not None and all(pattern.whole.search(any_text) is not None for any_text in _ANY_TEXTS):
                    one.refuse("the pattern matches every text")
                yield pattern

    if place.data == []:
        place.refuse("an empty list: nothing is in it")
    return _matching(list(made()))


def _glob(place: Place, of: Field, context: Context) -> Matcher | None:
    texts = place.texts("a glob")
    for text in texts:
        if not text.strip("*"):
            place.refuse("the glob * always matches; use exists: true")
    return _matching([_pattern_of(place, of, context, glob_form(text), "glob") for text in texts])


def _contains(place: Place, of: Field, context: Context) -> Matcher | None:
    texts = place.texts("what a field contains")
    for text in texts:
        if of.kind is not Kind.TEXT and "\n" in text:
            place.refuse(f"{of.name} is one line, and holds no line end")
        if of.name == "content" and re.search(r"\s{2}|[^\S ]", text):
            place.refuse("content has one space where a mail has white space: write one")
    return _matching([_pattern_of(place, of, context, f"(?i){escape(text)}", "text") for text in texts])


def _words(place: Place, of: Field, context: Context) -> Matcher | None:
    """Entries as whole words: a border stands where the entry begins or ends with a letter or digit."""
    if isinstance(place.data, str):
        words = context.lists.get(place.data)
        if words is None:
            place.refuse(unknown("list", place.data, context.lists))
            return None
        context.used_lists.setdefault(words.name, set()).add(Kind.STRING)
        texts: Sequence[str] = words.texts
    else:
        texts = place.texts("a word")
    return _matching([_pattern_of(place, of, context, _whole(text), "word") for text in texts])


def _whole(text: str) -> str:
    before = r"\b" if text[0].isascii() and text[0].isalnum() else ""
    after = r"\b" if text[-1].isascii() and text[-1].isalnum() else ""
    inner = r"\s+".join(escape(piece) for piece in text.split())
    return f"(?i){before}{inner}{after}"


def _near(place: Place, of: Field, context: Context) -> Matcher | None:
    entries = place.mapping("near", ("patterns", "within"))
    if set(entries) != {"patterns", "within"}:
        place.refuse("near has patterns, a list of two or more, and within, a number of characters")
        return None
    within = number(entries["within"], Kind.NUMBER) or 0
    texts = entries["patterns"].texts("a pattern")
    if len(texts) < 2 or not 0 < within <= 10_000:
        place.refuse("near wants two or more patterns, within 1 to 10000 characters")
        return None
    made = [_pattern_of(entries["patterns"], of, context, text, "pattern") for text in texts]
    patterns = [pattern for pattern in made if pattern is not None]
    if len(patterns) < len(texts):
        return None

    def passes(value: str, view: View) -> str | None:
        spans = [list(pattern.spans(value, view)) for pattern in patterns]
        if (window := closest(spans)) is None or window[1] - window[0] > within:
            return None
        return excerpt(value, *window)

    return Matcher(passes, every([(pattern.guard,) for pattern in patterns]))


def closest(spans: Sequence[Sequence[tuple[int, int]]]) -> tuple[int, int] | None:
    """The narrowest stretch that holds one span of each; the spans of each are in order. One pass."""
    at = [0] * len(spans)
    best: tuple[int, int] | None = None
    while all(index < len(ones) for index, ones in zip(at, spans, strict=True)):
        chosen = [ones[index] for index, ones in zip(at, spans, strict=True)]
        start, end = min(span[0] for span in chosen), max(span[1] for span in chosen)
        if best is None or end - start < best[1] - best[0]:
            best = (start, end)
        at[chosen.index(min(chosen))] += 1
    return best


def _other(place: Place, of: Field, context: Context) -> Field | None:
    """The field that another one is compared with."""
    name = place.data if isinstance(place.data, str) else ""
    other = context.catalogue.find(name)
    if other is None or not other.kind.textual:
        place.refuse(unknown("field", name or shown(place.data), context.catalogue.names))
        return None
    if other.name == of.name:
        place.refuse(f"{of.name} is compared with itself")
    context.fields.append(other.name)
    return other


def _same_as(place: Place, of: Field, context: Context) -> Matcher | None:
    if (other := _other(place, of, context)) is None:
        return None

    def passes(value: str, view: View) -> str | None:
        folded = value.casefold()
        return excerpt(value) if any(folded == one.casefold() for one in view.values(other)) else None

    def seen(view: View) -> bool:
        return any(passes(value, view) is not None for value in view.values(of))

    return Matcher(passes, context.signs.guard(f"{of.name} is {other.name}", seen))


def _holds(place: Place, of: Field, context: Context) -> Matcher | None:
    if (other := _other(place, of, context)) is None:
        return None

    def passes(value: str, view: View) -> str | None:
        folded = value.casefold()
        return next((excerpt(one) for one in view.values(other) if len(one) > 3 and one.casefold() in folded), None)

    def seen(view: View) -> bool:
        folded = (view.searchable(of) or "").casefold()
        return any(len(one) > 3 and one.casefold() in folded for one in view.values(other))

    return Matcher(passes, context.signs.guard(f"{of.name} holds {other.name}", seen))


def _length(place: Place, of: Field, context: Context) -> Matcher | None:
    fits = bounds(place, Kind.NUMBER)
    if fits is None:
        return None
    return Matcher(lambda value, view: excerpt(value) if fits(len(value)) else None)


def _compare(name: str) -> Callable[[Place, Field, Context], Matcher | None]:
    compare = COMPARISONS[name]

    def build(place: Place, of: Field, context: Context) -> Matcher | None:
        limit = number(place, of.kind)
        if limit is not None and not any(passing([(compare, limit)], of.least, of.most)):
            place.refuse(NO_NUMBER)
        return Matcher(lambda value, view: text_of(value) if compare(value, limit) else None)

    return build


OPERATORS: dict[str, Operator] = {
    one.name: one
    for one in (
        Operator(
            "equals",
            frozenset(Kind) - {Kind.TEXT},
            "Is exactly this, or one of these; letter case does not count.",
            "subject: {equals: hello}",
            _equals,
        ),
        Operator(
            "in",
            _NAMES,
            "Is on the list of that name, or one of those written here. A domain counts with all below it, "
            "`@domain` is every address there, an IP address may be in a network.",
            "from.domain: {in: freemail}",
            _in,
        ),
        Operator(
            "glob",
            _NAMES,
            "`*` is any text, `?` any character; the whole value.",
            "attachment.name: {glob: '*.js'}",
            _glob,
        ),
        Operator(
            "regex",
            _TEXTUAL,
            "A pattern (RE2 syntax) matches somewhere; `^` and `$` are line ends, `(?i)` ignores case. "
            "Of several patterns, any.",
            "subject: {regex: '(?i)^re:'}",
            _regex,
        ),
        Operator(
            "contains",
            _TEXTUAL,
            "Holds this text, or one of these, letter case not counting.",
            "content: {contains: wire transfer}",
            _contains,
        ),
        Operator(
            "words",
            _WORDS,
            "Holds an entry of the list of that name, or one of those written here, as whole words.",
            "from.name: {words: brands}",
            _words,
        ),
        Operator(
            "near",
            _TEXTUAL,
            "All of the patterns match within so many characters, in any order.",
            "content: {near: {patterns: ['(?i)gift', '(?i)card'], within: 40}}",
            _near,
        ),
        Operator(
            "same_as",
            _NAMES,
            "Equals a value of another field.",
            "reply_to.domain: {same_as: from.domain}",
            _same_as,
        ),
        Operator(
            "holds",
            _TEXTUAL,
            "Holds a value (of four characters or more) of another field.",
            "subject: {holds: to.address}",
            _holds,
        ),
        Operator(
            "length",
            _TEXTUAL,
            "Its number of characters compares so.",
            "subject: {length: {above: 200}}",
            _length,
        ),
        Operator("above", _NUMERIC, "Is greater.", "link.count: {above: 20}", _compare("above")),
        Operator("below", _NUMERIC, "Is less.", "size: {below: 2kB}", _compare("below")),
        Operator("at_least", _NUMERIC, "Is this or greater.", "date.ahead: {at_least: 2h}", _compare("at_least")),
        Operator("at_most", _NUMERIC, "Is this or less.", "received.count: {at_most: 1}", _compare("at_most")),
    )
}
