"""Suggestions: people's words about messages, learnt at once or kept for a reviewer, and undone.

In go requests; out come results. What a word becomes is said by `learn.review`, by the way that it came. A label stands
as long as one accepted word for it does: undoing the last takes the message back to the label that it had by no
suggestion, or to none. Raises StoreError; then nothing was decided. Checks no rights: who asks has done that.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from filterd.classifier.site import REVIEW_MARGIN, Example
from filterd.learning.digest import likeness, message_of
from filterd.learning.settings import Mode
from filterd.learning.stored import readable
from filterd.learning.words import Klass, LearningError, Request, Result, Review
from filterd.mail import Message
from filterd.store import Suggestion, SuggestionState, Way
from filterd.value import pack, replace

if TYPE_CHECKING:
    from filterd.learning.learner import SiteLearner
    from filterd.store.suggestions import Change, Kept

MOST = 500  # suggestions that one review decides about
DAY = 86_400_000  # ms
EMPTY = Result(refused=True, why="the message is empty")
NOT_WAITING = "it is {} already"


class Reviewing:
    def __init__(self, learner: SiteLearner) -> None:
        self._learner = learner
        self._store = learner.store.suggestions
        self._limits = learner.limits

    def suggest(self, request: Request) -> Result:
        """Somebody's word about a message."""
        if not request.raw.strip():
            return EMPTY
        result = self._suggested(request)
        if (own := self._learner.own) is not None:
            own.said(request, result)
        return result

    def _suggested(self, request: Request) -> Result:
        message = message_of(request.raw)
        if request.klass is Klass.FORGET:
            digest = message.identity
            if request.way is Way.DOOR:
                return self._learner.forget(digest, request.by)
            return self._take_back(digest, request)
        example = self._learner.example(message)
        one = self._suggestion(request, message, example)
        mode = self._mode(request, one)
        own = self._store.standing(one.digest, one.reporter)
        same = next((old for old in reversed(own) if old.spam is one.spam), None)
        learnt = (
            same is not None and same.state is SuggestionState.ACCEPTED and one.digest not in self._learner.left_out
        )
        if same is not None and (mode is not Mode.AT_ONCE or learnt):
            return Result(suggestion=same.id, queued=same.state is SuggestionState.PENDING)
        if why := self._refused(request, one, mode):
            return Result(refused=True, why=why)
        others = [old for old in own if old.spam is not one.spam]
        if mode is Mode.QUEUE:
            return self._queue(request, one, example, others)
        return self._learn(request, one, example, others, same)

    def review(self, request: Request) -> Result:
        """A reviewer's word about suggestions."""
        if len(request.ids) > MOST:
            raise LearningError(f"at most {MOST} suggestions at once")
        decide = {Review.ACCEPT: self._accept, Review.REJECT: self._reject, Review.UNDO: self._undo}
        result = decide[request.review or Review.UNDO](request)
        if (own := self._learner.own) is not None:
            own.reviewed(result)
        return result

    def _queue(self, request: Request, one: Suggestion, example: Example, others: Sequence[Suggestion]) -> Result:
        with self._store.change() as change:
            for old in others:
                if old.state is SuggestionState.PENDING:
                    change.undo(old, request.by)
            id_ = change.add(one, request.by, pack(example), request.raw if self._limits.messages else None)
        return Result(queued=True, suggestion=id_, doubtful=one.doubtful)

    def _learn(
        self, request: Request, one: Suggestion, example: Example, others: Sequence[Suggestion], same: Suggestion | None
    ) -> Result:
        """At once; `same` is what this person had said before, and waits."""
        known = self._learner.model.label(one.digest)
        if known is None and (why := self._learner.crowded(example)):
            return Result(refused=True, why=why)
        newest = None
        with self._store.change() as change:
            if same is not None:
                change.accept(same, request.by)
                id_ = same.id
            else:
                id_ = change.add(replace(one, state=SuggestionState.ACCEPTED), request.by, b"", None)
            for old in others:
                change.undo(old, request.by)
            if known is not one.spam:
                label = self._learner.label(
                    example, one.spam, request.raw, by=request.by, reporter=request.reporter, suggestion=id_
                )
                newest = change.teach(label, self._limits.messages)
            else:
                change.adopt(one.digest, request.by, request.reporter, id_)
        if newest is None:
            return Result(suggestion=id_)
        return replace(self._learner.take_in(example, one.spam, newest), suggestion=id_, doubtful=one.doubtful)

    def _accept(self, request: Request) -> Result:
        learnt: dict[str, tuple[Example, bool]] = {}
        coming: Counter[int] = Counter()
        newest = None

        def accept(change: Change, one: Kept) -> str:
            nonlocal newest
            label = change.label(one.digest)
            known = label is not None and label.spam is one.spam and one.digest not in self._learner.left_out
            if one.state is SuggestionState.ACCEPTED or known:
                change.accept(one, request.by)
                change.adopt(one.digest, request.by, one.reporter, one.id)
                return ""
            if (example := self._example(one)) is None:
                return "its message is gone"
            if label is None and (why := self._learner.crowded(example, coming)):
                change.remark(one, why)
                return why
            change.accept(one, request.by)
            fresh = self._learner.label(
                example, one.spam, one.body, by=request.by, reporter=one.reporter, suggestion=one.id
            )
            newest = change.teach(fresh, self._limits.messages)
            if label is None:
                coming.update(likeness(example.text))
            learnt[one.digest] = (example, one.spam)
            return ""

        result = self._each(request.ids, accept)
        if newest is not None:
            self._learner.bring(newest, learnt=list(learnt.values()))
        return replace(result, counted=bool(learnt))

    def _reject(self, request: Request) -> Result:
        def reject(change: Change, one: Kept) -> str:
            if one.state is not SuggestionState.PENDING:
                return NOT_WAITING.format(one.state.value)
            change.reject(one, request.by, request.text)
            return ""

        return self._each(request.ids, reject)

    def _undo(self, request: Request) -> Result:
        undoing = _Undoing(self._learner, request.by)

        def undo(change: Change, one: Kept) -> str:
            if one.state is SuggestionState.REJECTED:
                change.reopen(one, request.by)
            elif one.state is SuggestionState.UNDONE:
                return NOT_WAITING.format(one.state.value)
            else:
                undoing.undo(change, one)
            return ""

        result = self._each(request.ids, undo)
        return replace(result, counted=undoing.finish())

    def _take_back(self, digest: str, request: Request) -> Result:
        """A person's own words about this message."""
        undoing = _Undoing(self._learner, request.by)
        with self._store.change() as change:
            own = change.standing(digest, request.reporter)
            for one in change.kept([one.id for one in own]):
                undoing.undo(change, one)
        undoing.finish()
        return Result(counted=bool(own))

    def _each(self, ids: Sequence[str], decide: Callable[[Change, Kept], str]) -> Result:
        """Decide about these in one transaction; `decide` says why not, or ""."""
        failed: dict[str, str] = dict.fromkeys(ids, "there is no such suggestion")
        with self._store.change() as change:
            for one in change.kept(ids):
                failed[one.id] = decide(change, one)
        done = tuple(id_ for id_, why in failed.items() if not why)
        return Result(done=done, failed=tuple((id_, why) for id_, why in failed.items() if why))

    def _suggestion(self, request: Request, message: Message, example: Example) -> Suggestion:
        assert request.way is not None
        said = self._learner.model.score(example)
        spam = request.klass is Klass.SPAM
        author = message.headers.first("From")
        return Suggestion(
            digest=example.digest,
            spam=spam,
            way=request.way,
            reporter=request.reporter,
            address=request.address,
            record=request.record,
            item=request.item,
            from_=author.text if author is not None else "",
            subject=message.subject,
            message_id=message.message_id,
            said=said,
            doubtful=not request.trusted and (said if spam else -said) < REVIEW_MARGIN,
        )

    def _mode(self, request: Request, one: Suggestion) -> Mode:
        mode = self._limits.review.mode(one.way, doubtful=one.doubtful)
        return Mode.AT_ONCE if request.trusted and mode is Mode.QUEUE else mode

    def _refused(self, request: Request, one: Suggestion, mode: Mode) -> str:
        """Why this word is not taken; "" when it is."""
        most = self._limits.per_reporter
        if mode is Mode.NEVER:
            return f"learn.review.{one.way} is never"
        if one.reporter and not request.trusted:
            given = self._store.since(one.reporter, int(time.time() * 1000) - DAY)
            if given >= most:
                return f"{one.reporter} has given {most} labels within a day"
        if mode is Mode.QUEUE and self._store.counts().pending >= self._limits.review.waiting:
            return f"{self._limits.review.waiting} suggestions wait for a reviewer already"
        return ""

    def _example(self, one: Kept) -> Example | None:
        """What is learnt of it; extracted anew where the features have another version since. None: it is gone."""
        if (example := readable(one.example)) is not None:
            return example
        return None if one.body is None else self._learner.example(Message(one.body))


