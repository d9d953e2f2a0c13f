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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from filterd.classifier import Live, Model, ModelError
from filterd.classifier.site import Example, SiteModel
from filterd.learning.digest import likeness, message_of
from filterd.learning.originals import Originals
from filterd.learning.own_words import OwnWords
from filterd.learning.report import take_report
from filterd.learning.review import EMPTY, Reviewing
from filterd.learning.senders import SenderWords
from filterd.learning.settings import LearningLimits
from filterd.learning.shelf import Shelf
from filterd.learning.stored import stored_labels
from filterd.learning.verdicts import too_many
from filterd.learning.versions import Versions
from filterd.learning.words import Klass, LearningError, Request, Result
from filterd.mail import Message
from filterd.store import Way
from filterd.store.labels import VERDICT, Label, LabelCounts, VerdictCounts
from filterd.value import pack, replace

if TYPE_CHECKING:
    from filterd.store import Store

LOCK = "learner.lock"
DAY = 86_400_000  # ms


@contextlib.contextmanager
def open_learner(
    state: Path, store: Store, base: Model | None, limits: LearningLimits, senders: SenderWords | None = None
) -> Iterator[SiteLearner]:
    """The learner of this state folder; raises LearningError. `senders`: where words about senders are remembered."""
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
            own = OwnWords(store, state, limits.per_user_points) if limits.per_user else None
        except (ModelError, OSError) as error:
            raise LearningError(str(error)) from error
        yield SiteLearner(store, base, live, Versions(state), limits, senders, own)
    finally:
        os.close(descriptor)


