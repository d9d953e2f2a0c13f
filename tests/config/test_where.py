"""`filterd config where`: every value names its place, also inside lists, policies and the files that settings name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filterd.cli import main

CONFIG = """\
hostname: mx.example.org
domains: domains
state: {folder}
listeners:
  - protocol: smtp
    listen: "127.0.0.1:10025"
    relay: smtp://127.0.0.1:10026
thresholds: {{tag: 4}}
groups:
  board:
    - ann@example.org
    - board.example.org
policies:
  - name: board
    groups: [board]
    thresholds:
      quarantine: 6
    rules_off: [REPLYTO_FREEMAIL]
access: {folder}/access
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "domains").write_text("# ours\nexample.org\nexample.net\n")
    (tmp_path / "access").write_text("# ours\n\ndeny bad.example\n")
    file = tmp_path / "filterd.yaml"
    file.write_text(CONFIG.format(folder=tmp_path))
    return file


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("hostname", "mx.example.org", "filterd.yaml:1"),
        ("domains[1]", "example.net", "domains"),
        ("listeners[0].listen[0]", "127.0.0.1:10025", "filterd.yaml:6"),
        ("listeners[0].enforce", True, "default"),
        ("thresholds.tag", 4, "filterd.yaml:8"),
        ("thresholds.quarantine", 8, "default"),
        ("groups.board[1]", "board.example.org", "filterd.yaml:12"),
        ("policies[0].thresholds.quarantine", 6, "filterd.yaml:17"),
        ("policies[0].thresholds.tag", "site", "default"),
        ("policies[0].rules_off[0]", "REPLYTO_FREEMAIL", "filterd.yaml:18"),
        ("policies[0].enforce", None, "default"),
        ("access[2]", "deny bad.example", "access:3"),
        ("rules.disable", [], "default"),
        ("tagging.subject", "", "default"),
    ],
)
def test_where_a_value_came_from(
    key: str, value: object, place: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "where", key, "--json", "-c", str(config)])
    assert ended.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["value"], said["from"]) == (value, place if place == "default" else f"{config.parent}/{place}")


def test_every_setting_has_a_place(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["config", "show", "-c", str(config)])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) > 100
    assert all(line.rstrip().endswith("default") or f"{config.parent}/" in line for line in lines)


def test_an_unknown_key_has_a_nearest_one(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "where", "policies[0].rule_off", "-c", str(config)])
    assert ended.value.code == 2
    said = "there is no setting policies[0].rule_off; did you mean policies[0].rules_off?"
    assert capsys.readouterr().err.strip().endswith(said)
