"""From a calibrated probability to points: the one place where it is done.

In goes the log-odds of the calibrated probability; out come whole hundredths. Five points, the shipped tag
threshold, mean 97 %; even odds mean nothing. The classifier alone stays under the shipped quarantine
threshold, however sure it is: rules, authentication or the sender's history must supply the rest. For ham
it gives little, so that it cannot buy off a rule on a site that it does not know. Pure; finite for
anything, NaN counts as unsure.
"""

from __future__ import annotations

import math

TAG_PROBABILITY = 0.97
TAG_POINTS = 500
HIGHEST = 790  # just under the shipped quarantine threshold of 8.0
LOWEST = -100  # what a base model may take off

SLOPE = TAG_POINTS / math.log(TAG_PROBABILITY / (1 - TAG_PROBABILITY))  # hundredths a unit of log-odds


def points(log_odds: float, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
    """Hundredths for calibrated `log_odds`, rounded half away from zero, between the two caps."""
    exact = exact_points(log_odds, lowest, highest)
    return int(math.copysign(math.floor(abs(exact) + 0.5), exact))


def exact_points(log_odds: float, lowest: int = LOWEST, highest: int = HIGHEST) -> float:
    if math.isnan(log_odds):
        return 0.0
    return min(max(log_odds * SLOPE, float(lowest)), float(highest))


def log_odds(probability: float) -> float:
    """Of a probability; infinite at 0 and 1."""
    if not 0.0 < probability < 1.0:
        return math.inf if probability >= 1.0 else -math.inf
    return math.log(probability / (1.0 - probability))
