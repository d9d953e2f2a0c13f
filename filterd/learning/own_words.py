"""Own words: what people said of mail to themselves, kept for each of them, and shown to every worker.

In: requests that were handled, and what became of them. Whose mail it is says the request: the address that the message
came to, else the name of who speaks, if it is an address. A reviewer's word is about everybody's mail and counts for
nobody alone. What waits for a reviewer waits here too. Raises StoreError; the same request again puts it right.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from filterd.classifier.taught import SKETCH_VERSION, WORDS, Taught, owner_of, sketch_of
from filterd.learning.digest import message_of
from filterd.learning.words import Klass, Request, Result
from filterd.store.taught import Owners, TaughtWord

if TYPE_CHECKING:
    from filterd.store import Store

MOST = 64  # words of one person, the newest: 16 kB


class OwnWords:
    def __init__(self, store: Store, state: Path, most: float) -> None:
        """`most`: points that they may move. Raises ModelError, OSError, StoreError."""
        Taught.prepare(state)
        self._store = store.taught
        self._suggestions = store.suggestions
        self._live = Taught(state, most, writable=True)
        words = self._store.all(SKETCH_VERSION, WORDS)
        self._live.fill([(one.owner, (one.spam, one.sketch)) for one in words])

    def said(self, request: Request, result: Result) -> None:
        """Somebody said what `request.raw` is."""
        if result.refused:
            return
        message, owner = message_of(request.raw), owner_for(request)
        digest = message.identity
        if request.klass is Klass.FORGET:
            self._publish(self._store.remove(digest, owner) if owner or not request.reporter else frozenset())
        elif owner:
            word = TaughtWord(
                owner=owner,
                digest=digest,
                spam=request.klass is Klass.SPAM,
                sketch=sketch_of(message).tobytes(),
                suggestion=result.suggestion,
                counts=not result.queued,
            )
            self._store.put(word, SKETCH_VERSION, MOST)
            self._publish(frozenset({owner}))
        self._publish(self._store.settle(digest))

    def reviewed(self, result: Result) -> None:
        """A reviewer decided about suggestions."""
        self._publish(self._store.settle(ids=result.done))
        for id_ in result.done:
            if (one := self._suggestions.get(id_)) is not None:
                self._publish(self._store.settle(one.digest))

    def _publish(self, owners: Owners) -> None:
        for owner in owners:
            words = self._store.of(owner, SKETCH_VERSION)
            self._live.write(owner, [(one.spam, one.sketch) for one in words])


def owner_for(request: Request) -> str:
    """Whose own word a request is; "" for nobody's."""
    return "" if request.trusted else owner_of(request.address) or owner_of(request.reporter)
