"""Labelled messages: an index as the TREC spam track has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.learning import LearningError
from filterd.learning.labelled import Sources, take
from tests.learning.letters import letter

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


@pytest.mark.parametrize(
    "lines",
    [
        b"ham ../data/inmail.0\r\nSPAM ../data/inmail.1\r\n",
        b"\xef\xbb\xbfHam\t../data/inmail.0\n\n  spam   ../data/inmail.1  ",
        b"ham ../data/../data/inmail.0\rSpam ./../data/inmail.1\r",
    ],
)
def test_an_index_is_read_however_it_was_written(tmp_path: Path, lines: bytes) -> None:
    index = corpus(tmp_path, 2)
    index.write_bytes(lines)
    assert [(one.spam, Path(one.path).name) for one in Sources(index=index)] == [
        (False, "inmail.0"),
        (True, "inmail.1"),
    ]


def test_a_line_that_comes_twice_is_two_messages(tmp_path: Path) -> None:
    index = corpus(tmp_path, 1)
    index.write_bytes(b"ham ../data/inmail.0\nspam ../data/inmail.0\n")
    assert [one.spam for one in Sources(index=index)] == [False, True]


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    index = corpus(tmp_path, 1)
    os.mkfifo(tmp_path / "data" / "pipe")
    index.write_bytes(b"ham ../data/pipe\nham ../data\nham /dev/zero\nham a\0b\nham \xff\xfe\nham ../data/inmail.0\n")
    sources = Sources(index=index)
    assert [Path(one.path).name for one in sources] == ["inmail.0"]
    assert len(sources.unreadable) == 5


@pytest.mark.parametrize("lines", [b"ham\n", b"maybe ../data/inmail.0\n", b"\0\0\0\n", b"From: ann\r\n\r\nspam x"])
def test_a_line_that_is_none_is_told_with_its_number(tmp_path: Path, lines: bytes) -> None:
    index = corpus(tmp_path, 1)
    index.write_bytes(lines)
    with pytest.raises(LearningError, match=r"index:1: a line is `spam PATH` or `ham PATH`"):
        list(Sources(index=index))


def test_from_another_folder_a_delayed_noisy_stream_is_measured_and_what_is_missing_said(tmp_path: Path) -> None:
    (tmp_path / "trec" / "data").mkdir(parents=True)
    (tmp_path / "trec" / "full").mkdir()
    lines = []
    for number in range(60):
        (tmp_path / "trec" / "data" / f"inmail.{number}").write_bytes(letter(number, spam=number % 2 == 1))
        lines.append(f"{'spam' if number % 2 else 'ham'} ../data/inmail.{number}\n")
    (tmp_path / "trec" / "full" / "index").write_text("".join(lines) + "spam ../data/inmail.99\n")
    options = ["--delay", "5", "--noise", "0.1", "--report", "out", "--bootstrap", "20", "--json", "-c", "c.yaml"]
    (tmp_path / "c.yaml").write_text(f'{{"hostname": "mx.example.org", "state": "{tmp_path}/state"}}')
    command = [sys.executable, "-m", "filterd", "evaluate", "--online", "--index", "trec/full/index", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "inmail.99: No such file or directory" in done.stderr
    found = json.loads(done.stdout)
    assert (found["ham"], found["spam"], found["unreadable"]) == (30, 30, 1)
    assert found["milliseconds"] > 0
    for name in ("one_minus_roca", "lam", "spam_missed_at_hm_1", "spam_missed_at_hm_01", "calibration_error"):
        assert 0 <= found[name] <= 100
    for name in ("one_minus_roca", "spam_missed_at_hm_1", "spam_missed_at_hm_01"):
        assert found[f"{name}_interval"]["low"] <= found[f"{name}_interval"]["high"]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"metrics.json", "index.html", "roc.png"}
