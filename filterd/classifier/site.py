"""The site model: what the postmaster's own labels teach, at once, on top of the base model.

In go a message's `Example` (feature indices, no text) and its label; out come a score and a calibrated view
of it. Three learners, one a view, whose log-odds are averaged; the base model's opinion is a fixed offset
under both, and its weight falls as labels come in: foreign weights are never trained further. Every label
is kept, so the same message counts once, the other class moves it, `forget` takes it out exactly (by
learning the rest again), and each new label is followed by a few old ones that are not yet sure: that is
what makes twenty labels worth something.

Deterministic: the same labels in the same order give the same weights. Reads no clock, touches no file.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import SIZE, VERSION, VIEWS, Features
from filterd.classifier.learner import WRONG, Learner, log_logistic
from filterd.classifier.model import Model
from filterd.classifier.points import SLOPE
from filterd.mail import Message
from filterd.value import Value

BASE_HALF = 20  # labels of the rarer class at which the base model's weight has halved
ONE_CLASS = 0.1  # of the site's own learning while one class has no label, and a base model knows both
REPLAY = 10  # old labels of each class looked at again after a new one, at most
REPLAY_MARGIN = 5.0  # ... and learnt again if right, but less sure than this
DOUBTED = -3.0  # a label that contradicted the score by more when it came may be wrong
FEW_DOUBTED = 0.005  # of the labels: as many hard messages there are where none is wrong
EPOCHS = 5  # passes when learning everything again
AGAIN_ETA = 0.7  # the rate then, and where the sums of squares start: with several passes over labels that are all
AGAIN_START = 1e-8  # known, rare features may count at once
GATE_LABELS = 200  # of each class, before the site model may quarantine by itself
GATE_LATEST = 2_000  # labels whose first scores the gate looks at
GATE_FALSE = 0.001  # of ham among them, at most, over the probability it would act on
REVIEW_MARGIN = -4.0  # a label this far from the score goes to a person

# What part of the base model's log-odds to believe here, and how likely each part is before any label.
_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PRIOR = (0.1, 0.1, 0.2, 0.3, 0.3)

_SURE = 800 / SLOPE  # log-odds of the shipped quarantine threshold


class Example(Value):
    """One message as the site model sees it; small enough to keep and to send."""

    digest: str  # of the raw message, hex
    views: tuple[bytes, ...]  # little-endian uint32 indices of each of `VIEWS`
    base: float = 0.0  # the base model's log-odds
    version: int = VERSION

    @staticmethod
    def of(message: Message, base: Model | None) -> Example:
        features = Features(message)
        log_odds = 0.0 if base is None else base.log_odds(features.portable)
        return Example.made(message.digest, features.site, log_odds)

    @staticmethod
    def made(digest: str, views: Sequence[NDArray[np.uint32]], base: float = 0.0) -> Example:
        """From indices that were extracted before."""
        return Example(digest, tuple(view.astype("<u4", copy=False).tobytes() for view in views), base)

    def indices(self) -> list[NDArray[np.uint32]]:
        """Of each of `VIEWS`."""
        return [np.frombuffer(view, dtype="<u4") for view in self.views]

    @property
    def text(self) -> NDArray[np.uint32]:
        """Of the view of that name: what is alike in copies of a message, whoever got them."""
        return self.indices()[VIEWS.index("text")]


class Learnt(Value):
    """What became of a label."""

    counted: bool  # false when this message already had it
    margin: float  # how right the score before it was; very negative: a person should look
    moved: bool = False  # it had the other label before

    @property
    def doubtful(self) -> bool:
        return self.margin < REVIEW_MARGIN


@dataclass(frozen=True, eq=False)
class Arrays:
    """What was learnt, as it is published and gone on from."""

    weights: tuple[NDArray[np.float32], ...]  # of each view
    squares: tuple[NDArray[np.float32], ...]
    bias: float  # mean of the views'
    rest: NDArray[np.float64]


class _Kept(Value):
    """A label that was learnt, and what the model had said before."""

    example: Example
    spam: bool
    said: float  # log-odds before this label was learnt

    @property
    def margin(self) -> float:
        """How right that was."""
        return self.said if self.spam else -self.said


class SiteModel:
    """Learns with `learn` and `forget`; says with `log_odds`. One thread at a time."""

    def __init__(self, base_weight: float | None = None, most: int | None = None) -> None:
        """`base_weight`: what the base model counts, whatever its record here. `most`: labels that are kept; older
        ones stay learnt, but cannot be forgotten any more.
        """
        self._fixed = base_weight
        self._most = most
        self._kept: dict[str, _Kept] = {}
        self._classes: dict[bool, list[str]] = {False: [], True: []}
        self._dropped = {False: 0, True: 0}
        self._reset()

    def _reset(self) -> None:
        self.learners = [Learner(SIZE) for _ in VIEWS]
        self._believe([math.log(likely) for likely in _PRIOR])

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, digest: str) -> bool:
        return digest in self._kept

    @property
    def ham(self) -> int:
        return len(self._classes[False]) + self._dropped[False]

    @property
    def spam(self) -> int:
        return len(self._classes[True]) + self._dropped[True]

    @property
    def rarer(self) -> int:
        """Labels of the class that has fewer."""
        return min(self.ham, self.spam)

    @property
    def base_weight(self) -> float:
        """What the base model counts here: what its record on this site's labels earns it, and less with each."""
        if self._fixed is not None:
            return self._fixed
        if not self.ham + self.spam:
            return 1.0
        return self._believed * BASE_HALF / (BASE_HALF + self.rarer)

    def score(self, example: Example) -> float:
        """Log-odds as they come: what ranks messages."""
        said = [learner.score(view) for learner, view in zip(self.learners, example.indices(), strict=True)]
        local = sum(said) / len(said)
        if example.base and not self.rarer:
            local *= ONE_CLASS
        return local + self.base_weight * example.base

    def log_odds(self, example: Example) -> float:
        """Of the probability to act on: with n labels of the rarer class, never surer than n + 1 to 1."""
        most = math.log(self.rarer + 2)
        return min(max(self.score(example), -most), most)

    def learn(self, example: Example, spam: bool) -> Learnt:
        """Take a label in, at once."""
        before = self._kept.get(example.digest)
        said = self.score(example)
        margin = said if spam else -said
        if before is not None and before.spam is spam:
            return Learnt(False, margin)
        if before is not None:
            self.forget(example.digest)
        self._keep(example, spam, said)
        self._hear(example, spam)
        self._step(example, spam)
        self._look_again()
        return Learnt(True, margin, before is not None)

    def forget(self, digest: str) -> bool:
        """Take a label out, as if it had never been; false when there was none."""
        kept = self._kept.pop(digest, None)
        if kept is None:
            return False
        self._classes[kept.spam].remove(digest)
        self.relearn()
        return True

    def relearn(self, epochs: int = EPOCHS) -> None:
        """Learn everything kept again, from nothing, in the order it came. Labels that contradicted the score when they
        came are hard messages if they are few, and no label is taken to be wrong; where they are more they may be, and
        are left out.
        """
        self._reset()
        sound = [kept for kept in self._kept.values() if kept.margin > DOUBTED]
        wrong = WRONG
        if len(self._kept) - len(sound) <= FEW_DOUBTED * len(self._kept):
            sound, wrong = list(self._kept.values()), 0.0
        self.learners = [Learner(SIZE, AGAIN_ETA, AGAIN_START, wrong) for _ in VIEWS]
        for kept in sound:
            self._hear(kept.example, kept.spam)
        for _ in range(epochs):
            for kept in sound:
                self._step(kept.example, kept.spam)
        for learner in self.learners:
            learner.settle()

    def restore(self, kept: Iterable[tuple[Example, bool, float]]) -> None:
        """Take in labels that were stored, with what was said about them, and learn them all."""
        self.remember(kept)
        self.relearn()

    def remember(self, kept: Iterable[tuple[Example, bool, float]]) -> None:
        """Take in labels that were stored without learning them: `resume` brings what they taught."""
        for example, spam, said in kept:
            if example.version == VERSION and example.digest not in self._kept:
                self._keep(example, spam, said)

    def learnt(self) -> Arrays:
        """What was learnt, but for the labels; not a copy."""
        biases = [learner.bias for learner in self.learners]
        squares = [learner.bias_square for learner in self.learners]
        return Arrays(
            weights=tuple(learner.weights for learner in self.learners),
            squares=tuple(learner.squares for learner in self.learners),
            bias=sum(biases) / len(biases),
            rest=np.array([*biases, *squares, *self._belief]),
        )

    def resume(
        self, weights: NDArray[Any], squares: NDArray[Any], rest: NDArray[np.float64], ham: int = 0, spam: int = 0
    ) -> None:
        """Go on from what `learnt` gave; `ham` and `spam` are labels in it that are not kept here."""
        self._dropped = {False: ham, True: spam}
        count = len(self.learners)
        for place, learner in enumerate(self.learners):
            learner.weights[:], learner.squares[:] = weights[place], squares[place]
            learner.bias, learner.bias_square = float(rest[place]), float(rest[count + place])
        self._believe([float(log) for log in rest[2 * count : 2 * count + len(_PARTS)]])

    def label(self, digest: str) -> bool | None:
        """Is the message spam? None when it has no label."""
        kept = self._kept.get(digest)
        return None if kept is None else kept.spam

    def example(self, digest: str) -> Example:
        """The example that was labelled; KeyError when there is none."""
        return self._kept[digest].example

    @property
    def trusted(self) -> bool:
        """May it quarantine by itself? It has enough labels of both classes, and what it had said of the ham
        before it was told was next to never wrong: as honest a test as there is.
        """
        if self.rarer < GATE_LABELS:
            return False
        latest = list(islice(reversed(self._kept.values()), GATE_LATEST))
        ham = [kept.said for kept in latest if not kept.spam]
        wrong = sum(said > _SURE for said in ham)
        return len(ham) >= GATE_LABELS and wrong <= GATE_FALSE * len(ham)

    def _keep(self, example: Example, spam: bool, said: float) -> None:
        self._kept[example.digest] = _Kept(example, spam, said)
        self._classes[spam].append(example.digest)
        if self._most is not None and len(self._kept) > self._most:
            oldest = next(iter(self._kept))
            its = self._kept.pop(oldest).spam
            self._classes[its].remove(oldest)
            self._dropped[its] += 1

    def _hear(self, example: Example, spam: bool) -> None:
        """A new label is a test of the base model."""
        if example.base:
            said = example.base if spam else -example.base
            self._believe([log + log_logistic(part * said) for log, part in zip(self._belief, _PARTS, strict=True)])

    def _believe(self, belief: list[float]) -> None:
        """Log-likelihoods of `_PARTS`, up to a constant, and the part to expect of them."""
        self._belief = belief
        likely = [math.exp(log - max(belief)) for log in belief]
        self._believed = math.fsum(map(operator.mul, likely, _PARTS)) / math.fsum(likely)

    def _step(self, example: Example, spam: bool) -> None:
        offset = self.base_weight * example.base
        for learner, view in zip(self.learners, example.indices(), strict=True):
            learner.learn(view, spam, offset)

    def _look_again(self) -> None:
        """Old labels again: those that are right but not yet sure. One that was doubted when it came may be wrong,
        and is left alone.
        """
        random = np.random.Generator(np.random.PCG64(self.ham + self.spam))
        for spam, digests in self._classes.items():
            for place in random.integers(len(digests), size=REPLAY) if digests else ():
                kept = self._kept[digests[place]]
                if kept.margin > DOUBTED:
                    said = self.score(kept.example)
                    if 0 < (said if spam else -said) < REPLAY_MARGIN:
                        self._step(kept.example, spam)
