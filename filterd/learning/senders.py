"""What people say about a message counts for its sender too: spam or wanted, learnt at once or still to be reviewed.

In: a request that was handled. Out: the word in the store, under the keys by which the memory knows the sender of the
record that the message left; taken back when the word is. A message that left no record here says nothing about its
sender, for nobody checked who that was. Never raises: memory never stops learning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import structlog

from filterd.checks.remembering import known_as, learnt
from filterd.learning.digest import message_of
from filterd.learning.words import Request, Result
from filterd.mail import Message
from filterd.outline import outline
from filterd.record import Record
from filterd.store import Store, StoreError
from filterd.store.said import band_key

log = structlog.get_logger("filterd.learning")

_COPIES = 5  # records of one message id that are looked at


class SenderWords:
    def __init__(self, store: Store, hosts: Collection[str]) -> None:
        self._store = store
        self._hosts = hosts  # domains where anybody may have an address

    def follow(self, request: Request, result: Result) -> None:
        """Let the memory say what is said now about the messages of a request."""
        ids = result.done if request.report else request.ids
        try:
            for digest, record in self._messages(request, ids):
                self._settle(digest, record)
        except StoreError as error:
            log.warning("sender-not-told", why=str(error))

    def _messages(self, request: Request, ids: Sequence[str]) -> Iterator[tuple[str, Record | None]]:
        if request.raw.strip() and not request.report:
            message = message_of(request.raw)
            yield message.identity, self._record(request.record, message)
        for id_ in ids:
            one = self._store.suggestions.get(id_)
            if one is not None:
                raw = b"" if one.record else self._store.suggestions.raw(id_)
                yield one.digest, self._record(one.record, Message(raw or b""))

    def _settle(self, digest: str, record: Record | None) -> None:
        spam = self._store.said.word(digest)
        if spam is None or record is None:
            self._store.said.put(digest, spam)
            return
        notes, texts = learnt(record, self._hosts)
        counted = next((int(one.bad - one.good) for one in notes), 0)
        bands = [band_key(band) for one in texts for band in one.bands]
        self._store.said.put(digest, spam, [*known_as(record, self._hosts), *bands], counted)

    def _record(self, id_: str, message: Message) -> Record | None:
        """The record that the message left: by the id that is known, by the one in our header, by its message id.

        Headers may be forged: the record must be of a message that looks the same, and there must be only one.
        """
        history = self._store.history
        if id_:
            return history.show(id_)
        own = message.headers.first("X-Filterd-Id")
        found = [history.show(own.raw_text)] if own is not None else []
        if not any(found) and message.message_id:
            found = [history.show(id_) for id_ in history.with_message_id(message.message_id, _COPIES)]
        if not any(found):
            return None
        told = outline(message)
        same = [one for one in found if one is not None and _looks(one) == (told.message_id, told.from_, told.subject)]
        exact = [one for one in same if one.outline.digest == message.digest]
        return exact[0] if exact else same[0] if len(same) == 1 else None


def _looks(record: Record) -> tuple[str, str, str]:
    return record.outline.message_id, record.outline.from_, record.outline.subject
