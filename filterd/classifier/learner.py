"""One view's linear model, learnt one message at a time.

In go the sorted indices of a message's features (binary, each once), its label and an offset; the weights
move at once. Logistic regression by AdaGrad (Duchi, Hazan, Singer 2011): each weight has its own falling
rate. Every message has length one: a feature of a message with n of them counts 1/sqrt(n). A label that
flatly contradicts a confident score moves nearly nothing (the gradient redescends), so that a wrong label
does not undo a thousand right ones. Deterministic; never fails on any indices below its size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[Any]  # of unsigned integers

ETA = 0.15
CONFIDENT = 2.0  # beyond this margin on the wrong side, the label is doubted
DOUBT = 4.0
_START = 1e-6  # of the sums of squares: no division by zero


def contradiction(margin: float) -> float:
    """What is left of the gradient when the score is wrong by `margin` (negative): 1, falling to 0."""
    excess = -margin - CONFIDENT
    return 1.0 if excess <= 0 else 1.0 / (1.0 + DOUBT * excess * excess)


def logistic(log_odds: float) -> float:
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


class Learner:
    """Weights, their sums of squared gradients, and a bias with its own."""

    __slots__ = ("bias", "bias_square", "eta", "robust", "squares", "weights")

    def __init__(self, size: int, eta: float = ETA, robust: bool = True) -> None:
        self.eta = eta
        self.robust = robust
        self.weights: Floats = np.zeros(size, dtype=np.float32)
        self.squares: Floats = np.full(size, _START, dtype=np.float32)
        self.bias = 0.0
        self.bias_square = _START

    def score(self, indices: Indices) -> float:
        """Log-odds of spam, without the offset."""
        if not len(indices):
            return self.bias
        return float(self.weights[indices].sum()) / math.sqrt(len(indices)) + self.bias

    def learn(self, indices: Indices, spam: bool, offset: float = 0.0) -> float:
        """Take one label in; returns the margin before it: how right the score was, negative when wrong."""
        sign = 1.0 if spam else -1.0
        margin = sign * (self.score(indices) + offset)
        pull = logistic(-margin)
        if self.robust:
            pull *= contradiction(margin)
        self.bias_square += pull * pull
        self.bias += sign * self.eta * pull / math.sqrt(self.bias_square)
        if len(indices):
            step = pull / math.sqrt(len(indices))
            squares = self.squares[indices] + np.float32(step * step)
            self.squares[indices] = squares
            self.weights[indices] += np.float32(sign * self.eta * step) / np.sqrt(squares)
        return margin
