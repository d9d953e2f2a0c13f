"""Sieve: many patterns over one text, at a cost that hardly grows with their number.

One pass over the text (Aho-Corasick) finds the literals that are there. That settles a pattern that is nothing but a
literal, such as a word of a list; of the others only those are tried of whose every set of literals some is there. The
few that have none are tried together. Built once; never raises while matching.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

import ahocorasick_rs

from filterd.ruleset.linear import Linear, Together
from filterd.ruleset.literals import Plain, literals

SHORT = 2_000  # bytes: up to that, trying a few patterns together is less work than looking for their literals
# ß, the Kelvin sign, ligatures and the like: `casefold` makes ASCII letters of these
_FOLDS_TO_ASCII = re.compile("[\u00df\u0130\u0149\u017f\u01f0\u1e96-\u1e9e\u212a\ufb00-\ufb06]")
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")


class Sieve:
    """`forms` by their places: `matches` says which of them match somewhere in a text."""

    def __init__(self, forms: Sequence[Linear], lines: bool) -> None:
        self._forms = forms
        self._lines = lines
        self._folds = any(map(_ignores_case, forms))
        read = [literals(form.pattern) for form in forms]
        needs = [[self._as_sought(texts) for texts in one.needs] for one in read]
        known = {text: number for number, text in enumerate(sorted({*chain(*chain(*needs))}, key=_as_run))}
        self._runs = [(text, number) for text, number in known.items() if _as_run(text)[0]]
        others = list(known)[: len(known) - len(self._runs)]
        self._literals = ahocorasick_rs.BytesAhoCorasick(others) if others else None
        self._others = [[frozenset(known[text] for text in texts) for texts in one[1:]] for one in needs]
        self._holders: list[list[int]] = [[] for _ in known]  # by literal: the forms that it is the rarest of
        self._plain: list[list[tuple[int, Plain]]] = [[] for _ in known]  # by literal: the forms that it is all of
        for place, one in enumerate(needs):
            settled = read[place].plain if self._is_proof(forms[place], read[place].plain) else None
            for text in one[0] if one else ():
                number = known[text]
                if settled is not None:
                    self._plain[number].append((place, settled))
                self._holders[number].append(place)
        self._settled = {place for some in self._plain for place, _ in some}
        self._alone: dict[int, Together] = {}  # made when they are first tried
        self._bare = _batches(forms, [place for place, one in enumerate(needs) if not one], lines)
        self._whole = _batches(forms, range(len(forms)), lines) if len(forms) <= Together.MOST else []

    def _as_sought(self, texts: Iterable[str]) -> frozenset[bytes]:
        return frozenset((text.casefold() if self._folds else text).encode() for text in texts)

    def _is_proof(self, form: Linear, plain: Plain | None) -> bool:
        """Whether the form does match where the pass over the text finds its literals."""
        if plain is None or (self._folds and not _ignores_case(form)):
            return False
        return all(map(_is_sought_as_it_is, plain.texts))

    def matches(self, text: str) -> list[int]:
        whole = text.encode("utf-8", "replace")
        if self._whole and len(whole) <= SHORT:
            return _matches(self._whole, whole)
        found = _matches(self._bare, whole)
        if self._holders:
            plainly, perhaps = self._standing(text, whole)
            found += plainly
            found += [place for place in perhaps if self._matches_alone(place, whole)]
        return found

    def _standing(self, text: str, whole: bytes) -> tuple[set[int], Iterable[int]]:
        """The forms that do match, by the literals that are there, and those that may."""
        proves = not self._folds or text.isascii() or not _FOLDS_TO_ASCII.search(text)
        if not self._folds:
            sought = whole
        else:
            sought = whole.lower() if text.isascii() else text.casefold().encode("utf-8", "replace")
        spots = self._literals.find_matches_as_indexes(sought, overlapping=True) if self._literals is not None else ()
        there = {spot[0] for spot in spots}
        there.update(number for run, number in self._runs if run in sought)
        perhaps = {place for literal in there for place in self._holders[literal]}
        plainly: set[int] = set()
        if proves:
            perhaps -= self._settled
            plainly = {
                place
                for literal, start, end in spots
                for place, piece in self._plain[literal]
                if piece.stands(sought, start, end)
            }
        return plainly, (place for place in perhaps if not any(map(there.isdisjoint, self._others[place])))

    def _matches_alone(self, place: int, whole: bytes) -> bool:
        alone = self._alone.get(place)
        if alone is None:
            alone = self._alone[place] = Together([self._forms[place]], self._lines)
        return bool(alone.matches(whole))


def _ignores_case(form: Linear) -> bool:
    return _IGNORES_CASE.search(form.pattern) is not None


def _is_sought_as_it_is(text: str) -> bool:
    """Whether the pass over the text finds it wherever it stands, and nothing else for it."""
    return text.isascii() and "\n" not in text and not _as_run(text.casefold().encode())[0]


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
