"""Versions: made by `filterd train`, gated, taken over by the running service, rolled back, checked, measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from filterd.classifier import open_live
from filterd.learning.labelled import Labelled, Newest, take
from filterd.learning.versions import Versions
from filterd.resources import shipped
from tests.learning.letters import letter
from tests.serving import Serving


def filterd(config: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "filterd", *arguments, "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def folder(path: Path, numbers: range, *, spam: bool) -> str:
    path.mkdir()
    for number in numbers:
        (path / f"{number:04}.eml").write_bytes(letter(number, spam=spam))
    return str(path)


def index(path: Path, count: int, first: int = 0, *, wrong: bool = False) -> str:
    """The messages, and an index with a line for each, ham and spam by turns."""
    path.mkdir()
    lines = []
    for number in range(first, first + count):
        for spam in (True, False):
            name = f"{number}.{spam:d}"
            (path / name).write_bytes(letter(number, spam=spam))
            lines.append(f"{'spam' if spam is not wrong else 'ham'} ../{path.name}/{name}\n")
    (path / "index").write_text("".join(lines))
    return str(path / "index")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a service that does not run."""
    service = Serving(tmp_path)
    service.write_config()
    return service.config_file


def test_train_makes_versions_and_many_wrong_labels_do_not_make_a_worse_one(config: Path, tmp_path: Path) -> None:
    first = json.loads(filterd(config, "train", "--index", index(tmp_path / "good", 150), "--json"))
    assert first["used"]
    assert (first["ham"], first["spam"]) == (150, 150)
    assert first["candidate"]["spam_missed"] < 10
    state = tmp_path / "state"
    live = open_live(state)
    assert live is not None
    assert (live.id, live.ham) == (first["version"], 150)
    wrong = index(tmp_path / "bad", 60, first=200, wrong=True)
    second = json.loads(filterd(config, "train", "--index", wrong, "--json"))
    assert (second["used"], live.id, live.ham) == (True, second["version"], 210)
    assert (second["candidate"]["ham_tagged"], second["candidate"]["spam_missed"]) == (0, 0)
    assert "is in use" in filterd(config, "model", "rollback")
    assert live.id == first["version"]
    assert "no version was used before" in filterd(config, "model", "rollback", code=2)
    listed = json.loads(filterd(config, "model", "list", "--json"))
    assert [one["in_use"] for one in listed if one["id"] == first["version"]] == [True]
    assert "150 ham and 150 spam" in filterd(config, "model", "show", first["version"])
    assert f"site: {first['version']}" in filterd(config, "model", "show")


def test_a_worse_version_is_kept_but_not_used(config: Path, tmp_path: Path) -> None:
    """Most of what was learnt is labelled the other way round; what stays says that this was a mistake."""
    first = json.loads(filterd(config, "train", "--index", index(tmp_path / "good", 300), "--json"))
    turned = index(tmp_path / "turned", 200, wrong=True)
    second = json.loads(filterd(config, "train", "--index", turned, "--json", code=1))
    assert not second["used"]
    assert "held out" in second["objection"]
    live = open_live(tmp_path / "state")
    assert live is not None
    assert (live.id, live.ham, live.spam) == (first["version"], 300, 300)
    listed = json.loads(filterd(config, "model", "list", "--json"))
    assert {one["id"]: one["in_use"] for one in listed if one["kind"] == "site"} == {
        first["version"]: True,
        second["version"]: False,
    }
    forced = json.loads(filterd(config, "train", "--index", turned, "--json", "--force"))
    assert (forced["used"], live.id) == (True, forced["version"])


def test_the_same_labels_make_the_same_version(tmp_path: Path) -> None:
    found = []
    given = index(tmp_path / "given", 30)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        service = Serving(tmp_path / name)
        service.write_config()
        done = filterd(service.config_file, "train", "--index", given, "--dry-run", "--jobs", "2", "--json")
        found.append(json.loads(done)["version"])
    assert found[0] == found[1]


def test_check_finds_what_was_changed(config: Path, tmp_path: Path) -> None:
    made = json.loads(filterd(config, "train", "--index", index(tmp_path / "good", 10), "--force", "--json"))
    assert "all models are well" in filterd(config, "model", "check")
    path = tmp_path / "state" / "models" / made["version"] / "weights.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\1\1\1\1")
    assert "SHA-256" in filterd(config, "model", "check", code=1)
    assert "SHA-256" in filterd(config, "model", "use", made["version"], code=2)
    assert "is not the id" in filterd(config, "model", "use", "../../etc", code=2)


