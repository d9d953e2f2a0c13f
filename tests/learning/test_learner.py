"""Labels are learnt at once, once, and can be taken back; a crash loses none; nobody can flood the model."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from filterd.classifier import Live, ModelSettings, Opinion, load_shipped_or, open_live, think
from filterd.classifier.features import SIZE, VIEWS
from filterd.learning import Klass, LearningError, LearningLimits
from filterd.learning.digest import likeness
from filterd.learning.learner import SiteLearner, open_learner
from filterd.mail import Envelope, Mail, Message, Origin
from filterd.store import Store
from tests.learning.letters import letter

BASE = load_shipped_or(ModelSettings())
TRACE = (
    "Return-Path: <x@example.net>\r\nReceived: from a by b; Thu, 1 Jan 2026 00:00:01 +0000\r\nX-Filterd-Score: 1\r\n"
)
ENVELOPE = Envelope(
    id="1",
    received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    listener="test",
    peer=None,
    client=Origin(),
    sender="",
    recipients=(),
)


@pytest.fixture
def learner(tmp_path: Path, store: Store) -> Iterator[SiteLearner]:
    with open_learner(tmp_path, store, BASE, LearningLimits()) as opened:
        yield opened


def opinion(state: Path, raw: bytes) -> Opinion:
    """As a worker sees it."""
    return think(Mail(ENVELOPE, Message(raw), Origin()), BASE, open_live(state))


def teach(learner: SiteLearner, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        assert learner.learn(letter(number, spam=True), Klass.SPAM).counted
        assert learner.learn(letter(number, spam=False), Klass.HAM).counted


def weights(state: Path) -> np.ndarray:
    return np.load(state / "site" / "weights.npy")


def test_what_is_taught_is_seen_at_once_and_adds_up(learner: SiteLearner, tmp_path: Path) -> None:
    worker = open_live(tmp_path)  # mapped before anything was learnt
    mail = Mail(ENVELOPE, Message(letter(900, spam=True)), Origin())
    before = think(mail, BASE, worker)
    assert before.site == ""
    teach(learner, 40)
    after, ham = think(mail, BASE, worker), opinion(tmp_path, letter(901, spam=False))
    assert after.probability is not None
    assert ham.probability is not None
    assert after.points > max(before.points, 200)
    assert ham.probability < 0.2
    assert after.site == "site-0"
    assert not after.trusted
    assert any(one.token.startswith("here: ") for one in after.evidence)
    for one in (after, ham):
        assert sum(evidence.points for evidence in one.evidence) == one.points


def test_the_same_message_counts_once_the_other_class_moves_it_and_forget_takes_it_out(
    learner: SiteLearner, tmp_path: Path
) -> None:
    teach(learner, 5)
    without = weights(tmp_path)
    raw = letter(100, spam=True)
    assert learner.learn(raw, Klass.SPAM).counted
    assert not learner.learn(letter(100, spam=True, trace=TRACE), Klass.SPAM).counted
    moved = learner.learn(raw.replace(b"\r\n", b"\n"), Klass.HAM)
    assert (moved.counted, moved.moved) == (True, True)
    assert (learner.model.ham, learner.model.spam) == (6, 5)
    assert learner.learn(raw, Klass.FORGET).counted
    assert not learner.learn(raw, Klass.FORGET).counted
    assert (learner.model.ham, learner.model.spam) == (5, 5)
    learner.model.relearn()
    again = learner.model.learnt().weights[0].copy()
    assert np.array_equal(weights(tmp_path)[0], again)
    assert without.shape == (len(VIEWS), SIZE)


def test_a_restart_goes_on_where_it_was(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits()) as first:
        teach(first, 10)
    learnt = weights(tmp_path)
    with open_learner(tmp_path, store, BASE, LearningLimits()) as second:
        assert (second.model.ham, second.model.spam) == (10, 10)
        assert np.array_equal(second.model.learnt().weights[1], learnt[1])
        teach(second, 1, first=50)
    assert not np.array_equal(weights(tmp_path), learnt)


def test_labels_without_arrays_make_them_again(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits()) as first:
        teach(first, 20)
    for path in (tmp_path / "site").glob("*.npy"):
        path.unlink()
    with open_learner(tmp_path, store, BASE, LearningLimits()):
        said = opinion(tmp_path, letter(900, spam=True))
    assert said.points > 100


def test_a_killed_learner_loses_no_label(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom filterd.learning import *\n"
        "from filterd.learning.learner import open_learner\nfrom filterd.store import Store\n"
        "from tests.learning.letters import letter\nstate = Path(sys.argv[1])\n"
        "with open_learner(state, Store.open(state), None, LearningLimits()) as learner:\n"
        "    for number in range(8): learner.learn(letter(number, spam=number % 2 == 0),"
        " Klass.SPAM if number % 2 == 0 else Klass.HAM)\n"
        "    learner._live.publish = lambda *_: os._exit(9)\n"
        "    learner.learn(letter(8, spam=True), Klass.SPAM)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    store = Store.open(tmp_path)
    with open_learner(tmp_path, store, BASE, LearningLimits()) as learner:
        assert (learner.model.ham, learner.model.spam) == (4, 5)
        assert Live(tmp_path / "site").spam == 5
    store.close()


def test_one_process_learns(learner: SiteLearner, tmp_path: Path, store: Store) -> None:
    with (
        pytest.raises(LearningError, match="another process is learning"),
        open_learner(tmp_path, store, BASE, LearningLimits()),
    ):
        pass


def test_one_reporter_has_a_bound(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits(per_reporter=3)) as learner:
        given = [learner.learn(letter(number, spam=True), Klass.SPAM, "Eve@example.org") for number in range(5)]
        assert [one.refused for one in given] == [False, False, False, True, True]
        assert "eve@example.org has given 3 labels" in given[-1].why.lower()
        assert learner.learn(letter(4, spam=True), Klass.SPAM, "bob@example.org").counted


def test_one_campaign_has_a_bound(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits(per_campaign=4)) as learner:
        wave = [letter(70, spam=True).replace(b"<70.", b"<70-%d." % copy) for copy in range(6)]
        taken = [learner.learn(raw, Klass.SPAM).counted for raw in wave]
        assert taken == [True] * 4 + [False] * 2


def test_bodies_keep_to_their_quota(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits(messages=2_000)) as learner:
        teach(learner, 8)
    with store.database.read() as connection:
        stored = connection.exec_driver_sql("SELECT sum(stored), count(body), count(*) FROM labels").one()
    assert 0 < stored[0] <= 2_000
    assert 0 < stored[1] < stored[2] == 16


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\r\n\r\n", b"\0" * 50, b"From: x", b"Subject: \xff\r\n\r\n\xfe" * 3])
def test_odd_messages_are_learnt_or_refused_with_a_word(learner: SiteLearner, raw: bytes) -> None:
    result = learner.learn(raw, Klass.SPAM)
    assert result.counted != result.refused
    assert result.counted or result.why


def test_the_digest_knows_copies_and_tells_messages_apart() -> None:
    one = letter(1, spam=True)
    copies = [one, one.replace(b"\r\n", b"\n"), letter(1, spam=True, trace=TRACE), one + b"\r\n"]
    assert len({Message(copy).identity for copy in copies}) == 1
    assert Message(one).identity != Message(letter(2, spam=True)).identity
    assert Message(one).identity != Message(one.replace(b"Subject: ", b"Subject: not ")).identity


def test_likeness_of_nothing() -> None:
    assert likeness(np.empty(0, dtype=np.uint32)) == ()


def test_the_base_models_weight_can_be_fixed(tmp_path: Path, store: Store) -> None:
    with open_learner(tmp_path, store, BASE, LearningLimits(base_weight=0.5)) as learner:
        teach(learner, 30)
        assert learner.model.base_weight == 0.5
    assert Live(tmp_path / "site").base_weight == 0.5
