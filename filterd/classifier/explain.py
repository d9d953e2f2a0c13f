"""Which words made the points: readable evidence that adds up to them exactly.

In go a message's features, the base model's weight for each and the points; out comes a tuple of Evidence,
the strongest for and against, and one line for all the rest. A feature's share is its part of the log-odds
times the slope from the model's point of indifference to the score: integrated gradients along that line
(Sundararajan, Taly, Yan 2017), which add up by construction. Runs of letters count for each word that they
are in, at its first place; what that counts twice, and rounding, goes to the rest. Pure; never raises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import BLOCKS, Features
from filterd.classifier.hashing import Positions
from filterd.record import Evidence

FOR = 6
AGAINST = 4
REST = "everything else"

Floats = NDArray[np.floating]


def explain(features: Features, weights: NDArray[np.float32], slope: float, points: int) -> tuple[Evidence, ...]:
    """`weights` as the base model has them; `slope` is hundredths a unit of log-odds."""
    shapes, words, letters = (
        weights[found + np.uint32(block.offset)] / np.sqrt(max(len(once), 1))
        for block, found, once in zip(BLOCKS, features.occurrences, features.portable, strict=True)
    )
    places, shares = _by_word(features, words, letters)
    weighed = [(float(share), f"shape: {token}") for token, share in zip(features.shape, shapes, strict=True)]
    weighed += [
        (float(shares[word]), f"word: {features.visible.word(int(places[word]))}") for word in strongest(shares)
    ]
    return summed([Evidence(token, round(share * slope)) for share, token in weighed], points)


def strongest(shares: Floats) -> Positions:
    """Where the greatest and the least are: as many as are ever shown of each."""
    if len(shares) <= FOR + AGAINST:
        return np.arange(len(shares))
    order = np.argpartition(shares, (AGAINST, len(shares) - FOR))
    return np.concatenate((order[:AGAINST], order[len(order) - FOR :]))


def summed(evidence: list[Evidence], points: int) -> tuple[Evidence, ...]:
    """The strongest for and against, by size, and one line for all that is missing to `points`."""
    evidence.sort(key=lambda one: (-one.points, one.token))
    chosen = [one for one in evidence[:FOR] if one.points > 0]
    chosen += [one for one in evidence[::-1][:AGAINST] if one.points < 0]
    chosen.sort(key=lambda one: (-abs(one.points), one.token))
    rest = points - sum(one.points for one in chosen)
    return (*chosen, Evidence(REST, rest)) if rest or not chosen else tuple(chosen)


def _by_word(features: Features, words: Floats, letters: Floats) -> tuple[Positions, Floats]:
    """Where each word stands first, and its share with that of the letters in it."""
    if len(letters):
        words = words + np.bincount(features.visible.words_of_letters(), weights=letters, minlength=len(words))
    _, first = np.unique(features.visible.words, return_index=True)
    return first, words[first]
