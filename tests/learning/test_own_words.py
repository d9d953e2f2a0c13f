"""What somebody said of his own mail counts for him alone, for mail like it, at once, until it is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filterd.classifier import ModelError, Taught, open_taught
from filterd.classifier.taught import owner_of, sketch_of
from filterd.learning import Klass, LearningLimits, Request, Result, Review
from filterd.learning.learner import SiteLearner, open_learner
from filterd.learning.own_words import MOST
from filterd.mail import Message
from filterd.store import Store, Way
from filterd.store.taught import TaughtWord
from tests.learning.letters import letter
from tests.learning.newsletters import newsletter

ANN, BOB = "ann@example.org", "bob@example.org"
POINTS = 6.0


@contextmanager
def learning(store: Store, state: Path, **limits: Any) -> Iterator[SiteLearner]:
    limits = {"per_user": True, "per_user_points": POINTS} | limits
    with open_learner(state, store, None, LearningLimits(**limits)) as learner:
        yield learner


@pytest.fixture
def learner(store: Store, tmp_path: Path) -> Iterator[SiteLearner]:
    with learning(store, tmp_path) as opened:
        yield opened


def say(learner: SiteLearner, raw: bytes, klass: Klass, who: str = ANN, **more: Any) -> Result:
    return learner.handle(Request(klass=klass, raw=raw, reporter=who, by="test", **more))


def points(state: Path, raw: bytes, *recipients: str) -> dict[str, float]:
    """As a worker sees it."""
    taught = open_taught(state, POINTS)
    assert taught is not None
    return {one.recipient: one.points / 100 for one in taught.offsets(Message(raw), recipients or (ANN, BOB))}


def test_two_who_disagree_each_get_their_own_from_the_next_issue(learner: SiteLearner, tmp_path: Path) -> None:
    worker = Taught(tmp_path, POINTS)  # mapped before anything was said
    for number in range(2):
        assert say(learner, newsletter(number), Klass.SPAM, ANN).counted
        assert say(learner, newsletter(number), Klass.HAM, BOB).moved
    following = Message(newsletter(7))
    found = {one.recipient: one for one in worker.offsets(following, [ANN, "carol@example.org", BOB])}
    assert found[ANN].points == POINTS * 100
    assert found[ANN].detail == "you taught: mail like this, 2 as spam"
    assert found[BOB].points == -300
    assert set(found) == {ANN, BOB}
    assert worker.offsets(Message(newsletter(7, "garden")), [ANN, BOB]) == ()
    assert worker.offsets(Message(letter(1, spam=True)), [ANN, BOB]) == ()


def test_one_word_counts_half_and_both_kinds_meet(learner: SiteLearner, tmp_path: Path) -> None:
    say(learner, newsletter(1), Klass.SPAM)
    assert points(tmp_path, newsletter(1)) == {ANN: POINTS / 2}
    say(learner, newsletter(1), Klass.HAM)
    assert points(tmp_path, newsletter(1)) == {ANN: -POINTS / 2}
    say(learner, newsletter(2), Klass.SPAM)
    assert abs(points(tmp_path, newsletter(3)).get(ANN, 0.0)) < POINTS / 4


def test_any_number_of_words_of_one_kind_leaves_other_mail_alone(learner: SiteLearner, tmp_path: Path) -> None:
    for number in range(40):
        say(learner, newsletter(number, f"place{chr(97 + number % 26)}{chr(97 + number // 26)}"), Klass.SPAM)
    assert points(tmp_path, letter(900, spam=False)) == {}
    assert points(tmp_path, newsletter(1, "kitchen")).get(ANN, 0.0) < 2.0


@pytest.mark.parametrize("address", ["Ann@Example.ORG", "ann+lists@example.org"])
def test_an_address_is_known_in_every_spelling(learner: SiteLearner, tmp_path: Path, address: str) -> None:
    say(learner, newsletter(1), Klass.SPAM, ANN)
    assert points(tmp_path, newsletter(1), address) == {address: POINTS / 2}


@pytest.mark.parametrize("address", ["", "ann", "@example.org", "<>"])
def test_who_has_no_address_teaches_nobody(learner: SiteLearner, store: Store, address: str) -> None:
    assert owner_of(address) == ""
    assert say(learner, newsletter(1), Klass.SPAM, address).counted
    assert store.taught.all(1, 10) == []


def test_whose_mail_it_is_counts_and_a_reviewers_word_is_nobodys(learner: SiteLearner, tmp_path: Path) -> None:
    say(learner, newsletter(1), Klass.SPAM, "ann", address=ANN, way=Way.BUTTON)
    say(learner, newsletter(1), Klass.HAM, "mia", address=BOB, way=Way.BUTTON, trusted=True)
    assert points(tmp_path, newsletter(1)) == {ANN: POINTS / 2}


def test_forget_takes_out_ones_own_and_without_a_name_everybodys(learner: SiteLearner, tmp_path: Path) -> None:
    for who in (ANN, BOB):
        say(learner, newsletter(1), Klass.SPAM, who)
    say(learner, newsletter(1), Klass.FORGET, ANN)
    assert points(tmp_path, newsletter(1)) == {BOB: POINTS / 2}
    say(learner, newsletter(1), Klass.SPAM, ANN)
    say(learner, newsletter(1), Klass.FORGET, "")
    assert points(tmp_path, newsletter(1)) == {}


def test_a_word_that_waits_counts_once_it_is_accepted_and_not_after_it_was_undone(
    learner: SiteLearner, tmp_path: Path
) -> None:
    id_ = say(learner, newsletter(1), Klass.HAM, ANN, way=Way.RELEASE).suggestion
    assert points(tmp_path, newsletter(1)) == {}
    for review, expected in ((Review.ACCEPT, -3.0), (Review.UNDO, None), (Review.ACCEPT, -3.0)):
        assert learner.handle(Request(review=review, ids=(id_,), by="mia")).done == (id_,)
        assert points(tmp_path, newsletter(1)).get(ANN) == expected


def test_the_postmasters_word_settles_what_was_suggested(learner: SiteLearner, tmp_path: Path) -> None:
    assert say(learner, newsletter(1), Klass.SPAM, ANN, way=Way.REPORT).suggestion
    assert points(tmp_path, newsletter(1)) == {ANN: POINTS / 2}
    learner.handle(Request(klass=Klass.HAM, raw=newsletter(1)))
    assert points(tmp_path, newsletter(1)) == {}


def test_a_report_teaches_for_whoever_sent_it(learner: SiteLearner, tmp_path: Path) -> None:
    report = (
        b'From: ann@example.org\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + newsletter(1) + b"\r\n--b--\r\n"
    )
    request = Request(klass=Klass.SPAM, raw=report, reporter="ann", sender=ANN, way=Way.REPORT, report=True)
    assert learner.handle(request).counted
    assert points(tmp_path, newsletter(1)) == {ANN: POINTS / 2}


def test_a_restart_and_lost_files_change_nothing(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path) as learner:
        for number in range(3):
            say(learner, newsletter(number), Klass.SPAM)
        before = points(tmp_path, newsletter(9))
    for path in (tmp_path / "site").glob("s*es.npy"):
        path.unlink()
    with learning(store, tmp_path):
        assert points(tmp_path, newsletter(9)) == before != {}


def test_off_is_off(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path, per_user=False) as learner:
        say(learner, newsletter(1), Klass.SPAM)
    assert store.taught.all(1, 10) == []
    assert open_taught(tmp_path, POINTS) is None


def test_of_each_person_the_newest_words_count(store: Store, tmp_path: Path) -> None:
    sketch = sketch_of(Message(newsletter(1))).tobytes()
    for number in range(MOST + 5):
        store.taught.put(TaughtWord(owner=ANN, digest=str(number), spam=True, sketch=sketch), 1, MOST)
    kept = {one.digest for one in store.taught.of(ANN, 1)}
    assert kept == {str(number) for number in range(5, MOST + 5)}


def test_files_that_are_something_else_are_not_mapped(tmp_path: Path) -> None:
    Taught.prepare(tmp_path)
    np.save(tmp_path / "site" / "owners.npy", np.zeros(3))
    with pytest.raises(ModelError):
        Taught(tmp_path, POINTS)
    assert open_taught(tmp_path, POINTS) is None


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"From: \xff\xfe <\r\n\r\n", b"List-Id:\r\n\r\n\x00" * 50])
def test_hostile_messages_are_like_nothing(learner: SiteLearner, tmp_path: Path, raw: bytes) -> None:
    say(learner, newsletter(1), Klass.SPAM)
    assert points(tmp_path, raw) == {}
    assert sketch_of(Message(raw)).shape == (256,)
