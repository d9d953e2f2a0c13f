"""filterd rules tune: an overlay to review, from an index, from folders, from the history; nothing is changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.app.scan import Said, Scanned, scan
from filterd.cli import main
from filterd.config import load
from filterd.sources import Found
from filterd.store import RetentionSettings, Store
from filterd.yamlfile import read_document

Run = Callable[..., tuple[int, str, str]]

RULES = """\
- {group: own, about: Ours., cap: 3}
- {name: OWN_OFFER, about: Offers., score: 1.0, group: own, when: {subject: {contains: offer}}}
- {name: OWN_NOON, about: Noon., score: 2.0, when: {content: {contains: noon}}}
- {name: OWN_FRIEND, about: Friends., score: -0.5, when: {subject: {contains: lunch}}}
- {name: OWN_SHADOW, about: Watched., score: 0, when: {subject: {contains: offer}}}
- {name: OWN_SURE, about: Sure., score: 9, decisive: true, when: {subject: {contains: offer 1}}}
"""


def mail(subject: str, text: str, n: int) -> bytes:
    return (
        f"From: ann{n}@example.net\r\nTo: jo@example.org\r\nMessage-ID: <{n}@example.net>\r\nSubject: {subject} {n}\r\n"
        f"Date: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n{text}\r\n"
    ).encode()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d/own.yaml").write_text(RULES)
    file = tmp_path / "filterd.yaml"
    file.write_text(
        f"hostname: mx.example.org\nstate: {tmp_path}/state\nretention: {{min_free: 0}}\n"
        f"rules: {{shipped: false, paths: [{tmp_path}/rules.d]}}\n"
    )
    return file


@pytest.fixture
def filterd(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-c", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """60 of each: spam makes offers, ham has lunch, both know noon."""
    lines = []
    for n in range(60):
        for label, subject in (("spam", "an offer"), ("ham", "our lunch")):
            path = tmp_path / label / f"{n}.eml"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(mail(subject, "at noon" if n % 2 else "soon", n))
            lines.append(f"{label} {label}/{n}.eml")
    file = tmp_path / "index"
    file.write_text("\n".join(lines) + "\n")
    return file


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in found["rows"]}


def overlay_scores(overlay: Path) -> str:
    """The mapping of an overlay, as JSON, which is YAML."""
    return json.dumps(read_document(overlay).data["rules"]["scores"])


def test_what_is_right_gains_and_what_is_wrong_loses(filterd: Run, index: Path) -> None:
    code, out, err = filterd("rules", "tune", "--index", str(index), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    by_name = rows(found)
    offer = by_name["OWN_OFFER"]
    assert (offer["spam"], offer["ham"], offer["s_o"], offer["twin"], offer["overlap"]) == (60, 0, 1, "OWN_SHADOW", 1)
    assert 1.0 < offer["after"] <= 4.9
    assert by_name["OWN_NOON"]["s_o"] == 0.5
    assert by_name["OWN_NOON"]["after"] < 2.0
    assert by_name["OWN_FRIEND"]["after"] == -0.5
    assert found["overlay"]["rules"]["scores"] == {
        name: row["after"] for name, row in by_name.items() if row["after"] != row["before"]
    }
    assert found["before"]["spam"] == found["after"]["spam"] == 60


def test_shadows_and_what_decides_alone_are_left(filterd: Run, index: Path) -> None:
    by_name = rows(json.loads(filterd("rules", "tune", "--index", str(index), "--json")[1]))
    for name, score in (("OWN_SHADOW", 0), ("OWN_SURE", 9)):
        assert (by_name[name]["before"], by_name[name]["after"], by_name[name]["tuned"]) == (score, score, False)


def test_the_overlay_is_what_the_configuration_takes(filterd: Run, index: Path, config: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    overlay = tmp_path / "tuned.yaml"
    code, out, _ = filterd("rules", "tune", "--index", str(index), "-o", str(overlay))
    assert code == 0
    assert "after, held out: of 60 ham" in out
    assert {path: path.read_bytes() for path in before} == before
    told = filterd("rules", "tune", "--index", str(index))[1]
    assert told.endswith(overlay.read_text())
    code, out, err = filterd("rules", "replay", "--index", str(index), "--scores", str(overlay), "--json")
    assert (code, err) == (0, "")
    config.write_text(
        config.read_text().replace("shipped: false", f"shipped: false, scores: {overlay_scores(overlay)}")
    )
    assert filterd("config", "check")[0] == 0


def test_folders_do_as_well_as_an_index(filterd: Run, index: Path) -> None:
    base = index.parent
    one = json.loads(filterd("rules", "tune", "--index", str(index), "--json")[1])
    two = json.loads(filterd("rules", "tune", "--spam", f"{base}/spam", "--ham", f"{base}/ham", "--json")[1])
    assert {name: (row["spam"], row["ham"]) for name, row in rows(one).items()} == {
        name: (row["spam"], row["ham"]) for name, row in rows(two).items()
    }


def test_what_people_said_of_the_history(filterd: Run, config: Path, tmp_path: Path) -> None:
    mails = [mail("an offer" if n % 2 else "our lunch", "soon", n) for n in range(40)]

    async def fill() -> None:
        items = [Found("x", one) for one in mails]
        found = [one async for one in scan(items, load(config), Said(ip="192.0.2.1"), offline=True)]
        made = [one.record for one in found if isinstance(one, Scanned)]
        store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))
        for record in made:
            store.write(record)
        await store.flush()
        store.close()

    asyncio.run(fill())
    for n, one in enumerate(mails):
        file = tmp_path / ("said-spam" if n % 2 else "said-ham") / f"{n}.eml"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(one)
    for label in ("spam", "ham"):
        assert filterd("learn", label, str(tmp_path / f"said-{label}"))[0] == 0
    code, out, err = filterd("rules", "tune", "--history", "--since", "2026-01-01", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["before"]["spam"], found["before"]["ham"]) == (20, 20)
    assert rows(found)["OWN_OFFER"]["spam"] == 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there is no labelled mail"),
        (["--since", "2d"], "--since chooses from --history"),
        (["--fp-rate", "half"], "--fp-rate is a share of the ham"),
        (["--fp-rate", "-1%"], "--fp-rate is a share of the ham"),
        (["--index", "/nowhere/index"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(filterd: Run, options: list[str], said: str) -> None:
    code, out, err = filterd("rules", "tune", *options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_one_class_alone_is_one_sentence(filterd: Run, index: Path) -> None:
    code, _, err = filterd("rules", "tune", "--spam", f"{index.parent}/spam")
    assert (code, err) == (2, "tuning needs both ham and spam\n")


def test_only_some_rules(filterd: Run, index: Path) -> None:
    code, out, _ = filterd("rules", "tune", "--index", str(index), "--rule", "OWN_NOON", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["rows"] if row["tuned"]] == ["OWN_NOON"]
    code, _, err = filterd("rules", "tune", "--index", str(index), "--rule", "OWN_NOOM")
    assert (code, err) == (2, "unknown rule or check OWN_NOOM; did you mean OWN_NOON?\n")


def test_a_rule_that_finds_nothing_keeps_its_score(filterd: Run, tmp_path: Path) -> None:
    for label in ("spam", "ham"):
        (tmp_path / f"{label}.eml").write_bytes(mail("hello", "Hello.", 1))
    sources = ("--spam", str(tmp_path / "spam.eml"), "--ham", str(tmp_path / "ham.eml"))
    code, out, err = filterd("rules", "tune", *sources, "--rule", "OWN_NOON", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["overlay"] == {"rules": {"scores": {}}}
