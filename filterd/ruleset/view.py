"""View: one mail as rules see it: every field is read at most once, cut to a bound, and made searchable.

In: the mail, the facts, the authentication, what was found so far, the learnt probability. It keeps the
findings of rules as they come, for the rules about rules. Values are cleaned once here: a value of a
one-line field holds no line end, no value is longer than MAX_TEXT, no field has more than MAX_VALUES.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from filterd.ruleset.fields import Element, Field, Kind

if TYPE_CHECKING:
    from filterd.authentication import Authentication
    from filterd.facts import Facts
    from filterd.findings import Finding
    from filterd.mail import Mail
    from filterd.ruleset.guards import Clue
    from filterd.ruleset.patterns import Pattern

MAX_TEXT = 256_000  # characters of one value
MAX_ALL = 512_000  # characters of all values of a field
MAX_VALUES = 2_000
MAX_TIMEOUTS = 3  # after so many, backtracking patterns are left out for the rest of the mail


class View:
    """What the rules ask."""

    def __init__(
        self,
        mail: Mail,
        facts: Facts,
        auth: Authentication,
        found: dict[str, Finding],
        probability: float | None = None,
    ) -> None:
        self.mail = mail
        self.message = mail.message
        self.envelope = mail.envelope
        self.facts = facts
        self.auth = auth
        self.found = found
        self.probability = probability
        self.seen: set[Clue] = set(found)  # what guards may ask for: findings, signs, forms of patterns
        self.timeouts: list[Pattern] = []
        self.failures: dict[str, str] = {}  # fields that could not be read, and why
        self._values: dict[str, tuple[Any, ...]] = {}
        self._columns: dict[str, tuple[tuple[Any, ...], ...]] = {}
        self._elements: dict[str, Sequence[Any]] = {}

    def lets(self, guards: Sequence[frozenset[Any]]) -> bool:
        """Whether of each guard some clue was seen."""
        seen = self.seen
        for guard in guards:  # noqa: SIM110  asked a hundred times a mail: a generator would take half as long again
            if guard.isdisjoint(seen):
                return False
        return True

    def elements(self, element: Element) -> Sequence[Any]:
        """The links, the attachments, ... each looked up once."""
        things = self._elements.get(element.name)
        if things is None:
            try:
                things = tuple(element.things(self))[:MAX_VALUES]
            except Exception as error:  # noqa: BLE001
                things = ()
                self._fail(element.name, error)
            self._elements[element.name] = things
        return things

    def values(self, field: Field) -> tuple[Any, ...]:
        """The values of a field in the mail, cleaned."""
        values = self._values.get(field.name)
        if values is None:
            if field.element is None:
                values = self._read(field, self)
            else:
                values = _bounded(field, tuple(chain.from_iterable(self.column(field))))
            self._values[field.name] = values
        return values

    def column(self, field: Field) -> tuple[tuple[Any, ...], ...]:
        """The values of an element's field, cleaned, for each of the elements in their order."""
        column = self._columns.get(field.name)
        if column is None:
            things = self.elements(field.element) if field.element is not None else ()
            column = self._columns[field.name] = tuple(self._read(field, thing) for thing in things)
        return column

    def _read(self, field: Field, thing: Any) -> tuple[Any, ...]:
        try:
            value = field.read(thing)
            if isinstance(value, str) and _is_line(value):
                return (value,)
            return () if value is None else clean(field, field.several(value))
        except Exception as error:  # noqa: BLE001
            self._fail(field.name, error)
            return ()

    def _fail(self, name: str, error: Exception) -> None:
        """What cannot be read is empty, and the record says so."""
        self.failures[name] = f"{type(error).__name__}: {error}"

    def searchable(self, field: Field) -> str | None:
        """All values as one text, a line each; None when there are none."""
        if field.there is not None and not field.there(self):
            return None
        values = self.values(field)
        if len(values) == 1 and isinstance(values[0], str):
            return values[0]
        return "\n".join(map(str, values)) if values else None

    @property
    def out_of_time(self) -> bool:
        return len(self.timeouts) >= MAX_TIMEOUTS

    def ran_out(self, pattern: Pattern) -> None:
        """A backtracking pattern used up its time on this mail."""
        self.timeouts.append(pattern)


def _is_line(value: str) -> bool:
    """Whether it needs no cleaning, whatever its field."""
    return "\n" not in value and "\r" not in value and len(value) <= MAX_TEXT


def _bounded(field: Field, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The clean values of many things together, within the bounds of one field."""
    few = len(values) <= MAX_VALUES and (not field.textual or sum(map(len, values)) <= MAX_ALL)
    return values if few else clean(field, values)


def clean(field: Field, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values as operators may rely on them."""
    if not values or not field.textual:
        return values[:MAX_VALUES]
    if field.kind is Kind.TEXT:
        return tuple(value[:MAX_TEXT].replace("\r\n", "\n") for value in values[:1])
    room, kept = MAX_ALL, []
    for value in values[:MAX_VALUES]:
        text = value[: min(MAX_TEXT, room)]
        kept.append(text.replace("\r\n", " ").replace("\n", " ").replace("\r", " "))
        room -= len(text)
        if room <= 0:
            break
    return tuple(kept)
