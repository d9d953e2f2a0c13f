"""Canonical forms are dkimpy's, byte for byte, and linear."""

from __future__ import annotations

import time

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filterd.auth.canonical import relaxed, relaxed_body, simple_body, without_signature

BODIES = st.lists(st.sampled_from([b"a", b"b:", b" ", b"\t", b"  ", b"\r\n", b"\r", b"\n", b"=", b"\0"])).map(b"".join)


@settings(max_examples=1000)
@given(BODIES)
@example(b"")
@example(b" ")
@example(b"\r\n\r\n")
@example(b"\n\r\n\r\n")
@example(b"a\r\r\n\r\n")
@example(b"a \t")
def test_bodies_are_as_dkimpy_has_them(body: bytes) -> None:
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)
    assert simple_body(body) == Simple.canonicalize_body(body)


def test_header_fields_are_relaxed() -> None:
    assert relaxed(b"SubJect : a\r\n\t b  c \r\n") == b"subject:a b c\r\n"


@pytest.mark.parametrize(
    ("field", "without"),
    [
        (b"D: v=1; b=abc=; bh=xyz=\r\n", b"D: v=1; b=; bh=xyz=\r\n"),
        (b"D: bh=b=; b = a\r\n b\r\n", b"D: bh=b=; b ="),
        (b"D: v=1;b=a\r\n", b"D: v=1;b="),
    ],
)
def test_the_signature_is_taken_out_of_its_field(field: bytes, without: bytes) -> None:
    assert without_signature(field) == without


@pytest.mark.parametrize(
    "body",
    [
        b" " * 4_000_000,
        (b" " * 990 + b"\r\n") * 4_000,
        b"\r\n" * 2_000_000,
        b"\r\n" * 1_000_000 + b"\r",
        b"\t \r" * 1_000_000,
    ],
)
def test_white_space_bombs_take_linear_time(body: bytes) -> None:
    start = time.process_time()
    relaxed_body(body)
    simple_body(body)
    assert time.process_time() - start < 2
