"""`filterd learn` and the doors teach the running service: each worker judges by it at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.learning.letters import letter
from tests.serving import Serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("learning")) as running:
        running.until(lambda: (running.state / "learn.sock").exists(), "the learning process")
        yield running


def post(service: Serving, path: str, raw: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request("http://{}:{}".format(*service.http) + path, raw, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def symbols(service: Serving, raw: bytes) -> dict[str, Any]:
    return dict(post(service, "/checkv2", raw)[1]["symbols"])


def learnt(found: dict[str, Any]) -> float:
    return float(sum(found[name]["score"] for name in ("LEARNT_SPAM", "LEARNT_HAM") if name in found))


def learn(service: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "filterd", "learn", *arguments, "-c", str(service.config_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_teaches_the_running_service(service: Serving, tmp_path: Path) -> None:
    before = learnt(symbols(service, letter(500, spam=True)))
    for spam in (True, False):
        folder = tmp_path / str(spam)
        folder.mkdir()
        for number in range(40):
            (folder / f"{number}.eml").write_bytes(letter(number, spam=spam))
    assert "40 learnt; labels now: 0 ham, 40 spam" in learn(service, "spam", str(tmp_path / "True")).stdout
    assert "40 learnt; labels now: 40 ham, 40 spam" in learn(service, "ham", str(tmp_path / "False")).stdout
    assert "40 known already" in learn(service, "ham", str(tmp_path / "False")).stdout
    assert learnt(symbols(service, letter(500, spam=True))) > max(before + 1, 2)
    assert learnt(symbols(service, letter(501, spam=False))) < 0


def test_the_http_door_teaches(service: Serving) -> None:
    raw = letter(700, spam=True)
    assert post(service, "/learnspam", raw)[0] == 200
    assert post(service, "/learnspam", raw)[0] == 208
    assert post(service, "/learnham", raw)[0] == 200


def test_an_unreadable_path_is_told(service: Serving, tmp_path: Path) -> None:
    done = learn(service, "spam", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_without_the_service_the_command_learns_itself(tmp_path: Path) -> None:
    alone = Serving(tmp_path)
    alone.write_config()
    path = tmp_path / "one.eml"
    path.write_bytes(letter(1, spam=True))
    assert "1 learnt; labels now: 0 ham, 1 spam" in learn(alone, "spam", str(path)).stdout
    assert "1 forgotten; labels now: 0 ham, 0 spam" in learn(alone, "forget", str(path)).stdout


def test_each_worker_judges_by_what_came_through_a_door_within_a_second(tmp_path: Path) -> None:
    """Two workers; what is asked goes to either."""
    with Serving(tmp_path, workers=2) as service:
        service.until(lambda: (service.state / "learn.sock").exists(), "the learning process")
        asked = [letter(800, spam=True)] * 12
        before = {learnt(symbols(service, raw)) for raw in asked}
        for number in range(25):
            for spam, path in ((True, "/learnspam"), (False, "/learnham")):
                assert post(service, path, letter(number, spam=spam))[0] == 200
        time.sleep(1)
        with ThreadPoolExecutor(6) as several:
            after = set(several.map(lambda raw: learnt(symbols(service, raw)), asked))
        assert len(before) == len(after) == 1
        assert after.pop() > before.pop() + 1
