"""How good a ranking of messages is, in the TREC spam track's measures, with intervals.

In go labels (True is spam) and scores, log-odds where higher is spammier; out come `Metrics`. Percentages
all through. Pure and deterministic: the bootstrap has a seed. ValueError when a class is absent or a score
is not finite, for then there is nothing to measure.

1-ROCA % is 100 (1 - AUC), ties counted half. LAM % is the logistic mean of the two misclassification rates
at score 0 (Cormack and Lynam, TREC 2005); a rate of nothing counts as half a message. sm@hm.1% is the spam
missed when at most 0.1 % of ham is blocked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

BINS = 20


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % of the bootstrap's values lie in it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """All in percent but the counts."""

    ham: int
    spam: int
    one_minus_roca: float
    lam: float
    ham_misclassified: float  # at score 0
    spam_misclassified: float
    spam_missed_at_hm_1: float  # at 0.1 % of ham blocked
    spam_missed_at_hm_01: float  # at 0.01 %
    calibration_error: float
    one_minus_roca_interval: Interval | None = None
    spam_missed_at_hm_1_interval: Interval | None = None
    spam_missed_at_hm_01_interval: Interval | None = None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def measure(labels: Sequence[bool] | Booleans, scores: ArrayLike, bootstrap: int = 0, seed: int = 0) -> Metrics:
    """Everything at once; `bootstrap` resamples, by class, give the intervals."""
    truth, values = _checked(labels, scores)
    hm = float(np.mean(values[~truth] > 0))
    sm = float(np.mean(values[truth] <= 0))
    roca, missed, missed_most = _bootstrap(truth, values, bootstrap, seed)
    return Metrics(
        ham=int((~truth).sum()),
        spam=int(truth.sum()),
        one_minus_roca=one_minus_roca(truth, values),
        lam=_lam(hm, sm, int((~truth).sum()), int(truth.sum())),
        ham_misclassified=100 * hm,
        spam_misclassified=100 * sm,
        spam_missed_at_hm_1=spam_missed(truth, values, 0.001),
        spam_missed_at_hm_01=spam_missed(truth, values, 0.0001),
        calibration_error=calibration_error(truth, values),
        one_minus_roca_interval=roca,
        spam_missed_at_hm_1_interval=missed,
        spam_missed_at_hm_01_interval=missed_most,
    )


def one_minus_roca(labels: Sequence[bool] | Booleans, scores: ArrayLike) -> float:
    """100 (1 - area under the ROC curve): how often a random ham outranks a random spam."""
    truth, values = _checked(labels, scores)
    ham = np.sort(values[~truth])
    above = len(ham) - np.searchsorted(ham, values[truth], side="right")
    level = len(ham) - np.searchsorted(ham, values[truth], side="left") - above
    return float(100 * (above + level / 2).mean() / len(ham))


def threshold_at(ham_scores: ArrayLike, rate: float) -> float:
    """The lowest threshold that at most `rate` of ham scores lie above."""
    ordered = np.sort(np.asarray(ham_scores, dtype=np.float64))[::-1]
    return float(ordered[min(int(rate * len(ordered)), len(ordered) - 1)])


def spam_missed(labels: Sequence[bool] | Booleans, scores: ArrayLike, rate: float) -> float:
    """The percentage of spam not above the threshold at which at most `rate` of ham is."""
    truth, values = _checked(labels, scores)
    return float(100 * np.mean(values[truth] <= threshold_at(values[~truth], rate)))


def calibration_error(labels: Sequence[bool] | Booleans, scores: ArrayLike) -> float:
    """Expected calibration error in percent: |predicted - observed| over 20 bins of equal mass."""
    truth, values = _checked(labels, scores)
    order = np.argsort(values, kind="stable")
    predicted = probability(values[order])
    gaps = [
        abs(predicted[part].mean() - truth[order][part].mean()) * len(part)
        for part in np.array_split(np.arange(len(order)), BINS)
        if len(part)
    ]
    return float(100 * sum(gaps) / len(order))


def roc(labels: Sequence[bool] | Booleans, scores: ArrayLike) -> tuple[Floats, Floats]:
    """(ham misclassified, spam missed) at every threshold, from the strictest down; fractions."""
    truth, values = _checked(labels, scores)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
    blocked = np.cumsum(~truth[order])[ends] / (~truth).sum()
    missed = 1 - np.cumsum(truth[order])[ends] / truth.sum()
    return np.concatenate(([0.0], blocked)), np.concatenate(([1.0], missed))


def probability(log_odds: ArrayLike) -> Floats:
    """The logistic function, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(log_odds, dtype=np.float64))))


def _lam(hm: float, sm: float, ham: int, spam: int) -> float:
    rates = [min(max(rate, 0.5 / count), 1 - 0.5 / count) for rate, count in ((hm, ham), (sm, spam))]
    mean = sum(np.log(rate / (1 - rate)) for rate in rates) / 2
    return float(100 / (1 + np.exp(-mean)))


def _bootstrap(truth: Booleans, values: Floats, count: int, seed: int) -> Sequence[Interval | None]:
    """Of 1-ROCA and of the spam missed at 0.1 % and 0.01 % of ham."""
    if not count:
        return None, None, None
    random = np.random.Generator(np.random.PCG64(seed))
    ham, spam = values[~truth], values[truth]
    labels = np.repeat([False, True], [len(ham), len(spam)])
    drawn = []
    for _ in range(count):
        sample = np.concatenate((random.choice(ham, len(ham)), random.choice(spam, len(spam))))
        missed = (spam_missed(labels, sample, rate) for rate in (0.001, 0.0001))
        drawn.append((one_minus_roca(labels, sample), *missed))
    bounds = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    return [Interval(float(low), float(high)) for low, high in bounds.T]


def _checked(labels: Sequence[bool] | Booleans, scores: ArrayLike) -> tuple[Booleans, Floats]:
    truth = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError("labels and scores must be two lists of the same length")
    if truth.all() or not truth.any():
        raise ValueError("there must be ham and spam to measure")
    if not np.isfinite(values).all():
        raise ValueError("a score is not a finite number")
    return truth, values
