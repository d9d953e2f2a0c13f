"""Learning from verdicts of our own: off by default, from plain cases alone, bounded, under anybody's word, undone."""

from __future__ import annotations

import datetime
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from filterd.authentication import Authentication, AuthResult, DmarcResult
from filterd.decision import Action, Decision, Reason, Thresholds
from filterd.findings import Finding
from filterd.learning import Klass, LearningLimits, Request, Result, Review
from filterd.learning.learner import SiteLearner, open_learner
from filterd.learning.verdicts import AHEAD, FIRST, lesson, too_many
from filterd.mail import Envelope, Message, Origin
from filterd.mail.envelope import Direction, Recipient
from filterd.record import Opinion, Record, Verdict
from filterd.store import Store, Way
from filterd.value import replace
from tests.learning.letters import letter
from tests.serving import Serving

ANN = "ann@example.org"


def record(*findings: tuple[str, int], dmarc: AuthResult = AuthResult.NONE, reason: Reason = Reason.CLEAN) -> Record:
    """A mail with these findings; LEARNT_ ones are the classifier's."""
    learnt = sum(points for name, points in findings if name.startswith("LEARNT_"))
    return Record(
        id="1",
        envelope=Envelope(
            id="1",
            received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            listener="test",
            peer=None,
            client=Origin(),
            sender="",
            recipients=(Recipient(ANN),),
        ),
        origin=Origin(),
        auth=Authentication(dmarc=DmarcResult(dmarc)),
        verdict=Verdict(
            findings=tuple(Finding(*one) for one in findings), points=sum(points for _, points in findings)
        ),
        opinion=Opinion(0.5, learnt),
        thresholds=Thresholds(500, 800, None),
        decisions=(Decision(ANN, Action.ACCEPT, reason, ""),),
    )


SPAM = record(("A_RULE", 700), ("LEARNT_SPAM", 500), reason=Reason.SPAM_SCORE)
HAM = record(("SENDER_WRITTEN_TO", -150), dmarc=AuthResult.PASS)


def test_plain_cases_teach() -> None:
    assert lesson(SPAM) is Klass.SPAM
    assert lesson(HAM) is Klass.HAM


@pytest.mark.parametrize(
    "doubtful",
    [
        record(("A_RULE", 1190), reason=Reason.SPAM_SCORE),  # not far enough
        record(("A_RULE", 450), ("LEARNT_SPAM", 790), reason=Reason.SPAM_SCORE),  # on the classifier's word
        record(("A_RULE", 450), ("TAUGHT", 790), reason=Reason.SPAM_SCORE),
        record(("A_RULE", 1500), ("LEARNT_HAM", -100), reason=Reason.SPAM_SCORE),  # against it
        record(("A_RULE", 1500), dmarc=AuthResult.PASS, reason=Reason.SPAM_SCORE),
        record(dmarc=AuthResult.PASS),  # a stranger who hits no rule
        record(("SENDER_WRITTEN_TO", -150)),  # nobody vouches for it
        record(("SENDER_WRITTEN_TO", -150), ("A_RULE", 50), dmarc=AuthResult.PASS),
        record(("SENDER_WRITTEN_TO", -150), ("LEARNT_SPAM", 10), dmarc=AuthResult.PASS),
        record(("LEARNT_HAM", -300), dmarc=AuthResult.PASS),
        *(
            replace(SPAM, decisions=(Decision(ANN, Action.ACCEPT, reason, ""),))
            for reason in Reason
            if reason not in (Reason.SPAM_SCORE, Reason.CLEAN)
        ),
        replace(SPAM, decisions=()),
        replace(SPAM, error="judge: it took too long"),
        replace(SPAM, envelope=replace(SPAM.envelope, direction=Direction.OUTBOUND)),
    ],
)
def test_what_may_be_doubted_teaches_nothing(doubtful: Record) -> None:
    assert lesson(doubtful) is None


@contextmanager
def learning(store: Store, state: Path, **limits: Any) -> Iterator[SiteLearner]:
    with open_learner(state, store, None, LearningLimits(**({"from_verdicts": True} | limits))) as learner:
        yield learner


@pytest.fixture
def learner(store: Store, tmp_path: Path) -> Iterator[SiteLearner]:
    with learning(store, tmp_path) as opened:
        yield opened


def conclude(learner: SiteLearner, number: int, klass: Klass) -> Result:
    raw = letter(number, spam=klass is Klass.SPAM)
    return learner.handle(Request(klass=klass, raw=raw, by="verdict", verdict=True))


def forget(learner: SiteLearner) -> Result:
    return learner.handle(Request(klass=Klass.FORGET, verdict=True, by="cli:root"))


def test_it_is_off_unless_the_postmaster_turns_it_on(store: Store, tmp_path: Path) -> None:
    assert not LearningLimits().from_verdicts
    with learning(store, tmp_path, from_verdicts=False) as learner:
        assert conclude(learner, 1, Klass.SPAM).refused
        assert len(learner.model) == 0


