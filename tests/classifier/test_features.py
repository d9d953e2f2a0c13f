"""Golden cases, sameness of what should be the same, and hostile messages.

A case is a message in tests/cases/classifier and its line in golden.json. When an extraction changes on purpose,
raise features.VERSION and run `python tests/classifier/test_features.py` to pin the new numbers.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.classifier.features import BLOCKS, SIZE, VERSION, VIEWS, Features, opening
from filterd.mail import Message

CASES = Path(__file__).parents[1] / "cases" / "classifier"
GOLDEN = CASES / "golden.json"


def fingerprint(features: Features) -> dict[str, object]:
    views = {
        **dict(zip(VIEWS, features.site, strict=True)),
        **{block.name: found for block, found in zip(BLOCKS, features.portable, strict=True)},
    }
    return {
        "shape tokens": features.shape,
        **{
            name: f"{len(view)} {hashlib.sha256(view.astype('<u4').tobytes()).hexdigest()[:16]}"
            for name, view in views.items()
        },
    }


def case(name: str) -> bytes:
    return (CASES / name).read_bytes()


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.eml")))
def test_golden(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["version"] == VERSION
    assert fingerprint(Features(Message(case(name)))) == golden["cases"][name]


@pytest.mark.parametrize("name", ["plain.eml", "html.eml", "attachment.eml"])
def test_line_ends_do_not_matter(name: str) -> None:
    raw = case(name)
    wire = Features(Message(raw.replace(b"\n", b"\r\n")))
    for one, other in zip(wire.site, Features(Message(raw)).site, strict=True):
        assert (one == other).all()


@pytest.mark.parametrize(
    "field",
    [
        b"X-Spam-Status: Yes, score=11.3\n\trequired=5.0\n",
        b"X-Filterd-Id: 01J\n",
        b"x-quarantine-id: <1>\n",
        b"X-Spamd-Result: default: False\n",
        b"X-Bogosity: Spam\n",
        b"Authentication-Results: mx.example.org; spf=pass\n",
        b"ARC-Seal: i=1; a=rsa-sha256;\n b=AAAA\n",
    ],
)
def test_verdicts_are_not_seen(field: bytes) -> None:
    plain, marked = Features(Message(case("plain.eml"))), Features(Message(field + case("plain.eml")))
    assert all((one == other).all() for one, other in zip(plain.site, marked.site, strict=True))
    assert plain.shape == marked.shape


def test_traces_of_delivery_are_not_portable() -> None:
    raw = case("plain.eml")
    moved = raw.replace(b"bob@example.org", b"eve@other.example").replace(b"6 May 2024", b"7 Jun 2031")
    moved = b"Received: from a by b; Mon, 6 May 2024 10:00:01 +0000\nDelivered-To: eve@other.example\n" + moved
    portable = [list(view) for view in Features(Message(raw)).portable]
    assert portable == [list(view) for view in Features(Message(moved)).portable]


def test_the_opening_is_cut_after_the_verdicts() -> None:
    verdicts, subject = b"X-Spam-Level: ***\n" * 50, b"Subject: a\n\n"
    assert opening(verdicts + subject + b"b" * 20_000)[0] == b"Subject: a\n"
    marked, plain = (Features(Message(raw + subject + bytes(range(250)) * 40)) for raw in (verdicts, b""))
    assert (marked.raw == plain.raw).all()
    assert 0 < len(plain.header) < len(plain.raw)


def test_the_header_view_is_blind_to_the_body() -> None:
    raw = case("plain.eml")
    other = raw.partition(b"\n\n")[0] + b"\n\nsomething else\n"
    assert (Features(Message(raw)).header == Features(Message(other)).header).all()
    assert len(Features(Message(raw)).header) > 20


@pytest.mark.parametrize("raw", [b"", b"\n", b"a", b"\r\n\r\n", b"Subject: a\n\n", b"\n\nx"])
def test_next_to_nothing(raw: bytes) -> None:
    features = Features(Message(raw))
    assert features.raw.dtype == np.uint32
    assert all(len(view) <= 4096 for view in (*features.site, *features.portable))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_give_sorted_indices_in_range(raw: bytes) -> None:
    features = Features(Message(b"Subject: =?x?q?=ff?=\nFrom: a@b, c@d\n" + raw))
    sizes = (*(SIZE for _ in VIEWS), *(block.size for block in BLOCKS))
    for view, size in zip((*features.site, *features.portable), sizes, strict=True):
        assert (np.diff(view.astype(np.int64)) > 0).all()
        assert not len(view) or int(view[-1]) < size


def test_a_hundred_megabytes_cost_little_more_than_one() -> None:
    message = Message(b"Subject: big\n\n" + b"spam and eggs, eggs and spam " * 3_600_000)
    assert len(message.text) > 0
    start = time.process_time()
    features = Features(message)
    assert len(features.raw) > 0
    assert len(features.text) > 0
    assert time.process_time() - start < 1.0


def write_golden() -> None:
    cases = {path.name: fingerprint(Features(Message(path.read_bytes()))) for path in sorted(CASES.glob("*.eml"))}
    GOLDEN.write_text(json.dumps({"version": VERSION, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    write_golden()
