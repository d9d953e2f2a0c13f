"""Learning at once, safely: counted once, moved, forgotten, robust, and never surer than the labels are many."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from filterd.classifier.features import SIZE, VERSION, VIEWS
from filterd.classifier.learner import Learner, logistic, pull
from filterd.classifier.metrics import one_minus_roca
from filterd.classifier.protocol import Feedback, batch, days, online
from filterd.classifier.site import GATE_LABELS, Example, SiteModel
from filterd.mail import Message
from filterd.value import pack, unpack


def stream(count: int, seed: int = 0, base: float = 0.0) -> tuple[list[Example], list[bool]]:
    """Messages of 60 features each, a few of which lean; `base` is how well the base model knows."""
    random = np.random.default_rng(seed)
    examples, labels = [], []
    for place in range(count):
        spam = bool(random.random() < 0.5)
        views = []
        for _ in VIEWS:
            common = random.integers(2_000, SIZE, 50)
            telling = random.integers(0, 200, 10) + (200 if spam else 0) * (random.random(10) < 0.7)
            views.append(np.unique(np.concatenate((common, telling))).astype(np.uint32))
        said = base * (1 if spam else -1) + random.normal() * bool(base)
        examples.append(Example.made(f"{place:064x}", views, float(said)))
        labels.append(spam)
    return examples, labels


def taught(count: int, **more: float) -> tuple[SiteModel, list[Example], list[bool]]:
    examples, labels = stream(count, **more)
    site = SiteModel()
    for example, spam in zip(examples, labels, strict=True):
        site.learn(example, spam)
    return site, examples, labels


def test_learns() -> None:
    examples, labels = stream(600)
    scores = online(examples, labels)
    assert one_minus_roca(labels[300:], scores[300:]) < 5


def test_the_same_message_counts_once() -> None:
    site, examples, labels = taught(30)
    before = [learner.weights.copy() for learner in site.learners]
    learnt = site.learn(examples[3], labels[3])
    assert not learnt.counted
    assert len(site) == 30
    assert all((old == learner.weights).all() for old, learner in zip(before, site.learners, strict=True))


def test_the_other_class_moves_it() -> None:
    site, examples, labels = taught(30)
    counts = (site.ham, site.spam)
    learnt = site.learn(examples[3], not labels[3])
    assert learnt.counted
    assert learnt.moved
    moved = 1 if labels[3] else -1
    assert (site.ham, site.spam) == (counts[0] + moved, counts[1] - moved)


def test_forgetting_is_as_if_it_had_never_been() -> None:
    site, examples, _ = taught(30)
    extra, _ = stream(1, seed=9)
    stranger = Example.made("f" * 64, extra[0].indices(), 0.0)
    site.relearn()
    clean = [learner.weights.copy() for learner in site.learners]
    site.learn(stranger, True)
    assert site.forget(stranger.digest)
    assert not site.forget(stranger.digest)
    assert stranger.digest not in site
    assert examples[0].digest in site
    assert all((old == learner.weights).all() for old, learner in zip(clean, site.learners, strict=True))


def test_the_same_labels_give_the_same_model() -> None:
    one, two = taught(60)[0], taught(60)[0]
    assert all((a.weights == b.weights).all() for a, b in zip(one.learners, two.learners, strict=True))


def test_wrong_labels_cost_little() -> None:
    examples, labels = stream(800)
    clean = one_minus_roca(labels[400:], online(examples, labels)[400:])
    noisy = one_minus_roca(labels[400:], online(examples, labels, Feedback(noise=0.05))[400:])
    assert noisy < 2 * clean + 1


def test_delay_and_freeze() -> None:
    examples, labels = stream(300)
    assert not online(examples, labels, Feedback(delay=1000)).any()
    assert not online(examples, labels, Feedback(freeze=0)).any()
    late = online(examples, labels, Feedback(freeze=100))
    assert one_minus_roca(labels[150:], late[150:]) < 40


def test_a_good_base_helps_and_its_weight_falls() -> None:
    examples, labels = stream(300, base=2.0)
    site = SiteModel()
    assert site.base_weight == 1.0
    assert site.score(examples[0]) == examples[0].base
    weights = []
    for example, spam in zip(examples, labels, strict=True):
        site.learn(example, spam)
        weights.append(site.base_weight)
    assert weights[-1] < 0.2 < weights[5]
    plain = [Example.made(one.digest, one.indices()) for one in examples]
    on_base, start = days(examples, labels, (0, 20))
    scratch, _ = days(plain, labels, (0, 20))
    assert one_minus_roca(labels[start:], on_base[20]) < one_minus_roca(labels[start:], scratch[20])


def test_a_misleading_base_is_found_out() -> None:
    site, _, _ = taught(60, base=-2.0)
    assert site.base_weight < 0.02


def test_batch_learns_from_what_was_kept() -> None:
    examples, labels = stream(400)
    train = list(zip(examples[:300], labels[:300], strict=True))
    assert one_minus_roca(labels[300:], batch(train, examples[300:])) < 10


def test_unsure_with_few_labels() -> None:
    site, examples, labels = taught(12)
    most = math.log(site.rarer + 2)
    assert all(abs(site.log_odds(example)) <= most for example in examples)
    assert SiteModel().log_odds(examples[0]) <= math.log(2)
    assert max(site.score(one) for one, spam in zip(examples, labels, strict=True) if spam) > 0


def test_not_trusted_before_the_gate() -> None:
    site, _, _ = taught(2 * GATE_LABELS - 40)
    assert not site.trusted
    site, _, _ = taught(2 * GATE_LABELS + 80)
    assert site.trusted


def test_a_contradiction_is_for_a_person() -> None:
    site, examples, labels = taught(400)
    surest = max(range(400), key=lambda place: abs(site.score(examples[place])))
    copy = Example.made("e" * 64, examples[surest].indices(), 0.0)
    assert site.learn(copy, not labels[surest]).doubtful


def test_an_example_is_plain_data() -> None:
    example = Example.of(Message(b"Subject: a\n\nhello there, everyone\n"), None)
    assert unpack(pack(example), Example) == example
    assert example.version == VERSION
    assert all(len(view) > 5 for view in example.indices())


def test_examples_of_another_feature_version_are_left_out() -> None:
    examples, labels = stream(4)
    old = unpack(pack(examples[0]).replace(b"\xa7version" + bytes([VERSION]), b"\xa7version\x63"), Example)
    assert old.version == 99
    site = SiteModel()
    site.restore([(old, True, 0.0), (examples[1], labels[1], 0.0)])
    assert len(site) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_next_to_no_features(count: int) -> None:
    learner = Learner(8)
    indices = np.arange(count, dtype=np.uint32)
    learner.learn(indices, True)
    assert learner.score(indices) > 0


def test_a_label_that_contradicts_a_sure_score_pulls_little() -> None:
    assert pull(-1.0) > pull(0.0) > pull(1.0) > pull(5.0) > 0
    assert pull(-10.0) < pull(-7.0) < pull(-5.0) < pull(-2.0) / 3
    assert pull(-2.0, wrong=0.0) == pytest.approx(1 - logistic(-2.0))


def test_a_doubted_label_does_not_move_what_was_never_seen() -> None:
    """Its own words are new, so nothing holds them; the first step must be as small as the pull."""
    learner, known, new = Learner(400), np.arange(200, dtype=np.uint32), np.arange(200, 400, dtype=np.uint32)
    for _ in range(60):
        learner.learn(known, False)
    assert learner.score(known) < -4
    learner.learn(np.concatenate((known, new)), True, offset=-6.0)
    assert abs(learner.score(new) - learner.bias) < 0.5


def test_old_labels_are_let_go_but_stay_learnt() -> None:
    examples, labels = stream(60)
    site, whole = SiteModel(most=20), SiteModel()
    for example, spam in zip(examples, labels, strict=True):
        site.learn(example, spam)
        whole.learn(example, spam)
    assert (len(site), site.ham, site.spam) == (20, whole.ham, whole.spam)
    assert examples[39].digest not in site
    assert examples[40].digest in site
    assert not site.forget(examples[0].digest)
    assert one_minus_roca(labels, [site.score(example) for example in examples]) < 5
    assert logistic(-1000.0) == 0.0
    assert logistic(1000.0) == 1.0


def test_learning_one_is_quick() -> None:
    site, _, _ = taught(200)
    extra, labels = stream(20, seed=5)
    start = time.process_time()
    for place, (example, spam) in enumerate(zip(extra, labels, strict=True)):
        site.learn(Example.made(f"{place}", example.indices()), spam)
    assert (time.process_time() - start) / 20 < 0.05


def test_in_a_stream_every_message_counts_for_itself() -> None:
    examples, _ = stream(1)
    site = SiteModel()
    labels = [bool(place % 3) for place in range(30)]
    online(examples * 30, labels, model=site)
    assert (site.ham, site.spam) == (10, 20)
