"""Field: something of a mail that a rule can ask about; its kind says which operators fit.

A field has any number of values: `subject` one or none, `link.host` one per link. A condition on a field
holds when some value passes. Fields of one thing that a mail has several of (a link, an attachment, an
address) belong to an `Element`, so that a rule can ask about the same one twice. `header.NAME` and the like
are families: one declaration, any name. All fields stand in `catalogue`.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filterd.ruleset.view import View


class Kind(enum.StrEnum):
    """What the values of a field are."""

    TEXT = "text"  # one value of several lines; a pattern may cross them
    STRING = "string"  # one line
    DOMAIN = "domain"  # a host or domain name, lower case, A-labels
    ADDRESS = "address"  # a mail address
    IP = "ip"  # a network address
    NUMBER = "number"
    SIZE = "size"  # bytes; compared with 10kB, 1MB
    DURATION = "duration"  # seconds; compared with 2h, 30d
    FLAG = "flag"  # true or false

    @property
    def textual(self) -> bool:
        return self in (Kind.TEXT, Kind.STRING, Kind.DOMAIN, Kind.ADDRESS, Kind.IP)

    @property
    def numeric(self) -> bool:
        return self in (Kind.NUMBER, Kind.SIZE, Kind.DURATION)


_TAIL = re.compile(r"[!-9;-~]+", re.ASCII)  # what a header field may be called (RFC 5322 section 2.2)
Read = Callable[[Any], Any]  # from a View, or an element of it, to a value, a sequence of values, or None


@dataclass(frozen=True, slots=True)
class Field:
    """`read` takes the View, or the thing itself when `element` says which list of things it belongs to."""

    name: str
    kind: Kind
    about: str
    example: str  # the right-hand side of a condition, as YAML
    read: Read
    element: Element | None = None
    choices: tuple[str, ...] = ()  # the only words that it can be
    many: bool = False  # one mail may have several values of it
    least: float = -math.inf  # no number of it is below
    most: float = math.inf  # nor above
    there: Callable[[View], bool] | None = None  # whether it may have a value, where that is cheap to say
    textual: bool = dataclass_field(init=False, default=False)  # its values are text; asked for every value

    def __post_init__(self) -> None:
        object.__setattr__(self, "textual", self.kind.textual)
        if self.kind in (Kind.NUMBER, Kind.SIZE) and self.least < 0:
            object.__setattr__(self, "least", 0.0)

    @staticmethod
    def several(value: Any) -> tuple[Any, ...]:
        """What was read, as values."""
        return tuple(value) if isinstance(value, tuple | list) else (value,)


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """Something that a mail has any number of."""

    name: str
    about: str
    things: Callable[[View], Sequence[Any]]
    fields: dict[str, Field]  # by the name after the dot


@dataclass(frozen=True, slots=True)
class Family:
    """Fields by the name after the dot, which the rule's writer chooses."""

    prefix: str
    kind: Kind
    about: str
    example_name: str
    example: str
    read: Callable[[View, str], Any]
    there: Callable[[View, str], bool] | None = None

    def field(self, name: str) -> Field:
        read, there = self.read, self.there
        return Field(
            f"{self.prefix}.{name}",
            self.kind,
            self.about,
            self.example,
            lambda view: read(view, name),
            there=there and (lambda view: there(view, name)),
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that can be asked."""

    fields: dict[str, Field]
    elements: dict[str, Element]
    families: dict[str, Family]

    def find(self, name: str) -> Field | None:
        """The field of that name (`subject`, `link.host`, `header.list-id`), or None."""
        if (field := self.fields.get(name)) is not None:
            return field
        head, _, tail = name.partition(".")
        family = self.families.get(head)
        return family.field(tail.lower()) if family and _TAIL.fullmatch(tail) else None

    @property
    def names(self) -> tuple[str, ...]:
        families = (f"{family.prefix}.{family.example_name}" for family in self.families.values())
        return (*self.fields, *families)


def catalogue(fields: Iterable[Field], elements: Iterable[Element], families: Iterable[Family]) -> Catalogue:
    known = {field.name: field for field in fields}
    by_name = {element.name: element for element in elements}
    for element in by_name.values():
        known.update((field.name, field) for field in element.fields.values())
    return Catalogue(known, by_name, {family.prefix: family for family in families})


def element(name: str, about: str, things: Callable[[View], Sequence[Any]], *fields: Field) -> Element:
    """An element and its fields, which are declared with the name after the dot."""
    made = Element(name, about, things, {})
    for one in fields:
        made.fields[one.name] = replace(one, name=f"{name}.{one.name}", element=made)
    return made
