"""The measures against scikit-learn and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from filterd.classifier.metrics import calibration_error, measure, one_minus_roca, roc, spam_missed, threshold_at


def sample(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.random(count) < 0.4
    return labels, np.round(random.normal(size=count) + 1.5 * labels, 1)


@pytest.mark.parametrize("seed", range(5))
def test_roca_agrees_with_scikit_learn_ties_included(seed: int) -> None:
    labels, scores = sample(seed)
    assert one_minus_roca(labels, scores) == pytest.approx(100 * (1 - roc_auc_score(labels, scores)))


def test_spam_missed_by_hand() -> None:
    ham, spam = list(range(1000)), [998.5, 999.0, 1000.0, 5.0]
    labels = [False] * 1000 + [True] * 4
    assert threshold_at(ham, 0.001) == 998
    assert spam_missed(labels, [*ham, *spam], 0.001) == 25.0
    assert spam_missed(labels, [*ham, *spam], 0.0001) == 75.0


def test_lam_by_hand() -> None:
    labels = [False] * 100 + [True] * 100
    scores = [1.0] + [-1.0] * 99 + [-1.0] * 4 + [1.0] * 96
    metrics = measure(labels, scores)
    odds = np.sqrt((0.01 / 0.99) * (0.04 / 0.96))
    assert metrics.lam == pytest.approx(100 * odds / (1 + odds))
    assert (metrics.ham_misclassified, metrics.spam_misclassified) == (1.0, 4.0)


def test_calibration_of_honest_and_boasting_scores() -> None:
    random = np.random.default_rng(0)
    log_odds = random.normal(scale=2, size=20_000)
    labels = random.random(20_000) < 1 / (1 + np.exp(-log_odds))
    assert calibration_error(labels, log_odds) < 1.5
    assert calibration_error(labels, 5 * log_odds) > 8


def test_roc_runs_from_nothing_blocked_to_nothing_missed() -> None:
    labels, scores = sample(1)
    blocked, missed = roc(labels, scores)
    assert (blocked[0], missed[0]) == (0.0, 1.0)
    assert (blocked[-1], missed[-1]) == (1.0, 0.0)
    assert (np.diff(blocked) >= 0).all()
    assert (np.diff(missed) <= 0).all()


def test_intervals_hold_the_value_and_repeat() -> None:
    labels, scores = sample(2)
    one, two = (measure(labels, scores, bootstrap=50, seed=3) for _ in range(2))
    assert one == two
    assert one.one_minus_roca_interval is not None
    assert one.one_minus_roca_interval.low <= one.one_minus_roca <= one.one_minus_roca_interval.high


@pytest.mark.parametrize(
    ("labels", "scores"), [([True], [1.0]), ([True, False], [1.0]), ([True, False], [1.0, float("nan")])]
)
def test_nothing_to_measure(labels: list[bool], scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        measure(labels, scores)
