"""Scores fitted to labelled mail: bounds, caps, the stated rate, and what is seldom seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.sparse import csr_matrix

from filterd.classifier.tuning import Evidence, Group, fit, tune

GOOD, WEAK, BOTH, WRONG, TAKES, RARE, FIXED = range(7)
START = np.array([1.0, 0.5, 1.0, 2.0, -1.0, 3.0, 2.0])
TAG = 5.0


def evidence(groups: tuple[Group, ...] = (), seed: int = 1) -> Evidence:
    """2,000 messages and seven rules: what each finds of spam, and of ham."""
    random = np.random.default_rng(seed)
    spam = np.arange(2000) % 2 == 0
    of_spam = np.array([0.7, 0.4, 0.5, 0.01, 0.02, 0.0, 0.3])
    of_ham = np.array([0.001, 0.05, 0.5, 0.2, 0.4, 0.0, 0.01])
    hits = (random.random((2000, 7)) < np.where(spam[:, None], of_spam, of_ham)).astype(float)
    hits[0, RARE] = 1
    high = np.where(START > 0, TAG - 0.1, 0.0)
    low = np.where(START > 0, 0.0, START)
    low[FIXED] = high[FIXED] = START[FIXED]
    return Evidence(
        csr_matrix(hits), spam, np.ones(2000), np.zeros(2000), START, low, high, threshold=TAG, groups=groups
    )


def test_signs_bounds_and_fixed_scores_are_kept() -> None:
    given = evidence()
    scores = fit(given, 1.0)
    assert (scores >= given.low).all()
    assert (scores <= given.high).all()
    assert scores[FIXED] == START[FIXED]
    assert scores[GOOD] > START[GOOD]
    assert scores[WRONG] == 0


def test_what_is_seldom_seen_stays_near_what_a_person_gave_it() -> None:
    assert abs(fit(evidence(), 1.0)[RARE] - START[RARE]) <= 0.5


def test_scores_are_whole_tenths() -> None:
    scores = fit(evidence(), 4.0) * 10
    np.testing.assert_allclose(scores, np.round(scores), atol=1e-9)


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.001])
def test_the_rate_holds_on_mail_that_the_fit_has_not_seen(rate: float) -> None:
    given = evidence()
    tuned = tune(given, rate)
    assert np.mean(tuned.unseen[~given.spam] >= TAG) <= rate
    fresh = evidence(seed=2)
    assert np.mean(fresh.points(tuned.scores)[~fresh.spam] >= TAG) <= rate + 0.01


def test_a_looser_rate_catches_no_less() -> None:
    given = evidence()
    caught = [np.mean(tune(given, rate).unseen[given.spam] >= TAG) for rate in (0.001, 0.01, 0.1)]
    assert caught == sorted(caught)


def test_a_cap_is_part_of_the_sum() -> None:
    capped = evidence((Group(np.array([GOOD, WEAK, FIXED]), 2.5),))
    scores = np.array([4.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0])
    both = capped.hits.toarray()[:, [GOOD, WEAK, FIXED]].sum(axis=1) >= 2
    assert capped.points(scores)[both].max() == pytest.approx(2.5)
    assert tune(capped, 0.01).unseen.max() <= 2.5 + TAG * 3


def test_the_slopes_are_those_of_the_sum() -> None:
    capped = evidence((Group(np.array([GOOD, WEAK]), 1.7),))
    of_points = np.random.default_rng(3).normal(size=2000)
    away = check_grad(
        lambda scores: float(of_points @ capped.points(scores)),
        lambda scores: capped.slopes(scores, of_points),
        START + 0.37,
    )
    assert away < 1e-3


def test_the_same_evidence_gives_the_same_scores() -> None:
    np.testing.assert_array_equal(tune(evidence(), 0.01).scores, tune(evidence(), 0.01).scores)


def test_one_class_alone_is_refused() -> None:
    given = evidence()
    with pytest.raises(ValueError, match="both ham and spam"):
        tune(given.part(np.flatnonzero(given.spam)), 0.01)


def test_where_nothing_was_found_nothing_changes() -> None:
    nothing = np.zeros(0)
    given = Evidence(
        csr_matrix((4, 0)), np.array([True, False] * 2), np.ones(4), np.zeros(4), nothing, nothing, nothing, TAG
    )
    assert tune(given, 0.01).scores.size == 0