def test_training_killed_half_way_changes_nothing(config: Path, tmp_path: Path) -> None:
    filterd(config, "train", "--index", index(tmp_path / "good", 40), "--force")
    state = tmp_path / "state"
    live = open_live(state)
    assert live is not None
    before = live.id, live.ham, sorted(os.listdir(state / "models"))
    code = (
        "import os, sys\nfrom filterd.classifier import manifest\nfrom filterd.cli import main\n"
        "manifest.os.fsync = lambda *_: os._exit(9)\nmain(sys.argv[1:])\n"
    )
    more = index(tmp_path / "more", 20, first=100)
    command = [sys.executable, "-c", code, "train", "--index", more, "--force", "-c", str(config)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9
    listed = sorted(name for name in os.listdir(state / "models") if not name.startswith("."))
    assert (live.id, live.ham, listed) == before
    assert "all models are well" in filterd(config, "model", "check")


def test_the_running_service_takes_a_version_over(tmp_path: Path) -> None:
    with Serving(tmp_path) as service:
        service.until(lambda: (service.state / "learn.sock").exists(), "the learning process")
        made = json.loads(
            filterd(service.config_file, "train", "--index", index(tmp_path / "good", 40), "--force", "--json")
        )
        live = open_live(service.state)
        assert live is not None
        assert (live.id, live.spam) == (made["version"], 40)
        more = tmp_path / "more.eml"
        more.write_bytes(letter(99, spam=True))
        assert "labels now: 40 ham, 41 spam" in filterd(service.config_file, "learn", "spam", str(more))
        assert live.spam == 41


def test_evaluate_online_and_as_it_is(config: Path, tmp_path: Path) -> None:
    given = index(tmp_path / "stream", 150)
    online: dict[str, Any] = json.loads(filterd(config, "evaluate", "--online", "--index", given, "--json"))
    assert (online["ham"], online["spam"]) == (150, 150)
    assert online["one_minus_roca"] < 8
    late = json.loads(filterd(config, "evaluate", "--online", "--delay", "100", "--index", given, "--json"))
    assert late["one_minus_roca"] > online["one_minus_roca"]
    before = json.loads(filterd(config, "evaluate", "--index", given, "--json"))
    filterd(config, "train", "--index", given, "--force")
    spam, ham = (
        folder(tmp_path / "s", range(300, 340), spam=True),
        folder(tmp_path / "h", range(300, 340), spam=False),
    )
    after = json.loads(filterd(config, "evaluate", "--spam", spam, "--ham", ham, "--json"))
    assert after["one_minus_roca"] < 3 < before["one_minus_roca"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate"], "give --index"),
        (["train"], "there are no labels"),
        (["evaluate", "--index", "nowhere"], "nowhere"),
        (["evaluate", "--ham", "{}"], "there must be ham and spam"),
        (["evaluate", "--index", "{}"], "a line is `spam PATH` or `ham PATH`"),
        (["model", "show", "site-1"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(config: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(letter(1, spam=False))
    output = filterd(config, *(word.format(path) for word in arguments), code=2)
    assert said in output
    assert "Traceback" not in output


def test_a_field_that_gives_the_label_away_is_told(config: Path, tmp_path: Path) -> None:
    (tmp_path / "spam").mkdir()
    for number in range(30):
        (tmp_path / "spam" / f"{number}").write_bytes(b"X-Trap: 1\r\n" + letter(number, spam=True))
    ham = folder(tmp_path / "ham", range(30), spam=False)
    said = filterd(config, "train", "--spam", str(tmp_path / "spam"), "--ham", ham, "--dry-run")
    assert "the field x-trap alone tells spam" in said


def test_a_version_in_a_folder_of_its_own_is_tried_and_not_used(config: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    given = index(tmp_path / "good", 60)
    made = json.loads(filterd(config, "train", "--index", given, "-o", str(own), "--json"))
    assert not made["used"]
    manifest = json.loads((own / "manifest.json").read_text())
    assert (manifest["first"], manifest["last"]) == ("2026-01-01", "2026-01-01")
    assert "dated 2026-01-01 to 2026-01-01" in (own / "CARD.md").read_text()
    state = tmp_path / "state"
    assert Versions(state).used() == []
    other = index(tmp_path / "other", 20, first=500)
    measured = json.loads(filterd(config, "evaluate", "--index", other, "--model", str(own), "--json"))
    assert (measured["ham"], measured["spam"]) == (20, 20)
    assert measured["one_minus_roca"] < 1
    going_on = json.loads(filterd(config, "evaluate", "--online", "--index", other, "--model", str(own), "--json"))
    assert going_on["one_minus_roca"] < 1
    (own / "weights.npy").write_bytes(b"")
    assert "truncated" in filterd(config, "evaluate", "--index", other, "--model", str(own), code=2)


def test_the_days_of_what_was_given(tmp_path: Path) -> None:
    newest = Newest(2, 0)
    dates = (
        "Thu, 1 Jan 2026 00:00:00 +0000",
        "soon",
        "Mon, 3 Mar 1997 00:00:00 +0000",
        "Sun, 1 Jan 1905 00:00:00 +0000",
    )
    given = [Labelled(date, False, f"Date: {date}\r\n\r\n{date}\r\n".encode()) for date in dates]
    for one in take(given, None):
        newest.add(one)
    assert (newest.first, newest.last) == ("1997-03-03", "2026-01-01")


def figures(told: str) -> dict[str, object]:
    """What an evaluation says, without how long it took."""
    return {name: value for name, value in json.loads(told).items() if name != "milliseconds"}


def test_evaluate_tries_another_base_model(config: Path, tmp_path: Path) -> None:
    shipped_model = shipped("models") / "default"
    given = index(tmp_path / "given", 10)
    named = filterd(config, "evaluate", "--index", given, "--model", str(shipped_model), "--json")
    assert figures(named) == figures(filterd(config, "evaluate", "--index", given, "--json"))
    assert "No such file" in filterd(config, "evaluate", "--index", given, "--model", str(tmp_path / "none"), code=2)


def test_shards_are_read_on_a_cluster(config: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    given = index(tmp_path / "given", 150)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        there = filterd(config, "evaluate", "--online", "--index", given, "--dask", cluster.scheduler_address, "--json")
    here = filterd(config, "evaluate", "--online", "--index", given, "--jobs", "1", "--json")
    assert figures(there) == figures(here)
