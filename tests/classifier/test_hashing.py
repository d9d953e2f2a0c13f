"""The hashes are what they always were, and the fast way gives what the slow way would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.classifier import hashing

PINNED_WINDOWS = [41750316, 1067293892]
PINNED_TOKENS = [0, 3234379204, 317043707]


def as_list(hashes: hashing.Hashes) -> list[int]:
    return [int(one) for one in hashes]


def test_pinned() -> None:
    assert as_list(hashing.windows(hashing.as_bytes(b"spam!"))) == PINNED_WINDOWS
    assert as_list(hashing.finish(hashing.numbers([b"", b"a", b"viagra"]))) == PINNED_TOKENS


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc"])
def test_too_short_for_a_window(data: bytes) -> None:
    assert as_list(hashing.windows(hashing.as_bytes(data))) == []


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=30))
def test_a_token_is_the_same_wherever_it_stands(tokens: list[bytes]) -> None:
    together = hashing.numbers(tokens)
    alone = np.concatenate([hashing.numbers([token]) for token in tokens])
    assert (together == alone).all()


@given(st.binary(min_size=5, max_size=60))
def test_every_run_is_the_token_it_holds(data: bytes) -> None:
    runs = hashing.Prefix(hashing.as_bytes(data)).every(5)
    assert (runs == hashing.numbers([data[at : at + 5] for at in range(len(data) - 4)])).all()


def test_tokens_past_the_limit_do_not_fail() -> None:
    assert len(hashing.numbers([b"x" * hashing.LIMIT, b"y" * 10])) == 2


@given(st.lists(st.integers(0, 50)))
def test_unique(values: list[int]) -> None:
    assert as_list(hashing.unique(np.array(values, dtype=np.uint32))) == sorted(set(values))


def test_bits_are_spread() -> None:
    hashes = hashing.finish(hashing.numbers([str(n).encode() for n in range(2000)]))
    assert len(set(as_list(hashes))) == 2000
    ones = [int(((hashes >> np.uint32(bit)) & np.uint32(1)).sum()) for bit in range(32)]
    assert all(850 < count < 1150 for count in ones)
