"""The ways to try a site model on labelled mail: as it would have learnt, message by message.

In go examples in order of time with their labels; out come the scores that each message got before its own
label was known. `delay` holds a label back for that many messages, `noise` flips a share of the labels that
are learnt (never those that are measured against), `freeze` stops learning after so many. With none of them
this is the TREC spam track's protocol: classify, then learn. There every message counts for itself, even one that came
before, so each is learnt under its place in the stream. Deterministic for a seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.site import Example, SiteModel
from filterd.value import replace

KEPT = 10_000  # labels that a model keeps in a stream, which may be of any length

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Feedback:
    """How labels come back."""

    delay: int = 0  # messages
    noise: float = 0.0  # share of labels that come back wrong
    freeze: int | None = None  # labels after which nothing more is learnt
    seed: int = 0


IDEAL = Feedback()


def online(
    examples: Iterable[Example],
    labels: Sequence[bool],
    feedback: Feedback = IDEAL,
    model: SiteModel | None = None,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """The score of each message before its label was learnt."""
    scores = np.zeros(len(labels))
    pairs = ((example, bool(spam)) for example, spam in zip(examples, labels, strict=True))
    for place, (score, _) in enumerate(stream(pairs, feedback, model)):
        scores[place] = score
        if progress is not None:
            progress(place + 1)
    return scores


def stream(
    labelled: Iterable[tuple[Example, bool]], feedback: Feedback = IDEAL, model: SiteModel | None = None
) -> Iterator[tuple[float, bool]]:
    """As `online`, for messages whose number is not known: (score, label) of each."""
    site = SiteModel(most=KEPT) if model is None else model
    random = np.random.Generator(np.random.PCG64(feedback.seed))
    waiting: deque[tuple[Example, bool]] = deque()
    for place, (example, spam) in enumerate(labelled):
        flipped = bool(random.random() < feedback.noise)
        yield site.score(example), spam
        if feedback.freeze is None or place < feedback.freeze:
            waiting.append((replace(example, digest=str(place)), spam is not flipped))
        if len(waiting) > feedback.delay:
            site.learn(*waiting.popleft())


def batch(train: Sequence[tuple[Example, bool]], test: Iterable[Example]) -> Floats:
    """Learn all of `train` in its order, which tells what labels to doubt, and then all again; then score `test`."""
    site = SiteModel()
    for example, spam in train:
        site.learn(example, spam)
    site.relearn()
    return np.array([site.score(example) for example in test])


def days(examples: Sequence[Example], labels: Sequence[bool], counts: Sequence[int]) -> tuple[dict[int, Floats], int]:
    """Scores of all messages after the last of `counts`, by models that learnt the first k of them.

    Returns the scores by k, and where the scored messages start.
    """
    start = max(counts)
    site = SiteModel()
    found: dict[int, Floats] = {}
    for place in range(start + 1):
        if place in counts:
            found[place] = np.array([site.score(example) for example in examples[start:]])
        if place < start:
            site.learn(examples[place], labels[place])
    return found, start
