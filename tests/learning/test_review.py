"""Suggestions: what waits, what is learnt at once, and what undoing takes back; floods and crashes change nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filterd.learning import Klass, LearningError, LearningLimits, Request, Result, Review
from filterd.learning.learner import SiteLearner, open_learner
from filterd.store import Store, Suggestion, SuggestionFilter, SuggestionState, Way
from tests.learning.letters import letter

ALL = SuggestionFilter(states=tuple(SuggestionState))


@contextmanager
def learning(store: Store, state: Path, **limits: Any) -> Iterator[SiteLearner]:
    with open_learner(state, store, None, LearningLimits(**limits)) as learner:
        yield learner


@pytest.fixture
def learner(store: Store, tmp_path: Path) -> Iterator[SiteLearner]:
    with learning(store, tmp_path) as opened:
        yield opened


def say(
    learner: SiteLearner, raw: bytes, klass: Klass, way: Way = Way.RELEASE, who: str = "ann", **more: Any
) -> Result:
    return learner.handle(Request(klass=klass, raw=raw, reporter=who, by=f"web:{who}", way=way, **more))


def decide(learner: SiteLearner, review: Review, *ids: str, text: str = "") -> Result:
    return learner.handle(Request(review=review, ids=ids, by="web:mia", text=text))


def states(store: Store) -> list[str]:
    return [one.state.value for one in reversed(store.suggestions.find(ALL).rows)]


def only(store: Store) -> Suggestion:
    (one,) = store.suggestions.find(ALL).rows
    return one


def counts(learner: SiteLearner) -> tuple[int, int]:
    kept = learner.store.labels.counts()
    assert (kept.ham, kept.spam) == (learner.model.ham, learner.model.spam)
    return kept.ham, kept.spam


def test_a_release_waits_and_is_learnt_when_accepted(learner: SiteLearner, store: Store) -> None:
    said = say(learner, letter(1, spam=False), Klass.HAM, address="ann@example.org", record="R1", item="I1")
    assert (said.counted, said.queued, counts(learner)) == (False, True, (0, 0))
    assert say(learner, letter(1, spam=False), Klass.HAM).suggestion == said.suggestion
    one = only(store)
    assert (one.way, one.spam, one.address, one.record, one.item) == (Way.RELEASE, False, "ann@example.org", "R1", "I1")
    assert one.message_id == "<1.0@example.net>"
    done = decide(learner, Review.ACCEPT, said.suggestion, "nothing")
    assert done.done == (said.suggestion,)
    assert done.failed == (("nothing", "there is no such suggestion"),)
    assert (counts(learner), only(store).decided_by) == ((1, 0), "web:mia")
    assert store.suggestions.raw(said.suggestion) == letter(1, spam=False)


def test_a_button_is_learnt_at_once_stands_in_the_list_and_can_be_undone(learner: SiteLearner, store: Store) -> None:
    before = np.concatenate([one.weights for one in learner.model.learners])
    said = say(learner, letter(1, spam=True), Klass.SPAM, Way.BUTTON)
    assert (said.counted, states(store), counts(learner)) == (True, ["accepted"], (0, 1))
    assert decide(learner, Review.UNDO, said.suggestion).done
    assert (states(store), counts(learner)) == (["undone"], (0, 0))
    assert np.array_equal(before, np.concatenate([one.weights for one in learner.model.learners]))
    assert decide(learner, Review.UNDO, said.suggestion).failed == ((said.suggestion, "it is undone already"),)
    assert decide(learner, Review.ACCEPT, said.suggestion).done
    assert (states(store), counts(learner)) == (["accepted"], (0, 1))


def test_a_label_stands_as_long_as_one_word_for_it(learner: SiteLearner, store: Store) -> None:
    raw = letter(1, spam=True)
    ann, bob = (say(learner, raw, Klass.SPAM, Way.BUTTON, who).suggestion for who in ("ann", "bob"))
    assert say(learner, raw, Klass.FORGET, Way.BUTTON, "eve").counted is False
    assert say(learner, raw, Klass.FORGET, Way.BUTTON, "ann").counted
    assert (states(store), counts(learner)) == (["undone", "accepted"], (0, 1))
    decide(learner, Review.UNDO, bob)
    assert counts(learner) == (0, 0)
    assert ann != bob


def test_undoing_goes_back_to_the_postmasters_word_and_never_beyond(learner: SiteLearner, store: Store) -> None:
    raw = letter(1, spam=True)
    learner.learn(raw, Klass.HAM, by="cli")
    first = say(learner, raw, Klass.SPAM, Way.BUTTON, "ann")
    assert (first.moved, counts(learner)) == (True, (0, 1))
    second = say(learner, raw, Klass.SPAM, Way.REPORT, "bob@example.org")
    decide(learner, Review.UNDO, first.suggestion, second.suggestion)
    assert counts(learner) == (1, 0)
    third = say(learner, raw, Klass.SPAM, Way.BUTTON, "ann")
    learner.learn(raw, Klass.SPAM, by="cli")
    decide(learner, Review.UNDO, third.suggestion)
    assert counts(learner) == (0, 1)
    fourth = say(learner, raw, Klass.HAM, Way.RELEASE, "ann")
    learner.learn(raw, Klass.FORGET, by="cli")
    assert (counts(learner), states(store)[-1]) == ((0, 0), "undone")
    assert decide(learner, Review.ACCEPT, fourth.suggestion).done
    assert counts(learner) == (1, 0)


def test_one_person_changes_their_mind(learner: SiteLearner, store: Store) -> None:
    raw = letter(1, spam=True)
    say(learner, raw, Klass.HAM, Way.RELEASE)
    say(learner, raw, Klass.SPAM, Way.DENY)
    assert states(store) == ["undone", "pending"]
    say(learner, raw, Klass.SPAM, Way.BUTTON)
    assert (states(store), counts(learner)) == (["undone", "accepted"], (0, 1))
    say(learner, raw, Klass.HAM, Way.BUTTON)
    assert (states(store), counts(learner)) == (["undone", "undone", "accepted"], (1, 0))
    say(learner, raw, Klass.FORGET, Way.BUTTON)
    assert counts(learner) == (0, 0)


def test_rejected_and_taken_back(learner: SiteLearner, store: Store) -> None:
    id_ = say(learner, letter(1, spam=False), Klass.SPAM, Way.DENY).suggestion
    assert decide(learner, Review.REJECT, id_, text="a newsletter").done == (id_,)
    assert (only(store).state, only(store).note) == (SuggestionState.REJECTED, "a newsletter")
    assert decide(learner, Review.REJECT, id_).failed == ((id_, "it is rejected already"),)
    assert decide(learner, Review.UNDO, id_).done
    assert states(store) == ["pending"]


def test_a_managers_word_needs_no_review_and_never_means_never(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path, review={"imap": "never"}) as learner:
        assert say(learner, letter(1, spam=False), Klass.HAM, trusted=True).counted
        for trusted in (True, False):
            said = say(learner, letter(2, spam=True), Klass.SPAM, Way.IMAP, trusted=trusted)
            assert (said.refused, said.why) == (True, "learn.review.imap is never")
    assert states(store) == ["accepted"]


@pytest.mark.parametrize(("doubtful", "state"), [("at-once", "accepted"), ("queue", "pending")])
def test_what_contradicts_a_confident_model_is_marked_and_can_wait(
    store: Store, tmp_path: Path, doubtful: str, state: str
) -> None:
    with learning(store, tmp_path, review={"doubtful": doubtful}, per_campaign=1_000) as learner:
        for number in range(120):
            learner.learn(letter(number, spam=True), Klass.SPAM)
            learner.learn(letter(number, spam=False), Klass.HAM)
        assert not say(learner, letter(900, spam=True), Klass.SPAM, Way.BUTTON).doubtful
        said = say(learner, letter(901, spam=True), Klass.HAM, Way.BUTTON)
        assert said.doubtful
        assert states(store) == ["accepted", state]
        assert store.suggestions.counts().doubtful == 1
        assert decide(learner, Review.ACCEPT, said.suggestion).done
        assert store.suggestions.counts().doubtful == 0
        assert learner.model.ham == 121


def test_floods_are_bounded(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path, per_reporter=3, per_campaign=4, review={"waiting": 5}) as learner:
        given = [say(learner, letter(number, spam=True), Klass.SPAM, Way.DENY, "Eve") for number in range(5)]
        assert [one.refused for one in given] == [False, False, False, True, True]
        assert given[-1].why == "Eve has given 3 labels within a day"
        assert say(learner, letter(9, spam=True), Klass.SPAM, Way.DENY, "bob").queued
        assert say(learner, letter(10, spam=True), Klass.SPAM, Way.DENY, "bob").queued
        assert "5 suggestions wait" in say(learner, letter(11, spam=True), Klass.SPAM, Way.DENY, "bob").why
        assert say(learner, letter(12, spam=True), Klass.SPAM, Way.BUTTON, "bob").counted


@pytest.mark.parametrize("way", [Way.DENY, Way.BUTTON])
def test_a_campaign_is_bounded_however_it_comes(store: Store, tmp_path: Path, way: Way) -> None:
    wave = [letter(70, spam=True).replace(b"<70.", b"<70-%d." % copy) for copy in range(6)]
    with learning(store, tmp_path, per_campaign=4) as learner:
        said = [say(learner, raw, Klass.SPAM, way, f"user{number}") for number, raw in enumerate(wave)]
        done = decide(learner, Review.ACCEPT, *(one.suggestion for one in said if one.suggestion))
        assert counts(learner) == (0, 4)
        assert len(done.done) == 4
        refused = [why for _, why in done.failed] if way is Way.DENY else [one.why for one in said[4:]]
        assert refused == ["4 messages nearly like this one were learnt already"] * 2


def test_one_users_newsletters_are_undone_in_bulk(learner: SiteLearner, store: Store) -> None:
    for number in range(60):
        learner.learn(letter(number, spam=number % 2 == 0), Klass.SPAM if number % 2 == 0 else Klass.HAM)
    clean = np.concatenate([one.weights for one in _relearnt(learner).learners])
    for number in range(100, 140):
        say(learner, letter(number, spam=False), Klass.SPAM, Way.BUTTON, "eve")
    assert counts(learner) == (30, 70)
    hers = SuggestionFilter(states=(SuggestionState.ACCEPTED,), reporter="eve")
    undone = decide(learner, Review.UNDO, *(one.id for one in store.suggestions.each(hers)))
    assert (len(undone.done), counts(learner)) == (40, (30, 30))
    assert np.array_equal(clean, np.concatenate([one.weights for one in learner.model.learners]))


def _relearnt(learner: SiteLearner) -> Any:
    learner.bring(learner.store.labels.counts().newest, gone=["a", "b"])
    return learner.model


def test_too_many_at_once_are_refused(learner: SiteLearner) -> None:
    with pytest.raises(LearningError, match="at most 500"):
        decide(learner, Review.ACCEPT, *map(str, range(501)))


def test_a_door_without_a_user_forgets_for_all(learner: SiteLearner, store: Store) -> None:
    raw = letter(1, spam=True)
    assert say(learner, raw, Klass.SPAM, Way.DOOR, "").counted
    assert not say(learner, raw, Klass.SPAM, Way.DOOR, "").counted
    assert say(learner, raw, Klass.FORGET, Way.DOOR, "").counted
    assert (states(store), counts(learner)) == (["undone"], (0, 0))


@pytest.mark.parametrize("at", ["accept", "teach", "publish"])
def test_killed_half_way_nothing_is_half_done(tmp_path: Path, at: str) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom filterd.learning import *\n"
        "from filterd.learning.learner import open_learner\nfrom filterd.store import Store, Way\n"
        "from filterd.store.suggestions import Change\nfrom tests.learning.letters import letter\n"
        "state, at = Path(sys.argv[1]), sys.argv[2]\n"
        "with open_learner(state, Store.open(state), None, LearningLimits()) as learner:\n"
        "    for klass, spam in ((Klass.SPAM, True), (Klass.HAM, False)):\n"
        "        learner.learn(letter(1, spam=spam), klass)\n"
        "    ask = Request(klass=Klass.HAM, raw=letter(2, spam=False), reporter='ann', way=Way.RELEASE)\n"
        "    id_ = learner.handle(ask).suggestion\n"
        "    die = lambda *_: os._exit(9)\n"
        "    if at == 'publish': learner._live.publish = die\n"
        "    else: setattr(Change, at, die)\n"
        "    learner.handle(Request(review=Review.ACCEPT, ids=(id_,), by='mia'))\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path), at], check=False).returncode == 9
    store = Store.open(tmp_path)
    with learning(store, tmp_path) as learner:
        expected = ("accepted", (2, 1)) if at == "publish" else ("pending", (1, 1))
        assert (only(store).state, counts(learner)) == expected
    store.close()


def test_an_older_feature_version_is_extracted_anew(learner: SiteLearner, store: Store) -> None:
    id_ = say(learner, letter(1, spam=False), Klass.HAM).suggestion
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE suggestions SET example = NULL")
    assert decide(learner, Review.ACCEPT, id_).done
    assert counts(learner) == (1, 0)
    other = say(learner, letter(2, spam=False), Klass.HAM).suggestion
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE suggestions SET example = NULL, body = NULL")
    assert decide(learner, Review.ACCEPT, other).failed == ((other, "its message is gone"),)
