"""Near duplicates of a text: MinHash of its word triples, cut into bands. Pure.

In: text. Out: a few numbers; two texts that share one of them are nearly the same: at nine tenths of common triples
they share one with a probability of 98 %, at a third with one of 5 %. Digits, addresses and links do not count, so
that what a campaign varies for each recipient changes little. A text of few words has none.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np

BANDS = 4
ROWS = 4
FEW = 24  # words under which a text is nobody's
MANY = 250  # words that are looked at
_LENGTH = 3_000  # characters in which they are looked for
_WORD = re.compile(r"[^\W\d_]{2,30}")
_BINS = BANDS * ROWS


def bands(text: str) -> tuple[int, ...]:
    """The bands of a text, 63 bits each; none when it is too short."""
    pieces = text[:_LENGTH].lower().split()
    plain = " ".join([word for word in pieces if "@" not in word and "://" not in word and "www." not in word])
    words = _WORD.findall(plain)[:MANY]
    if len(words) < FEW:
        return ()
    triples = {f"{a} {b} {c}".encode() for a, b, c in zip(words, words[1:], words[2:], strict=False)}
    hashes = np.sort(np.fromiter(map(crc32, triples), np.uint64, len(triples)))
    # One permutation is enough (Li, Owen, Zhang 2012): its values fall into bins, and each bin has its least.
    kept, first = np.unique(hashes >> np.uint64(28), return_index=True)
    least = dict(zip(kept.tolist(), hashes[first].tolist(), strict=True))
    filled = [least.get(bin_) or _borrowed(least, bin_) for bin_ in range(_BINS)]
    return tuple(_number(band, filled[band * ROWS : (band + 1) * ROWS]) for band in range(BANDS))


def _borrowed(least: dict[int, int], bin_: int) -> int:
    """For an empty bin, what the next one has that is not (Shrivastava, Li 2014)."""
    return next(least[at % _BINS] + at for at in range(bin_ + 1, bin_ + _BINS + 1) if at % _BINS in least)


def _number(band: int, values: list[int]) -> int:
    data = b"".join(value.to_bytes(5, "big") for value in values)
    return (band << 61 | crc32(data) << 29 | crc32(data[::-1]) >> 3) & (1 << 63) - 1