class _Undoing:
    """Takes words back in a transaction, and then what they had taught."""

    def __init__(self, learner: SiteLearner, by: str) -> None:
        self._learner = learner
        self._by = by
        self._moved: dict[str, tuple[Example, bool]] = {}
        self._gone: list[str] = []
        self._newest = 0

    def undo(self, change: Change, one: Kept) -> None:
        label = change.label(one.digest)
        if one.state is not SuggestionState.ACCEPTED or label is None:
            change.undo(one, self._by)
            return
        change.undo(one, self._by, label.example, label.body)
        if label.suggestion != one.id:
            return
        rest = [old for old in change.standing(one.digest) if old.state is SuggestionState.ACCEPTED]
        spam, source = (rest[-1].spam, rest[-1].id) if rest else (one.before, "")
        if spam is None:
            self._newest = change.unteach(one.digest)
            self._gone.append(one.digest)
        elif spam is label.spam:
            change.attribute(one.digest, source)
        else:
            back = replace(label, spam=spam, suggestion=source, by=self._by, reporter="", time=0)
            self._newest = change.teach(back, self._learner.limits.messages)
            if (example := readable(label.example)) is not None:
                self._moved[one.digest] = (example, spam)

    def finish(self) -> bool:
        """Bring the model there; was there anything?"""
        moved = [kept for digest, kept in self._moved.items() if digest not in self._gone]
        if not (self._newest or self._gone):
            return False
        self._learner.bring(self._newest, learnt=moved, gone=self._gone)
        return True
