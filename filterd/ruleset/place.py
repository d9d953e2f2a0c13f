"""Place: a value in a rules file, and where it stands, so that whatever is wrong is said with file:line.

A place is made from a `Document`; `place["score"]` and `place.items()` lead to the places inside it.
`refuse` notes a problem and reading goes on, so that one run of lint reports everything. Nothing here
raises on what a file says.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from filterd.yamlfile import Document, DocumentError, Key, Problem


class RuleErrors(DocumentError):
    """A set of rules that cannot be used: every problem in it, each with file:line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value, the file and line it stands on, and where problems are noted."""

    document: Document
    key: Key
    data: Any
    problems: list[Problem]

    @property
    def file(self) -> str:
        return self.document.file

    @property
    def line(self) -> int:
        return self.document.line(self.key)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def __getitem__(self, step: str | int) -> Place:
        return Place(self.document, (*self.key, step), self.data[step], self.problems)

    def __contains__(self, step: str) -> bool:
        return isinstance(self.data, dict) and step in self.data

    def items(self) -> Iterator[tuple[str, Place]]:
        """The entries of a mapping."""
        for name in self.data:
            yield name, self[name]

    def each(self) -> Iterator[Place]:
        """The items of a list; a value that is not a list is its only item."""
        if isinstance(self.data, list):
            for index in range(len(self.data)):
                yield self[index]
        else:
            yield self

    def refuse(self, text: str) -> None:
        self.problems.append(Problem(self.file, self.line, text))

    def texts(self, what: str) -> tuple[str, ...]:
        """One string or a list of strings; anything else is refused and left out, and so is an empty list."""
        found = []
        if self.data == []:
            self.refuse("an empty list: nothing is in it")
        for one in self.each():
            if isinstance(one.data, str) and one.data:
                found.append(one.data)
            else:
                one.refuse(f"{what} is text, not {shown(one.data)}")
        return tuple(found)

    def mapping(self, what: str, allowed: Iterable[str]) -> dict[str, Place]:
        """The entries of a mapping whose keys are all `allowed`; others are refused with the nearest name."""
        if not isinstance(self.data, dict):
            self.refuse(f"{what} is a mapping of keys, not {shown(self.data)}")
            return {}
        names = tuple(allowed)
        entries = {}
        for name, place in self.items():
            if name in names:
                entries[name] = place
            else:
                place.refuse(unknown("key", name, names))
        return entries


def unknown(what: str, name: str, names: Iterable[str]) -> str:
    """`unknown field subjct; did you mean subject?`"""
    return f"unknown {what} {name}{nearest(name, names)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean subject?`, or nothing where no name is near."""
    folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), sorted(folded), n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]}?" if near else ""


def shown(value: Any) -> str:
    """A wrong value as an error message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return ascii(value)[:80]