class SiteLearner:
    """Learns, forgets, and takes over versions."""

    def __init__(
        self,
        store: Store,
        base: Model | None,
        live: Live,
        versions: Versions,
        limits: LearningLimits,
        senders: SenderWords | None = None,
        own: OwnWords | None = None,
    ) -> None:
        self.store = store
        self.limits = limits
        self.own = own
        self._base = base
        self._live = live
        self._versions = versions
        self._senders = senders
        self.model = SiteModel(base_weight=limits.fixed_base)
        self.left_out: frozenset[str] = frozenset()  # labels that are stored and in no model
        self.renewed = 0  # labels that were extracted anew
        self._alike: Counter[int] = Counter()
        self._verdicts = store.labels.of_verdicts() != VerdictCounts()  # may some labels be from verdicts of our own?
        self._load()

    def handle(self, request: Request) -> Result:
        """Do what is asked; raises LearningError, StoreError."""
        started = time.perf_counter()
        result = self._handled(request)
        if self._senders is not None and not request.verdict:
            self._senders.follow(request, result)
        return replace(
            result,
            ham=self.model.ham,
            spam=self.model.spam,
            milliseconds=round((time.perf_counter() - started) * 1000, 3),
        )

    def _handled(self, request: Request) -> Result:
        if request.use:
            return self.use(request.use)
        if request.review is not None:
            return Reviewing(self).review(request)
        if request.verdict:
            return self._verdict(request)
        if request.klass is None:
            raise LearningError("nothing was asked")
        if request.report:
            return take_report(self, request)
        if request.way not in (None, Way.DOOR):
            return Reviewing(self).suggest(request)
        readers = (request.reporter,) if request.reporter else ()
        raw = Originals(self.store).of_copy(request.raw, readers).raw  # what is given may be a mailbox's copy
        if request.way is Way.DOOR:
            return Reviewing(self).suggest(replace(request, raw=raw))
        result = self.learn(raw, request.klass, request.reporter, request.by)
        if self.own is not None:
            self.own.said(replace(request, raw=raw), result)
        return result

    def learn(self, raw: bytes, klass: Klass, reporter: str = "", by: str = "") -> Result:
        """Learn or forget one message on a word that is final; what is refused says why. Raises StoreError; then
        nothing was learnt."""
        message = message_of(raw)
        if not raw.strip():
            return EMPTY
        if klass is Klass.FORGET:
            return self.forget(message.identity, by)
        example, spam = self.example(message), klass is Klass.SPAM
        known = self.model.label(example.digest)
        if known is spam:
            self._confirm(example.digest, spam, by, reporter)
            return Result()
        if known is None and (why := self._too_many(reporter) or self.crowded(example)):
            return Result(refused=True, why=why)
        with self.store.suggestions.change() as change:
            change.overrule(example.digest, spam, by)
            newest = change.teach(self.label(example, spam, raw, by=by, reporter=reporter), self.limits.messages)
        return self.take_in(example, spam, newest)

    def forget(self, digest: str, by: str = "") -> Result:
        """Take a label out, and every suggestion of it."""
        if self.model.label(digest) is None and not self.store.labels.holds(digest):
            return Result()
        with self.store.suggestions.change() as change:
            change.overrule(digest, None, by)
            newest = change.unteach(digest)
        self.bring(newest, gone=[digest])
        return Result(counted=True)

    def use(self, version: str) -> Result:
        """Take over a version; labels that it does not know stay stored, and are learnt again with the next one."""
        arrays = self._versions.arrays(version)
        self.model = SiteModel(base_weight=self.limits.fixed_base)
        self._fill(learn=False)
        self.model.resume(arrays["weights"], arrays["squares"], arrays["rest"])
        self._publish(self.store.labels.counts().newest, version)
        self._versions.note(version)
        return Result(counted=True)

    def example(self, message: Message) -> Example:
        """What is learnt of a message, under the digest that all its copies share."""
        return replace(Example.of(message, self._base), digest=message.identity)

    def label(
        self, example: Example, spam: bool, raw: bytes | None, *, by: str, reporter: str, suggestion: str = ""
    ) -> Label:
        """A label with what the model says of the message now."""
        return Label(
            digest=example.digest,
            spam=spam,
            example=pack(example),
            said=self.model.score(example),
            by=by,
            reporter=reporter,
            body=raw if self.limits.messages else None,
            suggestion=suggestion,
        )

    def crowded(self, example: Example, coming: Mapping[int, int] = MappingProxyType({})) -> str:
        """Why one more like this is not learnt; "" when it may be. `coming`: what else will have been, by likeness."""
        most, keys = self.limits.per_campaign, likeness(example.text)
        if sum(self._alike[key] + coming.get(key, 0) >= most for key in keys) > len(keys) / 2:
            return f"{most} messages nearly like this one were learnt already"
        return ""

    def take_in(self, example: Example, spam: bool, newest: int) -> Result:
        """Learn a label that was stored."""
        if self.model.label(example.digest) is None:
            self._alike.update(likeness(example.text))
        learnt = self.model.learn(example, spam)
        self.left_out -= {example.digest}
        self._publish(newest)
        return Result(counted=True, moved=learnt.moved, doubtful=learnt.doubtful)

    def bring(self, newest: int, learnt: Sequence[tuple[Example, bool]] = (), gone: Sequence[str] = ()) -> None:
        """Bring the model to where the store is: labels that were put, and labels that were dropped. What takes
        something out learns all the rest again, so several are one pass."""
        if len(gone) + sum(example.digest in self.model for example, _ in learnt) > 1:
            self.model = SiteModel(base_weight=self.limits.fixed_base)
            self._fill(learn=True)
        else:
            for digest in gone:
                if digest in self.model:
                    self._alike.subtract(likeness(self.model.example(digest).text))
                    self.model.forget(digest)
            for example, spam in learnt:
                if example.digest not in self.model:
                    self._alike.update(likeness(example.text))
                self.model.learn(example, spam)
            self.left_out -= {*gone, *(example.digest for example, _ in learnt)}
        self._publish(newest)

    def _confirm(self, digest: str, spam: bool, by: str, reporter: str) -> None:
        """The label is no longer a suggestion's, or a verdict's: undoing these leaves it alone."""
        suggested = self.store.suggestions.any_about(digest)
        if suggested or self._verdicts:
            with self.store.suggestions.change() as change:
                change.adopt(digest, by, reporter)
                if suggested:
                    change.overrule(digest, spam, by)
                    change.attribute(digest, "")

    def _verdict(self, request: Request) -> Result:
        """Learn a verdict of our own, or forget all of them."""
        if request.klass is Klass.FORGET:
            return self._forget_verdicts(request.by)
        if not self.limits.from_verdicts or request.klass is None:
            return Result(refused=True, why="learn.from_verdicts is off")
        example, spam = self.example(Message(request.raw)), request.klass is Klass.SPAM
        if example.digest in self.model or self.store.suggestions.any_about(example.digest):
            return Result(why="something is said of it already")
        if why := too_many(self.store.labels, request.klass, self.limits, self.model.ham, self.model.spam):
            return Result(refused=True, why=why)
        if why := self.crowded(example):
            return Result(why=why)
        label = self.label(example, spam, request.raw, by=VERDICT, reporter="")
        self._verdicts = True
        return self.take_in(example, spam, self.store.labels.put([label], self.limits.messages))

    def _forget_verdicts(self, by: str) -> Result:
        count = self.store.labels.forget_verdicts()
        if count:
            self.model = SiteModel(base_weight=self.limits.fixed_base)
            self._fill(learn=True)
            self._publish(self.store.labels.counts().newest)
            self.store.audit.write(by, "verdicts-forgotten", detail=f"{count} labels")
        self._verdicts = False
        return Result(counted=bool(count), told=f"{count} labels from verdicts forgotten")

    def _too_many(self, reporter: str) -> str:
        most = self.limits.per_reporter
        if reporter and self.store.labels.since(reporter, int(time.time() * 1000) - DAY) >= most:
            return f"{reporter} has given {most} labels within a day"
        return ""

    def _load(self) -> None:
        """Go on from the published arrays, if they hold the stored labels; else make them again."""
        counts = self.store.labels.counts()
        self._fill(learn=False)
        if self._current(counts):
            self._live.resume(self.model)
        elif counts.newest or self._live.taught:
            self.model.relearn()
            self._publish(counts.newest)

    def _current(self, counts: LabelCounts) -> bool:
        """Do the published arrays hold the stored labels, or those of them that are kept in memory?"""
        live, known = self._live, counts.ham + counts.spam - len(self.left_out)
        same = live.taught and (live.newest, live.left_out) == (counts.newest, len(self.left_out))
        return same and live.ham + live.spam in (known, self.model.ham + self.model.spam)

    def _fill(self, *, learn: bool) -> None:
        stored = stored_labels(self.store, self.limits.labels, self._base, Shelf(self._live.folder))
        self.left_out, self.renewed = stored.left_out, stored.renewed
        (self.model.restore if learn else self.model.remember)(stored.examples)
        self._alike.clear()
        for example, _, _ in stored.examples:
            self._alike.update(likeness(example.text))

    def _publish(self, newest: int, version: str | None = None) -> None:
        self._live.publish(self.model, newest, version, len(self.left_out))
