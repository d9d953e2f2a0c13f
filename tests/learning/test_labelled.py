"""Labelled messages: an index as the TREC spam track has it."""

from __future__ import annotations

from pathlib import Path

from filterd.learning.labelled import Sources, take

_MBOX = b"From ann@example.net  Sun Apr  8 13:07:32 2007\n"
_LETTER = b"From: ann@example.net\nSubject: %d\n\nHello.\n\nFrom now on, all is one message.\n\n>From here too.\n"


def corpus(folder: Path, count: int) -> Path:
    """Each file begins as an mbox does, and has lines in its body that look like the next message's."""
    (folder / "data").mkdir()
    (folder / "full").mkdir()
    for number in range(count):
        (folder / "data" / f"inmail.{number}").write_bytes(_MBOX + _LETTER % number)
    lines = [f"{'spam' if number % 2 else 'ham'} ../data/inmail.{number}\n" for number in range(count)]
    (folder / "full" / "index").write_text("".join(lines))
    return folder / "full" / "index"


def test_a_line_of_an_index_is_one_message(tmp_path: Path) -> None:
    found = list(Sources(index=corpus(tmp_path, 4)))
    assert [one.spam for one in found] == [False, True, False, True]
    assert found[3].raw == (_LETTER % 3).replace(b"\n", b"\r\n")


def test_a_file_that_is_not_there_is_counted(tmp_path: Path) -> None:
    sources = Sources(index=corpus(tmp_path, 4))
    (tmp_path / "data" / "inmail.2").unlink()
    assert [one.spam for one in take(sources, None)] == [False, True, True]
    assert [Path(one.path).name for one in sources.unreadable] == ["inmail.2"]
