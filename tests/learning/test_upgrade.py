"""What was taught before a release that extracts other features: read again, or told; nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filterd.classifier import Live, ModelSettings, load_shipped_or
from filterd.classifier.features import VERSION
from filterd.classifier.site import Example, SiteModel
from filterd.cli import main
from filterd.cli.status import _lines
from filterd.learning import Klass, LearningLimits, Request, Review
from filterd.learning.learner import SiteLearner, open_learner
from filterd.mail import Message
from filterd.store import Store, Way
from filterd.store.labels import Label
from filterd.value import pack, replace
from tests.learning.letters import letter
from tests.serving import Serving

BASE = load_shipped_or(ModelSettings())
CONFIG = "hostname: mx.test\ndomains: [test.example]\nstate: {}\nlisteners: []\n"


def old_label(number: int, *, spam: bool, kept: bool, suggestion: str = "") -> Label:
    """As a release with two views stored it."""
    raw = letter(number, spam=spam)
    message = Message(raw)
    example = Example.of(message, BASE)
    old = replace(example, digest=message.identity, views=example.views[:2], version=VERSION - 1)
    return Label(
        digest=old.digest, spam=spam, example=pack(old), body=raw if kept else None, by="test", suggestion=suggestion
    )


def taught_before(store: Store, count: int, *, kept: bool, first: int = 0) -> None:
    both = ((number, spam) for number in range(first, first + count) for spam in (True, False))
    store.labels.put([old_label(number, spam=spam, kept=kept) for number, spam in both], quota=1_000_000)


def opened(state: Path, store: Store, **limits: Any) -> Any:
    return open_learner(state, store, BASE, LearningLimits(**limits))


def counts(learner: SiteLearner) -> tuple[int, int]:
    return learner.model.ham, learner.model.spam


def without_messages(store: Store) -> None:
    """The quota on messages let go of all of them."""
    store.labels.put([old_label(999, spam=True, kept=False)], quota=0)
    store.labels.remove(old_label(999, spam=True, kept=False).digest)
    with store.labels._database.write() as connection:
        connection.exec_driver_sql("UPDATE labels SET body = NULL, stored = 0")


def test_labels_are_read_again_once_and_then_need_their_messages_no_more(tmp_path: Path, store: Store) -> None:
    taught_before(store, 6, kept=True)
    with opened(tmp_path, store) as learner:
        assert (counts(learner), learner.renewed, learner.left_out) == ((6, 6), 12, frozenset())
        said = learner.model.score(learner.example(Message(letter(900, spam=True))))
        assert said > 0
    without_messages(store)
    with opened(tmp_path, store) as learner:
        assert (counts(learner), learner.renewed, learner.left_out) == ((6, 6), 0, frozenset())


def test_labels_whose_messages_are_gone_stay_stored_and_are_counted(tmp_path: Path, store: Store) -> None:
    taught_before(store, 3, kept=True)
    taught_before(store, 4, kept=False, first=50)
    with opened(tmp_path, store) as learner:
        assert counts(learner) == (3, 3)
        assert len(learner.left_out) == Live(tmp_path / "site").left_out == 8
        assert learner.learn(letter(50, spam=True), Klass.SPAM).counted
        assert learner.learn(letter(51, spam=True), Klass.HAM).counted
        assert learner.learn(letter(52, spam=True), Klass.FORGET).counted
        assert not learner.learn(letter(52, spam=True), Klass.FORGET).counted
        assert counts(learner) == (4, 4)
        assert len(learner.left_out) == Live(tmp_path / "site").left_out == 5
    stored = store.labels.counts()
    assert stored.ham + stored.spam == 13


def test_with_labels_left_out_a_restart_goes_on_where_it_was(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught_before(store, 3, kept=True)
    taught_before(store, 2, kept=False, first=50)
    with opened(tmp_path, store) as learner:
        learner.learn(letter(80, spam=True), Klass.SPAM)
    before = np.load(tmp_path / "site" / "weights.npy")
    monkeypatch.setattr(SiteModel, "relearn", lambda *_: pytest.fail("all was learnt again"))
    with opened(tmp_path, store) as learner:
        assert counts(learner) == (3, 4)
        assert np.array_equal(before, np.stack(learner.model.learnt().weights))


def test_it_is_told_by_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, mail = tmp_path / "f.yaml", tmp_path / "mail.eml"
    config.write_text(CONFIG.format(tmp_path / "state"))
    mail.write_bytes(letter(1, spam=True))

    def run(*arguments: str) -> tuple[str, str]:
        with pytest.raises(SystemExit):
            main([*arguments, "--config", str(config)])
        said = capsys.readouterr()
        return said.out, said.err

    store = Store.open(tmp_path / "state")
    taught_before(store, 2, kept=False, first=50)
    store.close()
    told = "4 labels of an earlier release are not in the model"
    assert told in run("learn", "spam", str(mail))[1]
    assert "stored, not in it: 4" in run("model", "show")[0]
    assert f"doubt  learning: {told}" in run("doctor")[0]
    assert told in run("train", "--dry-run")[1]


def test_it_is_told_by_the_service(tmp_path: Path) -> None:
    with Serving(tmp_path) as service:
        assert service.stop() == 0
        store = Store.open(service.state)
        taught_before(store, 2, kept=False)
        taught_before(store, 1, kept=True, first=50)
        store.close()
        service.start()
        service.until(lambda: service.status()["labels"]["left_out"] == 4, "the labels that are left out")
        service.until(lambda: "labels-left-out" in "\n".join(service.log), "a word about them")
        assert "labels-extracted-anew" in "\n".join(service.log)
        assert any("4 labels" in line for line in _lines(service.status()))


def test_a_person_who_says_it_again_is_heard_and_can_be_undone(tmp_path: Path, store: Store) -> None:
    def said(raw: bytes, reporter: str) -> Request:
        return Request(klass=Klass.SPAM, raw=raw, reporter=reporter, by="test", way=Way.DOOR)

    raw = letter(60, spam=True)
    with opened(tmp_path, store) as learner:
        suggestion = learner.handle(said(raw, "ann@test.example")).suggestion
    store.labels.put([old_label(60, spam=True, kept=False, suggestion=suggestion)])
    with opened(tmp_path, store) as learner:
        assert counts(learner) == (0, 0)
        assert learner.handle(said(raw, "ann@test.example")).counted
        assert (counts(learner), learner.left_out) == ((0, 1), frozenset())
    store.labels.put([old_label(60, spam=True, kept=False, suggestion=suggestion)])
    with opened(tmp_path, store) as learner:
        undone = learner.handle(Request(review=Review.UNDO, ids=(suggestion,), by="test"))
        assert undone.done == (suggestion,)
        assert (learner.left_out, store.labels.counts().spam) == (frozenset(), 0)


def test_undoing_a_move_of_a_label_that_was_left_out_moves_it_in_the_store(tmp_path: Path, store: Store) -> None:
    raw = letter(61, spam=True)
    with opened(tmp_path, store) as learner:
        learner.learn(raw, Klass.HAM)
        request = Request(klass=Klass.SPAM, raw=raw, reporter="ann@test.example", by="test", way=Way.DOOR)
        suggestion = learner.handle(request).suggestion
    store.labels.put([old_label(61, spam=True, kept=False, suggestion=suggestion)])
    with opened(tmp_path, store) as learner:
        learner.handle(Request(review=Review.UNDO, ids=(suggestion,), by="test"))
        assert (store.labels.counts().ham, store.labels.counts().spam) == (1, 0)
        assert len(learner.left_out) == 1


def test_a_suggestion_that_waited_is_learnt_although_its_label_was_left_out(tmp_path: Path, store: Store) -> None:
    with opened(tmp_path, store, review={"door": "queue"}) as learner:
        request = Request(
            klass=Klass.SPAM, raw=letter(62, spam=True), reporter="ann@test.example", by="test", way=Way.DOOR
        )
        suggestion = learner.handle(request).suggestion
    store.labels.put([old_label(62, spam=True, kept=False)])
    with opened(tmp_path, store) as learner:
        learner.handle(Request(review=Review.ACCEPT, ids=(suggestion,), by="test"))
        assert (counts(learner), learner.left_out) == ((0, 1), frozenset())


def test_more_labels_than_are_kept_in_memory_outlive_a_restart(tmp_path: Path, store: Store) -> None:
    with opened(tmp_path, store, labels=1_000, per_campaign=5_000) as learner:
        some = [old_label(number, spam=spam, kept=True) for number in range(499) for spam in (True, False)]
        made = [
            replace(one, example=pack(replace(Example.of(Message(one.body or b""), BASE), digest=one.digest)))
            for one in some
        ]
        store.labels.put(made)
        learner._fill(learn=True)
        for number in range(500, 504):
            learner.learn(letter(number, spam=number % 2 == 0), Klass.SPAM if number % 2 == 0 else Klass.HAM)
    before = np.load(tmp_path / "site" / "weights.npy")
    assert before.any()
    for _ in range(2):
        with opened(tmp_path, store, labels=1_000, per_campaign=5_000) as learner:
            assert sum(counts(learner)) == 1_002
        assert np.array_equal(before, np.load(tmp_path / "site" / "weights.npy"))


@pytest.mark.parametrize(
    ("raw", "identity"),
    [
        (b"", "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"),
        (
            b"A: b \r\nX-Spam-Flag: YES\r\n\r\n  x \r\r\n \t y  z\t\r\n\r\n \r\n",
            "9ea8945f6b1e52ba961c7f245492b01451eb66fcd9ae2bb70b678b089f62028f",
        ),
        (
            b"a: b\n\n\x00\x0b x\x0b \n\x0cy\r\rz\r \r\n",
            "3a773b285f85a1c8a8924b8ec122287b6615f22e87740d3662a1980bf63098d4",
        ),
        (letter(1, spam=True), "a39bc056588ce723abc3ffa72564eaec39fbc41a702f7f73c6623e262c70778d"),
        (
            letter(1, spam=True).replace(b"\r\n", b"\n"),
            "a39bc056588ce723abc3ffa72564eaec39fbc41a702f7f73c6623e262c70778d",
        ),
    ],
)
def test_a_message_is_known_by_the_digest_that_earlier_releases_stored(raw: bytes, identity: str) -> None:
    assert Message(raw).identity == identity


def test_the_digest_is_linear() -> None:
    for piece in (b" ", b"\r", b" \t\r", b"\r\n", b" \n"):
        assert Message(b"a: b\n\n" + piece * 300_000 + b"x").identity