def test_both_classes_grow_alike(learner: SiteLearner, store: Store) -> None:
    learnt = [conclude(learner, number, Klass.SPAM).counted for number in range(AHEAD + 5)]
    assert learnt == [True] * AHEAD + [False] * 5
    assert conclude(learner, 1, Klass.HAM).counted
    assert conclude(learner, 90, Klass.SPAM).counted
    assert store.labels.of_verdicts().ham == 1


def test_a_day_has_a_bound(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path, verdicts_per_day=4) as learner:
        learnt = [conclude(learner, number, klass).counted for number in range(3) for klass in (Klass.SPAM, Klass.HAM)]
    assert sum(learnt) == 4


def test_verdicts_alone_never_open_the_gate(store: Store, tmp_path: Path) -> None:
    limits = LearningLimits(from_verdicts=True, verdicts_per_day=10_000)
    with learning(store, tmp_path, verdicts_per_day=10_000, per_campaign=10_000) as learner:
        learnt = [
            conclude(learner, number, klass).counted for number in range(FIRST + 5) for klass in (Klass.SPAM, Klass.HAM)
        ]
        assert sum(learnt) == 2 * FIRST
        for number in range(FIRST + 1):  # as many as people gave, from there on
            learner.learn(letter(1_000 + number, spam=True), Klass.SPAM)
        assert too_many(store.labels, Klass.SPAM, limits, learner.model.ham, learner.model.spam) == ""
        assert too_many(store.labels, Klass.HAM, limits, learner.model.ham, learner.model.spam)


def test_a_persons_word_goes_before_and_stays(learner: SiteLearner, store: Store) -> None:
    conclude(learner, 1, Klass.SPAM)
    conclude(learner, 2, Klass.SPAM)
    conclude(learner, 3, Klass.SPAM)
    moved = learner.handle(Request(klass=Klass.HAM, raw=letter(1, spam=True), way=Way.BUTTON, reporter="ann"))
    assert moved.moved
    assert not conclude(learner, 1, Klass.SPAM).counted
    learner.handle(Request(klass=Klass.SPAM, raw=letter(2, spam=True), by="cli:root"))  # says the same
    learner.handle(Request(klass=Klass.SPAM, raw=letter(3, spam=True), way=Way.REPORT, reporter="bob"))
    assert not forget(learner).counted
    assert (learner.model.ham, learner.model.spam) == (1, 2)
    learner.handle(Request(review=Review.UNDO, ids=(moved.suggestion,), by="mia"))
    assert (learner.model.ham, learner.model.spam) == (0, 2)  # what our verdict had been does not come back


def test_all_are_taken_out_at_once_as_if_they_had_never_been(store: Store, tmp_path: Path) -> None:
    with learning(store, tmp_path) as learner:
        for number in range(5):
            learner.learn(letter(500 + number, spam=True), Klass.SPAM)
            learner.learn(letter(500 + number, spam=False), Klass.HAM)
        asked = learner.example(Message(letter(900, spam=True)))
        for number in range(8):
            conclude(learner, number, Klass.SPAM)
        assert forget(learner).told == "8 labels from verdicts forgotten"
        after = learner.model.score(asked)
        learner.model.relearn()
        assert learner.model.score(asked) == after
        assert (learner.model.ham, learner.model.spam) == (5, 5)
        assert not forget(learner).counted
    assert store.audit.find()[0].what == "verdicts-forgotten"


RULE = """
- name: SURELY_SPAM
  about: The test says so.
  score: 15
  when: {subject: {contains: surely-spam}}
  hits: []
  misses: []
"""


def filterd(service: Serving, *arguments: str) -> str:
    command = [sys.executable, "-m", "filterd", *arguments, "-c", str(service.config_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def test_over_smtp_plain_spam_is_learnt_and_told_loudly_and_undone(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULE)
    rules = {"paths": [str(tmp_path / "rules.yaml")]}
    with Serving(tmp_path, rules=rules, learn={"from_verdicts": True}) as service:
        service.until(lambda: (service.state / "learn.sock").exists(), "the learning process")
        for number in range(3):
            raw = letter(number, spam=True).replace(b"Subject: ", b"Subject: surely-spam ")
            with smtplib.SMTP(*service.smtp) as client:
                client.sendmail("a@example.net", [ANN], raw)
                client.sendmail("a@example.net", [ANN], letter(number, spam=False))
        service.until(lambda: service.status()["verdicts"]["spam"] == 3, "three labels")
        told = filterd(service, "status")
        assert "LEARNS FROM ITS OWN VERDICTS" in told
        assert "0 ham and 3 spam were learnt from its own verdicts" in told
        assert "3 labels from verdicts forgotten; labels now: 0 ham, 0 spam" in filterd(
            service, "learn", "forget", "--from", "verdicts"
        )
        assert service.status()["verdicts"] == {"learnt": True, "ham": 0, "spam": 0}


@pytest.mark.parametrize(
    "arguments", [["spam", "--from", "verdicts"], ["forget", "x.eml", "--from", "verdicts"], ["spam"]]
)
def test_a_command_that_means_nothing_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    alone = Serving(tmp_path)
    alone.write_config()
    command = [sys.executable, "-m", "filterd", "learn", *arguments, "-c", str(alone.config_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
