"""Bytes to 32-bit hashes, many at once, the same on every machine and in every release.

In go bytes (or a numpy array of them) and where in them the tokens lie; out come uint32 arrays. Nothing
here uses Python's `hash` or a random generator, and no loop runs over tokens. Pure; raises nothing on any
bytes, but `Prefix` reads at most `LIMIT` of them: the caller cuts first.

Windows of four bytes are their own 32-bit number, mixed by multiply-xorshift. Tokens of any length are
hashed through one running sum: with an odd P and a random 64-bit number T[b] for each byte value, the sums
S[i] = T[b0] P^0 + ... + T[b(i-1)] P^(i-1) mod 2^64 give the token [start, end) the number (S[end] -
S[start]) P^-start, which does not depend on where the token stands (Karp and Rabin 1987, over a ring in
which odd numbers have inverses).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint32]
Positions = NDArray[np.intp]
_Wide = NDArray[np.uint64]

LIMIT = 32_768  # bytes that one Prefix can read

_PRIME = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _splitmix(count: int) -> _Wide:
    """`count` well mixed numbers (Steele, Lea, Flood 2014): the table T."""
    numbers = []
    for step in range(1, count + 1):
        z = (step * _PRIME) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        numbers.append(z ^ (z >> 31))
    return np.array(numbers, dtype=np.uint64)


def _powers(base: int) -> _Wide:
    factors = np.full(LIMIT + 1, base, dtype=np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


_TABLE = _splitmix(256)
_POWER = _powers(_PRIME)
_INVERSE = _powers(pow(_PRIME, -1, 1 << 64))


def as_bytes(data: bytes | bytearray | memoryview) -> Bytes:
    return np.frombuffer(data, dtype=np.uint8)


def finish(numbers: _Wide) -> Hashes:
    """The 64-bit numbers of tokens, mixed so that each of the 32 bits depends on all of theirs."""
    mixed = numbers ^ (numbers >> np.uint64(32))
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def windows(data: Bytes) -> Hashes:
    """The hash of every run of four bytes; empty for fewer than four."""
    wide = data.astype(np.uint32)
    mixed: Hashes = (
        wide[:-3] | (wide[1:-2] << np.uint32(8)) | (wide[2:-1] << np.uint32(16)) | (wide[3:] << np.uint32(24))
    )
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x7FEB352D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x846CA68B)
    mixed ^= mixed >> np.uint32(16)
    return mixed


class Prefix:
    """Running sums over at most `LIMIT` bytes, from which any token's number is one subtraction."""

    __slots__ = ("_sums",)

    def __init__(self, data: Bytes) -> None:
        self._sums = np.zeros(len(data) + 1, dtype=np.uint64)
        np.cumsum(_TABLE[data] * _POWER[: len(data)], out=self._sums[1:])

    def numbers(self, starts: Positions, ends: Positions) -> _Wide:
        """One 64-bit number for each token [start, end); equal bytes give equal numbers."""
        return (self._sums[ends] - self._sums[starts]) * _INVERSE[starts]

    def every(self, length: int) -> _Wide:
        """The numbers of all runs of `length` bytes, in order; empty when there are fewer."""
        count = max(len(self._sums) - length, 0)
        return (self._sums[length:] - self._sums[:count]) * _INVERSE[:count]


def numbers(tokens: Sequence[bytes]) -> _Wide:
    """The number of each token; tokens past `LIMIT` bytes in all are as if empty."""
    ends = np.cumsum([len(token) for token in tokens], dtype=np.intp)
    ends = np.minimum(ends, LIMIT)
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    return Prefix(as_bytes(b"".join(tokens)[:LIMIT])).numbers(starts, ends)


def number(token: bytes) -> Any:
    """The number of one token, as a numpy uint64 that arrays can be mixed with."""
    return numbers([token])[0]


def unique(indices: Hashes) -> Hashes:
    """Sorted, each once."""
    if len(indices) < 2:
        return indices
    ordered = np.sort(indices)
    keep = np.empty(len(ordered), dtype=bool)
    keep[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
