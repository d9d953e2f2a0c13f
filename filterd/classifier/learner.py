"""One view's linear model, learnt one message at a time.

In go the sorted indices of a message's features (binary, each once), its label and an offset; the weights
move at once. Logistic regression by AdaGrad (Duchi, Hazan, Singer 2011): each weight has its own falling
rate. Every message has length one: a feature of a message with n of them counts 1/sqrt(n). One label in
thirty is taken to be wrong (the loss is that of Natarajan et al. 2013, without their correction): what flatly
contradicts a confident score moves nearly nothing, so that a wrong label does not undo a thousand right ones.
The sums of squares start where a first small step stays small; from next to nothing each weight's first step
would be a whole one, however doubtful the label. Deterministic; never fails on any indices below its size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[Any]  # of unsigned integers

ETA = 0.9
WRONG = 0.03  # of the labels
START = 1.5e-3  # of the sums of squares of a weight's gradients: one message of seven hundred features
BIAS = 0.1  # of the rate: what the features of each message explain is not the bias's to learn


def pull(margin: float, wrong: float = WRONG) -> float:
    """How hard a label pulls at a score that is right by `margin`, when this share of labels is wrong: for none the
    logistic gradient, which rises to 1 as the margin falls; else it falls again beyond the margin where the label is
    as likely to be wrong as the score.
    """
    right = logistic(margin)
    return (1 - 2 * wrong) * right * (1 - right) / (right + wrong * (1 - 2 * right))


def log_logistic(log_odds: float) -> float:
    """The logarithm of `logistic`, exact where that is next to 0."""
    return -math.log1p(math.exp(-log_odds)) if log_odds >= 0 else log_odds - math.log1p(math.exp(log_odds))


def logistic(log_odds: float) -> float:
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


class Learner:
    """Weights, their sums of squared gradients, and a bias with its own."""

    __slots__ = ("bias", "bias_square", "eta", "squares", "weights", "wrong")

    def __init__(self, size: int, eta: float = ETA, start: float = START, wrong: float = WRONG) -> None:
        self.eta = eta
        self.wrong = wrong
        self.weights: Floats = np.zeros(size, dtype=np.float32)
        self.squares: Floats = np.full(size, start, dtype=np.float32)
        self.bias = 0.0
        self.bias_square = start

    def score(self, indices: Indices) -> float:
        """Log-odds of spam, without the offset."""
        if not len(indices):
            return self.bias
        return float(self.weights[indices].sum()) / math.sqrt(len(indices)) + self.bias

    def settle(self) -> None:
        """From now on as if it had been started as others are."""
        self.eta, self.wrong = ETA, WRONG
        np.maximum(self.squares, np.float32(START), out=self.squares)
        self.bias_square = max(self.bias_square, START)

    def learn(self, indices: Indices, spam: bool, offset: float = 0.0) -> float:
        """Take one label in; returns the margin before it: how right the score was, negative when wrong."""
        sign = 1.0 if spam else -1.0
        margin = sign * (self.score(indices) + offset)
        force = pull(margin, self.wrong)
        self.bias_square += force * force
        self.bias += BIAS * sign * self.eta * force / math.sqrt(self.bias_square)
        if len(indices):
            step = force / math.sqrt(len(indices))
            squares = self.squares[indices] + np.float32(step * step)
            self.squares[indices] = squares
            self.weights[indices] += np.float32(sign * self.eta * step) / np.sqrt(squares)
        return margin
