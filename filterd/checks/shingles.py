"""Near duplicates of a text: MinHash of its word triples, cut into bands. Pure.

In: text. Out: a few numbers; two texts that share one of them are nearly the same: at nine tenths of common triples
they share one with a probability of 98 %, at a third with one of 5 %. Digits, addresses and links do not count, so
that what a campaign varies for each recipient changes little. A text of few words has none.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

BANDS = 4
ROWS = 4
FEW = 24  # words under which a text is nobody's
MANY = 250  # words that are looked at
_LENGTH = 2_000  # characters in which they are looked for
_LETTERS = bytes(byte if byte >= 0x80 or chr(byte).isalpha() else 0x20 for byte in range(256))
_BINS = BANDS * ROWS
_EDGES = np.arange(_BINS + 1, dtype=np.uint64) << np.uint64(28)
_ODD = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)))
_29, _32 = np.uint64(29), np.uint64(32)


def bands(text: str) -> tuple[int, ...]:
    """The bands of a text, 63 bits each; none when it is too short."""
    head = text[:_LENGTH].lower()
    pieces = [piece for piece in head.split() if "/" not in piece and "@" not in piece]
    if "www." in head:
        pieces = [piece for piece in pieces if not piece.startswith("www.")]
    plain = " ".join(pieces).encode("utf-8", "replace").translate(_LETTERS)
    words = [word for word in plain.split() if len(word) > 1][:MANY]
    if len(words) < FEW:
        return ()
    # One permutation is enough (Li, Owen, Zhang 2012): its values fall into bins, and each bin has its least.
    hashes = _hashes(words)
    edges = hashes.searchsorted(_EDGES).tolist()
    values = hashes.tolist()
    least = {bin_: values[edges[bin_]] for bin_ in range(_BINS) if edges[bin_] < edges[bin_ + 1]}
    filled = [least[bin_] if bin_ in least else _borrowed(least, bin_) for bin_ in range(_BINS)]
    return tuple(_number(band, filled[band * ROWS : (band + 1) * ROWS]) for band in range(BANDS))


def _hashes(words: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """32 bits for each three words that follow one another, in order of size."""
    one = np.fromiter(map(crc32, words), np.uint64, len(words))
    mixed = ((one[:-2] * _ODD[0] + one[1:-1]) * _ODD[1] + one[2:]) * _ODD[2]
    mixed ^= mixed >> _29
    mixed *= _ODD[0]
    mixed >>= _32
    mixed.sort()
    return mixed


def _borrowed(least: dict[int, int], bin_: int) -> int:
    """For an empty bin, what the next one has that is not (Shrivastava, Li 2014)."""
    return next(least[at % _BINS] + at for at in range(bin_ + 1, bin_ + _BINS + 1) if at % _BINS in least)


def _number(band: int, values: list[int]) -> int:
    data = b"".join([value.to_bytes(5, "big") for value in values])
    return (band << 61 | crc32(data) << 29 | crc32(data[::-1]) >> 3) & (1 << 63) - 1
