"""The bytes of DATA: where they end, what is unstuffed, normalised or refused, how much memory they take."""

from __future__ import annotations

import json
import mmap
import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.frontends.smtp.data import Dotted, Trouble
from filterd.frontends.spool import MappedMessage, Memory

ENDINGS = json.loads((Path(__file__).parents[1] / "data" / "smuggling_endings.json").read_text())


def collected(wire: bytes, step: int = 1 << 16, *, normalize: bool = True, limit: int = 10**8) -> Dotted:
    """The collector after `wire`, which must have ended."""
    collector = Dotted(limit, Memory(10**9), normalize=normalize)
    for at in range(0, len(wire), step):
        after = collector.feed(wire[at : at + step])
        if after is not None:
            return collector
    raise AssertionError("no end of data")


def slowly(wire: bytes) -> bytes:
    """What `wire` means, written as plainly as RFC 5321 says it."""
    content = (b"\r\n" + wire).split(b"\r\n.\r\n")[0] + b"\r\n"
    content = content.replace(b"\r\n.", b"\r\n")[2:]
    return re.sub(rb"\r\n|\r|\n", b"\r\n", content)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"x\r\n.\r\n", b"x\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b"..x\r\n.\r\n", b".x\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\r\n\r\n..\r\n..\r\nb\r\n.\r\n", b"a\r\n\r\n.\r\n.\r\nb\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\rb\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a\r\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\n\rb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"\n\r\n.\r\n", b"\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_what_a_message_is(wire: bytes, message: bytes, step: int) -> None:
    collector = collected(wire, step)
    assert collector.trouble is None
    assert collector.message() == message == slowly(wire)
    assert collector.size == len(message)


@given(st.text(alphabet="\r\n.ax", max_size=60), st.lists(st.integers(1, 9), max_size=60))
def test_the_meaning_does_not_depend_on_how_the_bytes_are_cut(text: str, steps: list[int]) -> None:
    wire = text.encode() + b"\r\n.\r\nREST"
    whole = Dotted(10**6, Memory(10**6))
    rest = whole.feed(wire)
    cut = Dotted(10**6, Memory(10**6))
    at, after = 0, None
    for step in [*steps, len(wire)]:
        after = cut.feed(wire[at : at + step])
        at += step
        if after is not None:
            break
    assert cut.message() == whole.message() == slowly(wire)
    assert rest is not None
    assert after is not None
    assert rest == after + wire[at:]


@pytest.mark.parametrize("name", ENDINGS)
def test_data_ends_at_crlf_dot_crlf_and_nowhere_else(name: str) -> None:
    ending = ENDINGS[name].encode()
    inside = b"first" + ending + b"MAIL FROM:<evil@example.net>\r\n"
    collector = Dotted(10**6, Memory(10**6))
    after = collector.feed(b"Subject: x\r\n\r\n" + inside)
    legally_over = b"\r\n.\r\n" in ending
    assert (after is not None) is legally_over
    if legally_over:
        return
    assert collector.feed(b".\r\n") == b""
    if b"\0" in ending:
        assert collector.trouble is Trouble.NUL
        return
    message = bytes(collector.message())
    assert b"MAIL FROM" in message
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", message), "nothing with a bare CR or LF goes on"


@pytest.mark.parametrize("name", ENDINGS)
def test_bare_newlines_are_refused_when_so_set(name: str) -> None:
    ending = ENDINGS[name].encode()
    if b"\r\n.\r\n" in ending:
        pytest.skip("a legal end of data")
    collector = collected(b"x" + ending + b"y\r\n.\r\n", normalize=False)
    assert collector.trouble in (Trouble.BARE, Trouble.NUL)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_nul_is_refused_and_drained(step: int) -> None:
    collector = collected(b"a\0b\r\n" * 100 + b".\r\n", step)
    assert collector.trouble is Trouble.NUL


def test_what_follows_the_end_is_given_back() -> None:
    collector = Dotted(1000, Memory(1000))
    assert collector.feed(b"x\r\n.\r\nQUIT\r\n") == b"QUIT\r\n"


def test_too_large_is_drained_in_bounded_memory() -> None:
    line = b"y" * 998 + b"\r\n"
    chunk = line * 64
    memory = Memory(10**9)
    collector = Dotted(2_000_000, memory)
    tracemalloc.start()
    for _ in range(2000):  # 128 MB
        assert collector.feed(chunk) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert collector.feed(b".\r\n") == b""
    assert collector.trouble is Trouble.SIZE
    assert memory.taken == 0
    assert peak < 5_000_000


def test_a_message_of_exactly_the_limit_is_taken() -> None:
    assert collected(b"12345678\r\n.\r\n", limit=10).trouble is None
    assert collected(b"123456789\r\n.\r\n", limit=10).trouble is Trouble.SIZE


def test_a_large_message_is_a_mapped_file_without_a_name() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    memory = Memory(10**9)
    collector = Dotted(10**8, memory)
    line = b"z" * 76 + b"\r\n"
    for _ in range(50):
        assert collector.feed(line * 1000) is None
    assert memory.taken == 0
    assert collector.feed(b".\r\n") == b""
    view = collector.message()
    assert isinstance(view, memoryview)
    mapped = view.obj
    assert isinstance(mapped, MappedMessage)
    assert isinstance(mapped, mmap.mmap)
    assert os.fstat(mapped.fileno()).st_nlink == 0
    assert bytes(view) == line * 50_000
    del view, mapped
    collector.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_view_in_use_outlives_the_collector() -> None:
    collector = collected((b"z" * 76 + b"\r\n") * 20_000 + b".\r\n")
    view = collector.message()
    assert isinstance(view, memoryview)
    part = view[:78]
    collector.close()
    assert bytes(part) == b"z" * 76 + b"\r\n"


def test_when_memory_is_short_small_messages_go_to_files_too() -> None:
    memory = Memory(10_000)
    first = Dotted(10**6, memory)
    first.feed(b"x" * 9000)
    second = Dotted(10**6, memory)
    second.feed(b"y" * 5000 + b"\r\n.\r\n")
    assert memory.taken == 9000
    assert isinstance(second.message(), memoryview)
    first.close()
    second.close()
    assert memory.taken == 0


def test_no_room_on_disk_is_temporary(tmp_path: Path) -> None:
    collector = Dotted(10**8, Memory(10**9), spool=tmp_path / "not-there")
    collector.feed(b"x" * 2_000_000)
    assert collector.feed(b"\r\n.\r\n") == b""
    assert collector.trouble is Trouble.STORAGE
