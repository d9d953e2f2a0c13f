"""Sieve: many patterns over one text, at a cost that hardly grows with their number.

One pass over the text (Aho-Corasick) finds the literals that are there; then only those patterns are tried whose
literals were among them. The few that have none are tried together. Built once; never raises while matching.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import ahocorasick_rs

from filterd.ruleset.linear import Linear, Together
from filterd.ruleset.literals import literals

_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")


class Sieve:
    """`forms` by their places: `matches` says which of them match somewhere in a text."""

    def __init__(self, forms: Sequence[Linear], lines: bool) -> None:
        self._forms = tuple(forms)
        self._folds = any(_IGNORES_CASE.search(form.pattern) for form in forms)
        bare: list[int] = []
        holders: dict[bytes, list[int]] = {}
        for place, form in enumerate(forms):
            texts = literals(form.pattern)
            if texts is None:
                bare.append(place)
            for text in {text.casefold() if self._folds else text for text in texts or ()}:
                holders.setdefault(text.encode(), []).append(place)
        self._holders = tuple(holders.values())
        self._literals = ahocorasick_rs.BytesAhoCorasick(list(holders)) if holders else None
        small = [place for place in bare if forms[place].programsize <= Together.LARGEST]
        self._large = tuple(place for place in bare if forms[place].programsize > Together.LARGEST)
        self._together = [
            (Together([forms[place] for place in some], lines), some) for some in _batches(small, Together.MOST)
        ]

    def matches(self, text: str) -> list[int]:
        whole = text.encode("utf-8", "replace")
        found = [place for place in self._tried(text, whole) if self._forms[place].search(whole)]
        for together, places in self._together:
            found += [places[index] for index in together.matches(whole)]
        return found

    def _tried(self, text: str, whole: bytes) -> Iterable[int]:
        if self._literals is None:
            return self._large
        folded = text.casefold().encode("utf-8", "replace") if self._folds else whole
        there = {match[0] for match in self._literals.find_matches_as_indexes(folded, overlapping=True)}
        return {*self._large, *(place for literal in there for place in self._holders[literal])}


def _batches(places: Sequence[int], size: int) -> list[Sequence[int]]:
    return [places[start : start + size] for start in range(0, len(places), size)]
