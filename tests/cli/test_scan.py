"""`filterd scan`: the contract's JSON, the exit codes, and every kind of place that holds messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from filterd.cli import main

CASES = Path(__file__).parents[1] / "cases" / "cli"
PLAIN, GTUBE = CASES / "plain.eml", CASES / "gtube.eml"

# the contract: `filterd scan --json`
KEYS = {
    "path", "id", "message_id", "action", "reason", "text", "score", "probability", "thresholds", "findings", "auth",
    "authentication_results", "urls", "attachments", "defects", "ambiguous", "model", "ruleset", "milliseconds",
    "policy", "recipients",
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "filterd.yaml"
    path.write_text(json.dumps({"hostname": "mx.example.org", "state": str(tmp_path), "rules": {"paths": []}}))
    return path


def scan(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    with pytest.raises(SystemExit) as ended:
        main(["scan", "-c", str(config), "--offline", "--json", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, [json.loads(line) for line in out.splitlines()], err


def test_json_is_the_contract(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, (found,), _ = scan(capsys, config, str(PLAIN))
    assert code == 0
    assert set(found) == KEYS
    assert found["path"] == str(PLAIN)
    assert found["message_id"] == "<1@example.net>"
    assert found["action"] == "accept"
    assert found["thresholds"] == {"tag": 5.0, "quarantine": 8.0, "reject": None}
    assert set(found["auth"]) == {"spf", "dkim", "dmarc", "arc", "iprev"}
    assert found["authentication_results"].startswith("mx.example.org;")
    assert found["urls"] == ["https://lake.example.net/map"]


def test_score_is_the_sum_of_the_findings(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    _, found, _ = scan(capsys, config, str(CASES))
    for one in found:
        assert one["findings"]
        assert round(sum(finding["score"] for finding in one["findings"]), 2) == one["score"]
        for finding in one["findings"]:
            assert set(finding) == {"name", "score", "about", "detail", "source"}


def test_spam_is_exit_code_1(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, (found,), _ = scan(capsys, config, str(GTUBE))
    assert (code, found["action"]) == (1, "quarantine")


def test_what_cannot_be_read_is_exit_code_2_and_the_rest_is_judged(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.eml"
    code, found, err = scan(capsys, config, str(PLAIN), str(missing), str(GTUBE))
    assert code == 2
    assert [one["path"] for one in found] == [str(PLAIN), str(GTUBE)]
    assert err == f"{missing}: No such file or directory\n"


def test_folders_maildirs_and_mboxes(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    for folder in ("box/cur", "box/new", "box/tmp", "plain/deeper"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    shutil.copy(PLAIN, tmp_path / "in/box/cur/1:2,S")
    shutil.copy(GTUBE, tmp_path / "in/box/new/2")
    shutil.copy(GTUBE, tmp_path / "in/box/tmp/half-written")
    shutil.copy(PLAIN, tmp_path / "in/plain/deeper/a.eml")
    mbox = b"".join(b"From someone Sat Jan 10 08:30:00 2026\n" + path.read_bytes() + b"\n" for path in (PLAIN, GTUBE))
    (tmp_path / "in/all.mbox").write_bytes(mbox)
    code, found, _ = scan(capsys, config, str(tmp_path / "in"))
    names = [(one["path"].removeprefix(f"{tmp_path}/in/"), one["action"]) for one in found]
    assert names == [
        ("all.mbox#1", "accept"),
        ("all.mbox#2", "quarantine"),
        ("box/cur/1:2,S", "accept"),
        ("box/new/2", "quarantine"),
        ("plain/deeper/a.eml", "accept"),
    ]
    assert code == 1


def test_worker_processes_say_the_same(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    changing = ("id", "milliseconds")
    _, inline, _ = scan(capsys, config, str(CASES))
    _, pooled, _ = scan(capsys, config, "--jobs", "2", str(CASES))
    for one in (*inline, *pooled):
        for key in changing:
            del one[key]
    assert inline == pooled


def test_the_envelope_can_be_said(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    arguments = ("--ip", "192.0.2.10", "--helo", "mail.example.net", "--mail-from", "bounce@lists.example.net")
    _, (found,), _ = scan(capsys, config, *arguments, str(PLAIN))
    assert found["auth"]["spf"]["domain"] == "lists.example.net"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ip", "999.1.1.1", "x"], "--ip 999.1.1.1 is not an IP address"),
        (["--received-at", "yesterday", "x"], "--received-at yesterday is not a time in ISO 8601"),
        ([], "Missing argument 'PATH"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    capsys: pytest.CaptureFixture[str], config: Path, arguments: list[str], sentence: str
) -> None:
    code, found, err = scan(capsys, config, *arguments)
    assert (code, found) == (2, [])
    assert err.startswith(sentence)
    assert err.count("\n") == 1
