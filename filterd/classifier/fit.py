"""Fit a base model: scikit-learn at work, plain arrays as the result. Never imported at serving.

In go a Dataset, labels and the source of each message (a mailbox, a list, a corpus); out come weights over
the portable features and a calibration curve. Every source counts by the root of its size and both classes
alike, so that one big list is not the world. The curve is made from scores that each source got from a
model which had never seen that source: what it calls 99 % is 99 % somewhere new, not at home. Deterministic
for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import SGDClassifier

from filterd.classifier.dataset import Dataset

ALPHA = 1e-4  # of the L2 penalty
EPOCHS = 6
FOLDS = 5  # where there is one source only
SUREST = 0.998  # no probability beyond it from a foreign model, on either side

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Sources = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What `model.Model` needs, and what was measured on the way."""

    weights: NDArray[np.float16]
    curve: NDArray[np.float32]  # (2, knots)
    unseen: Floats  # the calibrated log-odds each message got from a model that had not seen its source


def fit(dataset: Dataset, labels: Sequence[bool], sources: Sequence[str], seed: int = 0, jobs: int = 1) -> Fitted:
    """A base model from labelled messages; ValueError when a class is missing."""
    truth, names = np.asarray(labels, dtype=bool), np.asarray(sources, dtype=str)
    if truth.all() or not truth.any():
        raise ValueError("training needs both ham and spam")
    matrix = dataset.matrix()
    unseen = unseen_scores(matrix, truth, names, seed, jobs)
    curve = calibration(unseen, truth, balance(truth, names))
    weights = _weights(matrix, truth, balance(truth, names), seed).astype(np.float16)
    return Fitted(weights, curve, np.interp(unseen, curve[0], curve[1]))


def balance(labels: Labels, sources: Sources) -> Floats:
    """A weight for each message: sources by the root of their size, classes alike, mean 1."""
    weights = np.zeros(len(labels))
    for spam in (False, True):
        for source in np.unique(sources[labels == spam]):
            these = (labels == spam) & (sources == source)
            weights[these] = 1 / np.sqrt(these.sum())
        weights[labels == spam] *= len(labels) / 2 / weights[labels == spam].sum()
    return weights


def unseen_scores(matrix: Any, labels: Labels, sources: Sources, seed: int, jobs: int) -> Floats:
    """The score of each message by a model fitted to all other sources (or folds, if there is but one)."""
    groups = sources if len(np.unique(sources)) > 1 else (np.arange(len(labels)) % FOLDS).astype(str)
    folds = [groups == name for name in np.unique(groups)]
    parallel = joblib.Parallel(n_jobs=jobs)
    found = parallel(joblib.delayed(_scores_of)(matrix, labels, sources, fold, seed) for fold in folds)
    scores = np.zeros(len(labels))
    for fold, part in zip(folds, found, strict=True):
        scores[fold] = part
    return scores


def calibration(scores: Floats, labels: Labels, weights: Floats) -> NDArray[np.float32]:
    """Knots of a rising curve from scores to log-odds: isotonic, never surer than the evidence is large."""
    isotonic = IsotonicRegression(y_min=1 - SUREST, y_max=SUREST, out_of_bounds="clip")
    isotonic.fit(scores, labels.astype(float), sample_weight=weights)
    at, probability = isotonic.X_thresholds_, isotonic.y_thresholds_
    log_odds = np.log(probability / (1 - probability))
    rising = log_odds + 1e-3 * (at - at[0]) / max(at[-1] - at[0], 1e-9)
    knots = np.stack((at, rising)).astype(np.float32)
    _, distinct = np.unique(knots[0], return_index=True)
    return knots[:, distinct]


def _scores_of(matrix: Any, labels: Labels, sources: Sources, held_out: Labels, seed: int) -> Floats:
    seen = ~held_out
    if labels[seen].all() or not labels[seen].any():
        return np.zeros(int(held_out.sum()))
    weights = _weights(matrix[seen], labels[seen], balance(labels[seen], sources[seen]), seed)
    return np.asarray(matrix[held_out] @ weights)


def _weights(matrix: Any, labels: Labels, importance: Floats, seed: int) -> NDArray[np.float32]:
    """Averaged stochastic gradient descent; the intercept belongs to the calibration."""
    classifier = SGDClassifier(loss="log_loss", alpha=ALPHA, max_iter=EPOCHS, tol=None, average=True, random_state=seed)
    classifier.fit(matrix, labels, sample_weight=importance)
    return np.asarray(classifier.coef_[0], dtype=np.float32)
