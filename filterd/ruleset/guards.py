"""Guards: what must be seen in a mail for a condition to hold, so that most rules are not even asked.

A clue is the number of a pattern's form, seen when it may match somewhere; or a sign, a name for something that is
cheap to see, such as that there are links or that SPF said fail; or the name of something found. A guard is a set of
clues of which one at least must be seen. A condition has any number of guards and holds only where each of them lets
it; with none it must always be asked, and with an empty one it never holds. Some clues are sure: where one is seen the
condition does hold, and so its opposite need not be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filterd.ruleset.view import View

Clue = int | str
Guard = frozenset[Clue]
Guards = tuple[Guard, ...]
Sure = frozenset[Clue]

ALWAYS: Guards = ()
NEVER: Guards = (frozenset(),)
UNSURE: Sure = frozenset()


class Signs:
    """The signs that rules ask for."""

    def __init__(self) -> None:
        self._sees: dict[str, Callable[[View], bool]] = {}

    def guard(self, name: str, sees: Callable[[View], bool]) -> Guards:
        """The guards of what holds only where that is seen; the same name is the same sign."""
        self._sees.setdefault(name, sees)
        return (frozenset({name}),)

    def unless(self, sure: Sure, else_where: str = "", lets: Callable[[View], bool] = lambda view: False) -> Guards:
        """The guards of the opposite of what holds where one of `sure` is seen; it is also asked where `lets` says."""
        if not sure:
            return ALWAYS
        name = f"none of {sorted(map(str, sure))}{else_where}"
        return self.guard(name, lambda view: sure.isdisjoint(view.seen) or lets(view))

    def among(self, guards: Iterable[Guards]) -> tuple[tuple[str, Callable[[View], bool]], ...]:
        """Those that stand in these guards."""
        named = {clue for some in guards for guard in some for clue in guard}
        return tuple((name, sees) for name, sees in self._sees.items() if name in named)


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


def of_forms(guards: Guards) -> tuple[frozenset[int], ...]:
    """The guards that hold nothing but forms of patterns, the narrowest first."""
    numbers = (frozenset(clue for clue in guard if isinstance(clue, int)) for guard in guards)
    return tuple(found for found, guard in zip(numbers, guards, strict=True) if len(found) == len(guard))


def presence(name: str) -> str:
    """The name of the sign that the mail has such a thing, which most mail does."""
    return f"any {name}"


def _width(guard: Guard) -> tuple[int, int, int, list[str]]:
    """Few forms of patterns let less mail through than many, those less than signs, and those less than presence."""
    signs = sorted(clue for clue in guard if isinstance(clue, str))
    return sum(name.startswith(presence("")) for name in signs), len(signs), len(guard), signs
