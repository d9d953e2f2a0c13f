"""The words and letters of a text, as hashes with their places.

In goes a list of regions, each some text with a salt that says where it stood (the body, a header of that
name); out come hashes, and for any of them the readable word it was made from. Case is folded, digits are
all one digit, punctuation is a gap. Reads at most `LIMIT` bytes in all. Pure; raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.hashing import LIMIT, Bytes, Hashes, Positions, Prefix, as_bytes, finish, number

LONGEST = 24  # bytes of a word that count
LETTERS = 5  # bytes in a run of letters
REACH = 3  # a pair is a word and one of the next three


def _table() -> Bytes:
    """What each byte counts as: itself, the digit 0, or 0 for a gap. UTF-8 beyond ASCII is all letters."""
    table = np.zeros(256, dtype=np.uint8)
    for byte in (*range(ord("a"), ord("z") + 1), *range(0x80, 0x100), *b"'!$%"):
        table[byte] = byte
    table[ord("0") : ord("9") + 1] = ord("0")
    return table


_FOLD = _table()
_PAIR = tuple(np.uint64(odd) for odd in (0xA24BAED4963EE407, 0x9FB21C651E98DF25, 0xD6E8FEB86659FD93))

salt_of = lru_cache(4096)(number)


class Text:
    """Some regions of text, folded, and the words in them."""

    def __init__(self, regions: Sequence[tuple[bytes, str]], limit: int = LIMIT) -> None:
        """`regions` are (salt, text), the salt empty for none; together they are cut at `limit` bytes."""
        pieces: list[bytes] = []
        starts: list[int] = []
        length = 0
        for _, text in regions:
            room = limit - length
            if room <= 1:
                break
            piece = text[:room].lower().encode("utf-8", "replace")[: room - 1]
            starts.append(length)
            pieces.append(piece)
            length += len(piece) + 1
        self._bytes = b"\0".join(pieces)
        self._folded = _FOLD[as_bytes(self._bytes)]
        self._regions = np.array(starts, dtype=np.intp)
        self._salts = [salt for salt, _ in regions[: len(starts)]]

    def __len__(self) -> int:
        return len(self._bytes)

    @cached_property
    def _bounds(self) -> tuple[Positions, Positions]:
        """Where words of two bytes or more start and end."""
        inside = np.zeros(len(self._folded) + 2, dtype=bool)
        np.not_equal(self._folded, 0, out=inside[1:-1])
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        starts, ends = edges[::2], edges[1::2]
        wide = ends - starts > 1
        starts = starts[wide]
        return starts, np.minimum(ends[wide], starts + LONGEST)

    @cached_property
    def _numbers(self) -> NDArray[np.uint64]:
        starts, ends = self._bounds
        numbers = Prefix(self._folded).numbers(starts, ends)
        if any(self._salts):
            salts = np.array([salt_of(salt) if salt else 0 for salt in self._salts], dtype=np.uint64)
            numbers ^= salts[np.searchsorted(self._regions, starts, side="right") - 1]
        return numbers

    @cached_property
    def words(self) -> Hashes:
        """One hash a word, in order."""
        return finish(self._numbers)

    def pairs(self) -> Hashes:
        """Each word with each of the next three: sparse bigrams (Siefkes et al. 2004), distance included."""
        numbers = self._numbers
        found = [
            finish(numbers[:-reach] * _PAIR[reach - 1] + numbers[reach:])
            for reach in range(1, REACH + 1)
            if len(numbers) > reach
        ]
        return np.concatenate(found) if found else np.empty(0, dtype=np.uint32)

    @cached_property
    def _compact(self) -> tuple[Bytes, Any]:
        """The text with each gap one byte long, and which bytes were kept."""
        solid = self._folded != 0
        keep = solid.copy()
        keep[1:] |= solid[:-1]
        return self._folded[keep], keep

    def letters(self) -> Hashes:
        """Every run of five bytes of the text, gaps counted as one."""
        return finish(Prefix(self._compact[0]).every(LETTERS))

    def word(self, position: int) -> str:
        """The word with that position in `words`, as it is read."""
        starts, ends = self._bounds
        return self._bytes[starts[position] : ends[position]].decode("utf-8", "replace")

    def words_of_letters(self) -> Positions:
        """For each run in `letters`, the position in `words` of the word at its middle, or before it."""
        _, keep = self._compact
        places = np.flatnonzero(keep)[LETTERS // 2 :][: max(int(keep.sum()) - LETTERS + 1, 0)]
        return np.maximum(np.searchsorted(self._bounds[0], places, side="right") - 1, 0)
