"""scikit-learn's own checks, and agreement with the learner that serves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from filterd.classifier.estimator import AdaGradClassifier
from filterd.classifier.learner import Learner


@parametrize_with_checks([AdaGradClassifier()])
def test_conventions(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    check(estimator)


def test_learns_what_the_learner_learns() -> None:
    random = np.random.default_rng(0)
    rows = [np.unique(random.integers(0, 64, 12)) for _ in range(50)]
    labels = random.random(50) < 0.5
    learner, matrix = Learner(64, eta=0.3), np.zeros((50, 64))
    for place, (row, spam) in enumerate(zip(rows, labels, strict=True)):
        learner.learn(row, bool(spam))
        matrix[place, row] = 1.0
    estimator = AdaGradClassifier(eta=0.3).partial_fit(csr_matrix(matrix), labels, classes=[False, True])
    scores = [learner.score(row) for row in rows]
    assert estimator.decision_function(matrix) == pytest.approx(scores, abs=1e-4)
