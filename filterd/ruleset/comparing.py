"""Comparing: numbers, sizes and durations of the YAML, and tests of them.

A test that no number of the field can pass, or that every number passes, is refused at its place.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from filterd.ruleset.fields import Kind
from filterd.ruleset.place import Place, shown
from filterd.settings import parse_duration, parse_size

NO_NUMBER = "no number can pass this comparison"

Comparison = tuple[Callable[[Any, Any], bool], float]
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def number(place: Place, kind: Kind) -> float | None:
    """A number, a size or a duration, as the field wants it; refused when it is none."""
    value = place.data
    if kind is Kind.NUMBER or kind.textual:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        place.refuse(f"a number is wanted, not {shown(value)}")
        return None
    try:
        return float(parse_size(value) if kind is Kind.SIZE else parse_duration(value))
    except ValueError as error:
        place.refuse(str(error))
        return None


def bounds(place: Place, kind: Kind, least: float = 0.0, most: float = math.inf) -> Callable[[float], bool] | None:
    """`{at_least: 2, below: 9}` or just a number, as a test; refused when no number there is can pass, or all do."""
    if not isinstance(place.data, dict):
        wanted = number(place, kind)
        if wanted is not None and not least <= wanted <= most:
            place.refuse(NO_NUMBER)
        return None if wanted is None else lambda value: value == wanted
    tests = []
    for name, limit in place.mapping("a comparison", COMPARISONS).items():
        if (wanted := number(limit, kind)) is not None:
            tests.append((COMPARISONS[name], wanted))
    if not tests:
        place.refuse("a comparison has above, below, at_least or at_most")
        return None
    pass_it = list(passing(tests, least, most))
    if not any(pass_it):
        place.refuse(NO_NUMBER)
    elif all(pass_it):
        place.refuse("every number passes this comparison; use exists: true")
    return lambda value: all(compare(value, limit) for compare, limit in tests)


def passing(tests: Sequence[Comparison], least: float, most: float) -> Iterator[bool]:
    """Of numbers on and beside each limit, and of the ends: whether they pass every test."""
    beside = {limit + step for _, limit in tests for step in (-0.005, 0.0, 0.005)}
    for value in {least, most} | {one for one in beside if least <= one <= most}:
        yield all(compare(value, limit) for compare, limit in tests)


def text_of(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
