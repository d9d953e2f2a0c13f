"""Which words made the points: readable evidence that adds up to them exactly.

In go a message's features, the base model's weight for each and the points; out comes a tuple of Evidence,
the strongest for and against, and one line for all the rest. A feature's share is its part of the log-odds
times the slope from the model's point of indifference to the score: integrated gradients along that line
(Sundararajan, Taly, Yan 2017), which add up by construction; rounding goes to the rest. Runs of letters
count for the word that they are in. Pure; never raises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import BLOCKS, Features
from filterd.classifier.hashing import Hashes, Positions
from filterd.record import Evidence

FOR = 6
AGAINST = 4
REST = "everything else"

Floats = NDArray[np.float64]


def explain(features: Features, weights: NDArray[np.float32], slope: float, points: int) -> tuple[Evidence, ...]:
    """`weights` as the base model has them; `slope` is hundredths a unit of log-odds."""
    shapes, words, letters = (
        _shares(found, weights[block.offset : block.offset + block.size])
        for block, found in zip(BLOCKS, features.occurrences, strict=True)
    )
    in_word = _by_word(features, words, letters)
    strongest = [
        *((share, f"shape: {token}") for token, share in zip(features.shape, shapes, strict=True)),
        *((float(in_word[place]), f"word: {features.visible.word(int(place))}") for place in _strongest(in_word)),
    ]
    evidence = _pick(strongest, slope)
    rest = points - sum(one.points for one in evidence)
    return (*evidence, Evidence(REST, rest)) if rest or not evidence else evidence


def _shares(found: Hashes, weights: NDArray[np.float32]) -> Floats:
    """The part of each occurrence in the log-odds: all of it for the first of its index."""
    shares = np.zeros(len(found))
    first = first_places(found, len(weights))
    if len(first):
        shares[first] = weights[found[first]] / np.sqrt(len(first))
    return shares


def first_places(found: Hashes, size: int) -> Positions:
    """Where each index (all below `size`) occurs first, in order of place."""
    places: Positions = np.arange(len(found))
    first = np.empty(size, dtype=np.intp)
    first[found[::-1]] = places[::-1]
    found_first: Positions = places[first[found] == places]
    return found_first


def _by_word(features: Features, words: Floats, letters: Floats) -> Floats:
    """The shares of words and of the letters in them, at the first place where the word stands."""
    if not len(words):
        return np.zeros(0)
    together = words.copy()
    if len(letters):
        together += np.bincount(features.visible.words_of_letters(), weights=letters, minlength=len(words))
    _, first, same = np.unique(features.visible.words, return_index=True, return_inverse=True)
    gathered = np.zeros(len(words))
    gathered[first] = np.bincount(same, weights=together)
    return gathered


def _strongest(shares: Floats) -> Positions:
    order = np.argsort(shares, kind="stable")
    return np.concatenate((order[:AGAINST], order[max(len(order) - FOR, AGAINST) :]))


def _pick(shares: Sequence[tuple[float, str]], slope: float) -> tuple[Evidence, ...]:
    """The strongest for and against, by size; what rounds to nothing is left out."""
    weighed = [Evidence(token, round(share * slope)) for share, token in shares]
    weighed.sort(key=lambda one: (-one.points, one.token))
    chosen = [one for one in weighed[:FOR] if one.points > 0]
    chosen += [one for one in weighed[::-1][:AGAINST] if one.points < 0]
    return tuple(sorted(chosen, key=lambda one: (-abs(one.points), one.token)))
