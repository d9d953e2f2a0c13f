"""Sieve: many patterns over one text, at a cost that hardly grows with their number.

One pass over the text (Aho-Corasick) finds the literals that are there; then only those patterns are tried of whose
every set of literals some is there. The few that have none are tried together. Built once; never raises while matching.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

import ahocorasick_rs

from filterd.ruleset.linear import Linear, Together
from filterd.ruleset.literals import literals

SHORT = 2_000  # bytes: up to that, trying a few patterns together is less work than looking for their literals
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")


class Sieve:
    """`forms` by their places: `matches` says which of them match somewhere in a text."""

    def __init__(self, forms: Sequence[Linear], lines: bool) -> None:
        self._folds = any(_IGNORES_CASE.search(form.pattern) for form in forms)
        needs = [[self._as_sought(texts) for texts in literals(form.pattern)] for form in forms]
        known = {text: number for number, text in enumerate(sorted({*chain(*chain(*needs))}, key=_as_run))}
        self._runs = [(text, number) for text, number in known.items() if _as_run(text)[0]]
        others = list(known)[: len(known) - len(self._runs)]
        self._literals = ahocorasick_rs.BytesAhoCorasick(others) if others else None
        self._others = [[frozenset(known[text] for text in texts) for texts in one[1:]] for one in needs]
        self._holders: list[list[int]] = [[] for _ in known]  # by literal: the forms that it is the rarest of
        for place, one in enumerate(needs):
            for text in one[0] if one else ():
                self._holders[known[text]].append(place)
        self._alone = {place: Together([forms[place]], lines) for place, one in enumerate(needs) if one}
        self._bare = _batches(forms, [place for place, one in enumerate(needs) if not one], lines)
        self._whole = _batches(forms, range(len(forms)), lines) if len(forms) <= Together.MOST else []

    def _as_sought(self, texts: Iterable[str]) -> frozenset[bytes]:
        return frozenset((text.casefold() if self._folds else text).encode() for text in texts)

    def matches(self, text: str) -> list[int]:
        whole = text.encode("utf-8", "replace")
        if self._whole and len(whole) <= SHORT:
            return _matches(self._whole, whole)
        found = _matches(self._bare, whole)
        found += [place for place in self._tried(text, whole) if self._alone[place].matches(whole)]
        return found

    def _tried(self, text: str, whole: bytes) -> Iterable[int]:
        """The forms whose literals are there."""
        if not self._holders:
            return ()
        if not self._folds:
            sought = whole
        else:
            sought = whole.lower() if text.isascii() else text.casefold().encode("utf-8", "replace")
        there = {number for run, number in self._runs if run in sought}
        if self._literals is not None:
            there.update(match[0] for match in self._literals.find_matches_as_indexes(sought, overlapping=True))
        named = {place for literal in there for place in self._holders[literal]}
        return (place for place in named if not any(map(there.isdisjoint, self._others[place])))


def _as_run(text: bytes) -> tuple[bool, bytes]:
    """Whether it is one byte over and over, which a hostile text may hold at every place; and itself, to sort by."""
    return len(set(text)) == 1, text


Batch = tuple[Together, Sequence[int]]


def _batches(forms: Sequence[Linear], places: Sequence[int], lines: bool) -> list[Batch]:
    """The forms at these places, together: the small ones many at a time, each large one by itself."""
    small = [place for place in places if forms[place].programsize <= Together.LARGEST]
    groups = [small[start : start + Together.MOST] for start in range(0, len(small), Together.MOST)]
    groups += [[place] for place in places if forms[place].programsize > Together.LARGEST]
    return [(Together([forms[place] for place in group], lines), group) for group in groups]


def _matches(batches: Sequence[Batch], text: bytes) -> list[int]:
    return [places[index] for together, places in batches for index in together.matches(text)]
