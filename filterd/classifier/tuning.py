"""Fit the scores of rules to labelled mail: logistic regression that stays near the scores that people gave.

In: which rule found which message, the labels, the scores in force with their bounds, the groups with their caps. Out:
new scores in points, such that no more than a stated share of the ham reaches the threshold on messages that the
fit has not seen. A point is worth one natural logarithm of odds, and at the threshold the odds are even; the penalty
is on the distance from the score in force, so that a rule that is seldom seen keeps it. Deterministic, and pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

PENALTY = 4.0  # on the squared distance from the score in force, for each rule
FOLDS = 5
STEP = 0.1  # points that scores are rounded to
_LIGHTEST, _HEAVIEST = 0.25, 256.0  # what a ham message may weigh, against one of spam
_HALVINGS = 6  # of the logarithm between them


@dataclass(frozen=True, eq=False)
class Group:
    """Rules that together add no more than `cap` points: their places."""

    members: NDArray[np.int64]
    cap: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of the messages and rules. Where `low` equals `high` a score stays as it is."""

    hits: Any  # a scipy CSR matrix, messages by rules, 0 and 1
    spam: Booleans
    importance: Floats  # of each message, mean 1
    fixed: Floats  # points of each message that come from elsewhere
    start: Floats  # the score in force of each rule
    low: Floats
    high: Floats
    threshold: float
    groups: Sequence[Group] = field(default=())

    def points(self, scores: Floats) -> Floats:
        """What each message would score."""
        points: Floats = self.fixed + self.hits @ scores
        for _, over in self._over(scores):
            points = points - over
        return points

    def slopes(self, scores: Floats, of_points: Floats) -> Floats:
        """How a sum over messages changes with each score, when it changes so with their points."""
        slopes = np.asarray(self.hits.T @ of_points, dtype=np.float64)
        for (group, over), hits in zip(self._over(scores), self._hits_of_groups, strict=True):
            capped = scores[group.members] > 0
            slopes[group.members] -= np.where(capped, hits.T @ np.where(over > 0, of_points, 0.0), 0.0)
        return slopes

    def part(self, rows: NDArray[Any]) -> Evidence:
        """The same rules on some of the messages."""
        return Evidence(
            self.hits[rows],
            self.spam[rows],
            self.importance[rows],
            self.fixed[rows],
            self.start,
            self.low,
            self.high,
            self.threshold,
            self.groups,
        )

    def _over(self, scores: Floats) -> list[tuple[Group, Floats]]:
        """By how much each message goes over the cap of each group."""
        return [
            (group, np.maximum(hits @ np.maximum(scores[group.members], 0.0) - group.cap, 0.0))
            for group, hits in zip(self.groups, self._hits_of_groups, strict=True)
        ]

    @cached_property
    def _hits_of_groups(self) -> list[Any]:
        return [self.hits[:, group.members] for group in self.groups]


@dataclass(frozen=True, eq=False)
class Tuned:
    """New scores, and what each message would score by scores that were fitted without it."""

    scores: Floats
    unseen: Floats
    ham_weight: float  # what a ham message weighed against one of spam, to stay under the rate


def tune(evidence: Evidence, rate: float, folds: int = FOLDS) -> Tuned:
    """Scores by which at most `rate` of the ham that the fit has not seen reaches the threshold.

    ValueError when a class is missing. Where even the heaviest ham cannot hold the rate, the nearest to it.
    """
    if evidence.spam.all() or not evidence.spam.any():
        raise ValueError("tuning needs both ham and spam")
    light, heavy = np.log(_LIGHTEST), np.log(_HEAVIEST)
    for _ in range(_HALVINGS):
        middle = (light + heavy) / 2
        if _wrong(evidence, _unseen(evidence, float(np.exp(middle)), folds)) <= rate:
            heavy = middle
        else:
            light = middle
    weight = float(np.exp(heavy))
    return Tuned(fit(evidence, weight), _unseen(evidence, weight, folds), weight)


def fit(evidence: Evidence, ham_weight: float) -> Floats:
    """The scores that explain the labels best, within their bounds, rounded."""
    if (evidence.low == evidence.high).all():
        return evidence.start.copy()
    sign = np.where(evidence.spam, 1.0, -1.0)
    weight = evidence.importance * np.where(evidence.spam, 1.0, ham_weight)

    def loss(scores: Floats) -> tuple[float, Floats]:
        margin = sign * (evidence.points(scores) - evidence.threshold)
        away = scores - evidence.start
        wrong = 1 / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float(weight @ np.logaddexp(0.0, -margin) + PENALTY / 2 * away @ away)
        return value, evidence.slopes(scores, -weight * sign * wrong) + PENALTY * away

    bounds = np.stack((evidence.low, evidence.high), axis=1)
    found = minimize(loss, np.clip(evidence.start, *bounds.T), jac=True, method="L-BFGS-B", bounds=bounds)
    fitted = np.round(np.asarray(found.x, dtype=np.float64) / STEP) * STEP
    return np.where(evidence.low == evidence.high, evidence.start, np.clip(fitted, *bounds.T) + 0.0)  # no minus zero


def _unseen(evidence: Evidence, ham_weight: float, folds: int) -> Floats:
    """The points of each message by scores fitted without its fold."""
    fold = np.arange(len(evidence.spam)) % folds
    points = np.zeros(len(fold))
    for number in range(folds):
        out = fold == number
        if not out.any():
            continue
        points[out] = evidence.part(out).points(fit(evidence.part(~out), ham_weight))
    return points


def _wrong(evidence: Evidence, points: Floats) -> float:
    return float(np.mean(points[~evidence.spam] >= evidence.threshold))
