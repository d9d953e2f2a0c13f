"""filterd review, as a postmaster at a terminal or a script has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filterd.cli import main
from filterd.learning import Klass, LearningLimits, Request
from filterd.learning.learner import open_learner
from filterd.store import Store, Way
from tests.learning.letters import letter


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A state in which ann's two releases wait, and what eve reported was learnt."""
    state = tmp_path / "state"
    store = Store.open(state)
    with open_learner(state, store, None, LearningLimits()) as learner:
        for number in range(2):
            raw = letter(number, spam=False)
            learner.handle(Request(klass=Klass.HAM, raw=raw, reporter="ann", by="web:ann", way=Way.RELEASE))
        for number in range(3):
            raw = letter(number, spam=True)
            learner.handle(Request(klass=Klass.SPAM, raw=raw, reporter="eve", by="smtp", way=Way.REPORT))
    store.close()
    file = tmp_path / "filterd.yaml"
    file.write_text(f"state: {state}\n")
    return file


def run(config: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["review", *arguments, "-c", str(config)])
    return int(ended.value.code or 0)


def listed(config: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run(config, "list", "--json", *arguments) == 0
    return list(json.loads(capsys.readouterr().out))


def test_what_waits_is_listed_and_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(config, capsys)
    assert [(one["spam"], one["way"], one["reporter"], one["state"]) for one in found] == [
        (False, "release", "ann", "pending")
    ] * 2
    assert len(listed(config, capsys, "--state", "all")) == 5
    assert listed(config, capsys, "--reporter", "eve") == []
    assert len(listed(config, capsys, "--reporter", "EVE", "--state", "accepted", "--class", "spam")) == 3
    assert run(config, "show", found[0]["id"]) == 0
    assert "release" in capsys.readouterr().out
    assert run(config, "show", "--raw", found[0]["id"]) == 0
    assert capsys.readouterr().out.encode() == letter(1, spam=False)


def test_accept_reject_and_undo(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second, first = (one["id"] for one in listed(config, capsys))
    assert run(config, "accept", first) == 0
    assert capsys.readouterr().out == "1 accepted; labels now: 1 ham, 3 spam\n"
    assert run(config, "reject", second, "--note", "a newsletter", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"id": second, "done": True, "why": ""}]
    assert run(config, "reject", second) == 2
    assert "it is rejected already" in capsys.readouterr().err
    assert run(config, "undo", second) == 0
    assert capsys.readouterr().out == "1 undone; labels now: 1 ham, 3 spam\n"
    assert [one["id"] for one in listed(config, capsys)] == [second]


def test_a_flood_is_undone_by_its_reporter(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "undo", "--reporter", "eve", "--dry-run", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert run(config, "undo", "--reporter", "eve") == 0
    assert capsys.readouterr().out == "3 undone; labels now: 0 ham, 0 spam\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["accept"], "name suggestions by id, or say which ones"),
        (["undo", "--reporter", "eve", "X"], "not both"),
        (["accept", "nothing"], "there is no suggestion nothing"),
        (["list", "--class", "junk"], "--class junk is not one of spam, ham"),
        (["list", "--way", "telepathy"], "--way telepathy is not one of"),
    ],
)
def test_what_is_asked_wrongly(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert run(config, *arguments) == 2
    assert why in capsys.readouterr().err
