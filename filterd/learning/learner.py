"""The one process that learns: labels into the store, and what they teach to where every worker sees it.

`open_learner` takes the lock on the site's model, brings it up to date with the labels that are stored, and gives a
`SiteLearner`; a second one raises LearningError while the first lives. `learn` puts a label on disk, then learns it,
then publishes: after a crash between these, the next start makes the model from the labels. Blocks; one thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filterd.classifier import Live, Model, ModelError
from filterd.classifier.site import Example, SiteModel
from filterd.learning.digest import digest_of, likeness
from filterd.learning.settings import LearningLimits
from filterd.learning.versions import Versions
from filterd.learning.words import Klass, LearningError, Request, Result
from filterd.mail import Message
from filterd.store.labels import Label, LabelCounts
from filterd.value import CodecError, pack, replace, unpack

if TYPE_CHECKING:
    from filterd.store import Store

LOCK = "learner.lock"
DAY = 86_400_000  # ms


@contextlib.contextmanager
def open_learner(state: Path, store: Store, base: Model | None, limits: LearningLimits) -> Iterator[SiteLearner]:
    """The learner of this state folder; raises LearningError."""
    try:
        folder = Live.prepare(state)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LearningError(f"the site's model cannot be written: {error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LearningError("another process is learning on this state folder") from error
        try:
            live = Live(folder, writable=True)
        except ModelError as error:
            raise LearningError(str(error)) from error
        yield SiteLearner(store, base, live, Versions(state), limits)
    finally:
        os.close(descriptor)


class SiteLearner:
    """Learns, forgets, and takes over versions."""

    def __init__(
        self, store: Store, base: Model | None, live: Live, versions: Versions, limits: LearningLimits
    ) -> None:
        self._store = store
        self._base = base
        self._live = live
        self._versions = versions
        self._limits = limits
        self.model = SiteModel(base_weight=limits.fixed_base)
        self._alike: Counter[int] = Counter()
        self._load()

    def handle(self, request: Request) -> Result:
        """Do what is asked; raises LearningError, StoreError."""
        started = time.perf_counter()
        if request.use:
            result = self.use(request.use)
        elif request.klass is None:
            raise LearningError("nothing was asked")
        else:
            result = self.learn(request.raw, request.klass, request.reporter, request.by)
        return replace(
            result,
            ham=self.model.ham,
            spam=self.model.spam,
            milliseconds=round((time.perf_counter() - started) * 1000, 3),
        )

    def learn(self, raw: bytes, klass: Klass, reporter: str = "", by: str = "") -> Result:
        """Learn or forget one message; what is refused says why. Raises StoreError; then nothing was learnt."""
        message = Message(raw)
        if not raw.strip():
            return Result(refused=True, why="the message is empty")
        if klass is Klass.FORGET:
            return self._forget(digest_of(message))
        example = replace(Example.of(message, self._base), digest=digest_of(message))
        spam = klass is Klass.SPAM
        known = self.model.label(example.digest)
        if known is spam:
            return Result()
        keys = likeness(example.indices()[1])
        if known is None and (why := self._refused(reporter, keys)):
            return Result(refused=True, why=why)
        label = Label(
            digest=example.digest,
            spam=spam,
            example=pack(example),
            said=self.model.score(example),
            by=by,
            reporter=reporter,
            body=raw if self._limits.messages else None,
        )
        newest = self._store.labels.put([label], self._limits.messages)
        learnt = self.model.learn(example, spam)
        if known is None:
            self._alike.update(keys)
        self._live.publish(self.model, newest)
        return Result(counted=True, moved=learnt.moved, doubtful=learnt.doubtful)

    def use(self, version: str) -> Result:
        """Take over a version; labels that it does not know stay stored, and are learnt again with the next one."""
        arrays = self._versions.arrays(version)
        self.model = SiteModel(base_weight=self._limits.fixed_base)
        self._fill(learn=False)
        self.model.resume(arrays["weights"], arrays["squares"], arrays["rest"])
        self._live.publish(self.model, self._store.labels.counts().newest, version)
        self._versions.note(version)
        return Result(counted=True)

    def _forget(self, digest: str) -> Result:
        if self.model.label(digest) is None:
            return Result()
        self._alike.subtract(likeness(self.model.example(digest).indices()[1]))
        newest = self._store.labels.remove(digest)
        self.model.forget(digest)
        self._live.publish(self.model, newest)
        return Result(counted=True)

    def _refused(self, reporter: str, keys: tuple[int, ...]) -> str:
        most = self._limits.per_campaign
        if sum(self._alike[key] >= most for key in keys) > len(keys) / 2:
            return f"{most} messages nearly like this one were learnt already"
        most = self._limits.per_reporter
        if reporter and self._store.labels.since(reporter, int(time.time() * 1000) - DAY) >= most:
            return f"{reporter} has given {most} labels within a day"
        return ""

    def _load(self) -> None:
        """Go on from the published arrays, if they hold just the stored labels; else make them again."""
        counts = self._store.labels.counts()
        current = self._live.taught and _same(counts, self._live)
        self._fill(learn=not current and bool(counts.newest))
        if current and self.model.ham + self.model.spam == counts.ham + counts.spam:
            self._live.resume(self.model)
        elif counts.newest or self._live.taught:
            self._live.publish(self.model, counts.newest)

    def _fill(self, *, learn: bool) -> None:
        kept = list(examples(self._store, self._limits.labels, self._base))
        (self.model.restore if learn else self.model.remember)(kept)
        self._alike.clear()
        for example, _, _ in kept:
            self._alike.update(likeness(example.indices()[1]))


def examples(store: Store, newest: int, base: Model | None) -> list[tuple[Example, bool, float]]:
    """What is stored, in the order it came: at most so many; older feature versions are extracted anew."""
    found: list[tuple[Example, bool, float]] = []
    for _, label in store.labels.read():
        try:
            example = unpack(label.example, Example)
        except CodecError:
            continue
        if example.version != Example("", ()).version:
            again = [Message(raw) for _, raw in store.labels.bodies([label.digest])]
            if not again:
                continue
            example = replace(Example.of(again[0], base), digest=label.digest)
        found.append((example, label.spam, label.said))
    return found[-newest:]


def _same(counts: LabelCounts, live: Live) -> bool:
    return (counts.ham, counts.spam, counts.newest) == (live.ham, live.spam, live.newest)
