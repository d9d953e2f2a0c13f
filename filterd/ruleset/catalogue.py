"""The catalogue: every field that a rule can ask about, with its sentence and an example.

Here and in the two modules that it joins, rules touch the words of the house. All is read through the
View, lazily.
"""

from __future__ import annotations

from filterd.ruleset.fields import Family, Kind, catalogue
from filterd.ruleset.things import ELEMENTS
from filterd.ruleset.view import View
from filterd.ruleset.whole import FIELDS


def _header(view: View, name: str) -> tuple[str, ...]:
    return tuple(header.text for header in view.message.headers.all(name))


def _raw_header(view: View, name: str) -> tuple[str, ...]:
    return tuple(header.raw_text for header in view.message.headers.all(name))


def _has_header(view: View, name: str) -> bool:
    return view.message.headers.first(name) is not None


FAMILIES: tuple[Family, ...] = (
    Family(
        "header",
        Kind.STRING,
        "The header fields of that name, unfolded and decoded.",
        "list-id",
        "{contains: announce}",
        _header,
        _has_header,
    ),
    Family(
        "raw",
        Kind.STRING,
        "The header fields of that name, unfolded but not decoded.",
        "subject",
        "{regex: '=\\?'}",
        _raw_header,
        _has_header,
    ),
    Family(
        "program",
        Kind.STRING,
        "What the plug-in probe of that name answered, as JSON text.",
        "my-scanner",
        "{contains: '\"infected\"'}",
        lambda view, name: view.facts.programs.get(name),
    ),
)

CATALOGUE = catalogue(FIELDS, ELEMENTS, FAMILIES)
