"""Messages from files, mboxes and folders, in wire form. The command line's tests go through all kinds of places."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.sources import Found, Unreadable, read_sources, wire_form


def test_every_line_end_becomes_crlf() -> None:
    assert wire_form(b"a\nb\r\nc\rd\r\r\n\n") == b"a\r\nb\r\nc\r\nd\r\n\r\n\r\n"


def test_an_mbox_is_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "box"
    path.write_bytes(
        b"From a@b Sat Jan 10 08:30:00 2026\nSubject: 1\n\n>From the start\n>>From twice\nFrom me, in mid-text\n\n"
        b"From c@d Sat Jan 10 08:31:00 2026\nSubject: 2\n\nbody\n"
    )
    first, second = read_sources([str(path)])
    assert first == Found(f"{path}#1", b"Subject: 1\r\n\r\nFrom the start\r\n>From twice\r\nFrom me, in mid-text\r\n")
    assert second == Found(f"{path}#2", b"Subject: 2\r\n\r\nbody\r\n")


def test_what_is_too_large_is_not_read_into_memory(tmp_path: Path) -> None:
    box, single, wide = tmp_path / "box", tmp_path / "single", tmp_path / "wide"
    box.write_bytes(b"From x\nSubject: 1\n\n" + b"x\n" * 1000 + b"\nFrom x\nSubject: 2\n\nok\n")
    single.write_bytes(b"Subject: 3\n\n" + b"x\n" * 1000)
    wide.write_bytes(b"x" * 2000)
    found = list(read_sources([str(box), str(single), str(wide)], limit=500))
    assert [type(one) for one in found] == [Unreadable, Found, Unreadable, Unreadable]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Subject: x\n\nbody\n")))
    assert list(read_sources(["-"])) == [Found("-", b"Subject: x\r\n\r\nbody\r\n")]


def test_what_is_not_there_is_said() -> None:
    assert list(read_sources(["/nowhere/at/all"])) == [Unreadable("/nowhere/at/all", "No such file or directory")]


def test_an_empty_file_is_an_empty_message(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_sources([str(tmp_path)])) == [Found(str(tmp_path / "empty"), b"")]


@given(st.text("\r\nab", max_size=60))
def test_wire_form_ends_every_line_the_same(text: str) -> None:
    raw = text.encode()
    assert wire_form(raw) == re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
