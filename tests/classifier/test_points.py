"""Probability to points: rising, capped, never more than one answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.classifier.points import HIGHEST, LOWEST, TAG_POINTS, TAG_PROBABILITY, log_odds, points


def test_what_stands_in_the_docs() -> None:
    assert points(log_odds(TAG_PROBABILITY)) == TAG_POINTS
    assert points(0.0) == 0
    assert points(math.inf) == HIGHEST < 800
    assert points(-math.inf) == LOWEST
    assert points(math.nan) == 0


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_rising(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert LOWEST <= points(low) <= points(high) <= HIGHEST


@pytest.mark.parametrize(("probability", "expected"), [(0.0, -math.inf), (1.0, math.inf), (0.5, 0.0)])
def test_log_odds(probability: float, expected: float) -> None:
    assert log_odds(probability) == expected
