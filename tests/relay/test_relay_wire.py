"""What leaves is what came, dots stuffed after CRLF only; a bare CR or LF is never sent."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.relay.wire import PIECE, BareNewline, pieces, stuffed

LINES = st.lists(
    st.sampled_from([b"", b".", b"..", b".x", b"x", b"\x00", b"\xff\xfe", b"long " * 300])
    | st.binary(max_size=8).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
    max_size=12,
)


def unstuffed(wire: bytes) -> bytes:
    """As a receiver reads it (RFC 5321 section 4.5.2): line by line to the lone dot, then nothing."""
    *lines, rest = wire.split(b"\r\n")
    assert rest == b""
    assert lines.index(b".") == len(lines) - 1
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-1])


@given(LINES, st.booleans(), st.lists(st.integers(0, 200), max_size=6))
def test_content_survives_however_it_is_cut(lines: list[bytes], whole: bool, cuts: list[int]) -> None:
    content = b"\r\n".join(lines) + (b"\r\n" if whole else b"")
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    chunks = [memoryview(content)[start:end] for start, end in pairwise(edges)]
    expected = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    assert unstuffed(b"".join(stuffed(chunks))) == expected
    assert b"".join(pieces(chunks)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"a\nb\r\n",
        b"a\rb\r\n",
        b"a\r\n\n",
        b"\r",
        b"\n",
        b"a\r",
        b"\r\r\n",
        b"a\n\r\n",
        b"a\r\n.\n",
        b"\n.\r\n",
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_bare_cr_or_lf_is_refused(content: bytes, cut: int) -> None:
    with pytest.raises(BareNewline):
        list(stuffed([content[:cut], content[cut:]]))


@settings(max_examples=300)
@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n."]), max_size=9))
def test_bare_newlines_are_found_at_every_cut(chunks: list[bytes]) -> None:
    content = b"".join(chunks)
    stray = content.replace(b"\r\n", b"")
    if b"\r" in stray or b"\n" in stray:
        with pytest.raises(BareNewline):
            list(stuffed(chunks))
    else:
        assert unstuffed(b"".join(stuffed(chunks))).removesuffix(b"\r\n") == content.removesuffix(b"\r\n")


def test_pieces_are_bounded_and_cut_within_crlf() -> None:
    content = b"x" * (PIECE - 1) + b"\r\n." + b"y" * PIECE + b"\r\n"
    parts = list(pieces([content]))
    assert max(map(len, parts)) <= PIECE + 1
    assert unstuffed(b"".join(stuffed([content]))) == content


def test_stuffing_is_linear() -> None:
    def seconds(size: int) -> float:
        content = b".\r\n" * size
        start = time.process_time()
        for _ in stuffed([content]):
            pass
        return time.process_time() - start

    seconds(1000)
    assert seconds(1_000_000) < 40 * max(seconds(100_000), 0.002)
