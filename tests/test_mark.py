"""The release mark: good for one item, one recipient, one body and some days; worth nothing after a changed bit."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.mark import MarkError, make, spent_by

KEY = b"k" * 32
RAW = b"Subject: x\r\nTo: y\r\n\r\nA body.\r\n.\r\nMore.\r\n"
ANN = "Ann@example.org"
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
UNTIL = NOW.timestamp() + 100
MARK = make(KEY, "ITEM", ANN, RAW, UNTIL)


def test_holds() -> None:
    mark = spent_by([MARK], ANN, RAW, KEY, NOW)
    assert mark.id.startswith("ITEM.")
    assert mark.expires == UNTIL


@pytest.mark.parametrize(
    "raw",
    [
        b"Received: by mx\r\n" + RAW,
        RAW.replace(b"\r\n", b"\n"),
        RAW + b"\r\n\r\n",
        RAW.rstrip(),
        memoryview(RAW),
        b"X-Filterd-Release: " + MARK.encode() + b"\r\n" + RAW,
    ],
)
def test_survives_what_relays_do(raw: bytes) -> None:
    assert spent_by(["forged", MARK.replace("; ", ";\r\n\t")], "Ann@EXAMPLE.org", raw, KEY, NOW)


@pytest.mark.parametrize(
    ("marks", "recipient", "raw", "key", "at"),
    [
        ([], ANN, RAW, KEY, NOW),
        ([MARK], "bob@example.org", RAW, KEY, NOW),
        ([MARK], "ann@example.org", RAW, KEY, NOW),
        ([MARK], ANN, RAW + b"x", KEY, NOW),
        ([MARK], ANN, b"", KEY, NOW),
        ([MARK], ANN, RAW, b"j" * 32, NOW),
        ([MARK], ANN, RAW, b"", NOW),
        ([MARK], ANN, RAW, KEY, NOW + datetime.timedelta(seconds=100)),
        ([MARK.replace("ITEM", "ITEN")], ANN, RAW, KEY, NOW),
        ([MARK.replace(f"expires={int(UNTIL)}", f"expires={int(UNTIL) + 1}")], ANN, RAW, KEY, NOW),
        ([MARK + "0"], ANN, RAW, KEY, NOW),
        ([MARK + "\0"], ANN, RAW, KEY, NOW),
        (["", ";", "v1;id=;expires=;mac=", "v1" * 10_000], ANN, RAW, KEY, NOW),
        (["x"] * 1000 + [MARK], ANN, RAW, KEY, NOW),
    ],
)
def test_does_not_hold(marks: list[str], recipient: str, raw: bytes, key: bytes, at: datetime.datetime) -> None:
    with pytest.raises(MarkError):
        spent_by(marks, recipient, raw, key, at)


def test_each_is_another() -> None:
    assert make(KEY, "ITEM", ANN, RAW, UNTIL) != MARK


@given(st.integers(0, len(MARK) - 1), st.integers(0, 6))
def test_a_changed_bit_is_worth_nothing(position: int, bit: int) -> None:
    changed = MARK[:position] + chr(ord(MARK[position]) ^ 1 << bit) + MARK[position + 1 :]
    if "".join(changed.split()) == "".join(MARK.split()):
        return
    with pytest.raises(MarkError):
        spent_by([changed], ANN, RAW, KEY, NOW)


@given(st.text(max_size=200), st.text(max_size=50), st.binary(max_size=200))
def test_nothing_strange_raises_anything_else(value: str, recipient: str, raw: bytes) -> None:
    with pytest.raises(MarkError):
        spent_by([value, MARK], recipient, raw, KEY, NOW)
