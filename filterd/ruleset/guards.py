"""Guards: what must be seen in a mail for a condition to hold, so that most rules are not even asked.

A clue is the number of a pattern's form, seen when it may match somewhere, or a sign: something that is cheap to see,
such as that there are links, that SPF said fail, that a check found something. A guard is a set of clues of which one
at least must be seen. A condition has any number of guards and holds only where each of them lets it; with none it must
always be asked, and with an empty one it never holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filterd.ruleset.view import View


@dataclass(frozen=True, slots=True)
class Sign:
    """Something cheap to see, asked at most once of a mail; signs of one name are the same."""

    name: str
    sees: Callable[[View], bool] = field(compare=False, repr=False)
    common: bool = field(default=False, compare=False)  # to be seen in most mail


Clue = int | Sign
Guard = frozenset[Clue]
Guards = tuple[Guard, ...]

ALWAYS: Guards = ()
NEVER: Guards = (frozenset(),)


def sign(name: str, sees: Callable[[View], bool], common: bool = False) -> Guards:
    """The guards of what holds only where that is seen."""
    return (frozenset({Sign(name, sees, common)}),)


def every(conditions: Iterable[Guards]) -> Guards:
    """The guards of "all of these", those that let the least mail through first."""
    return tuple(sorted({guard for guards in conditions for guard in guards}, key=_width))


def either(conditions: Iterable[Guards]) -> Guards:
    """The guards of "one of these": none when one of them has none."""
    clues: set[Clue] = set()
    for guards in conditions:
        if not guards:
            return ALWAYS
        clues.update(sorted(guards, key=_width)[0])
    return (frozenset(clues),)


def numbers(guard: Guard) -> frozenset[int] | None:
    """The forms in it, when it holds nothing else."""
    found = frozenset(clue for clue in guard if isinstance(clue, int))
    return found if len(found) == len(guard) else None


def _width(guard: Guard) -> tuple[int, int, int, list[str]]:
    """Few forms of patterns let less mail through than many, those less than signs, and those less than common ones."""
    signs = [clue for clue in guard if isinstance(clue, Sign)]
    return sum(one.common for one in signs), len(signs), len(guard), sorted(one.name for one in signs)
