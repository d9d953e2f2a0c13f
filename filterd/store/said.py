"""Said: what people say about messages, as the memory of their senders counts it. Blocks.

A message has one word, the last. Its weight stands beside what mail counted by itself, never in it: of a word that is
taken back nothing is left. Words fade as the rest does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from filterd.facts import Seen
from filterd.store import rows
from filterd.store.database import Database
from filterd.store.label_tables import labels
from filterd.store.memory_tables import said
from filterd.store.suggestion_tables import suggestions
from filterd.store.text import clean
from filterd.store.words import SuggestionState

WORD = 3.0  # mails that a person's word weighs as much as
MAX_KEY = 400
_STANDING = (SuggestionState.PENDING.value, SuggestionState.ACCEPTED.value)


class Said:
    def __init__(self, database: Database) -> None:
        self._database = database

    def word(self, digest: str) -> bool | None:
        """What people say that this message is: its label, else the newest suggestion; None: nobody said anything."""
        label = select(labels.c.spam).where(labels.c.digest == digest)
        own = suggestions.c.digest == digest, suggestions.c.state.in_(_STANDING)
        newest = select(suggestions.c.spam).where(*own).order_by(suggestions.c.key.desc()).limit(1)
        with self._database.read() as connection:
            found = connection.execute(label).first() or connection.execute(newest).first()
        return None if found is None else bool(found[0])

    def put(self, digest: str, spam: bool | None, keys: Collection[str] = (), counted: int = 0) -> None:
        """The word about a message, under the keys of its sender; None takes it back.

        Of a message that is known only the word changes: it may be given without keys.
        """
        stamp = rows.now()
        with self._database.read() as connection:
            known = connection.execute(select(said.c.spam).where(said.c.digest == digest).limit(1)).scalar()
        if known == spam or (known is None and not keys):
            return
        with self._database.write() as connection:
            if spam is None:
                connection.execute(delete(said).where(said.c.digest == digest))
            elif known is not None:
                connection.execute(update(said).where(said.c.digest == digest).values(spam=int(spam), time=stamp))
            else:
                row = {"digest": digest, "spam": int(spam), "counted": counted, "time": stamp}
                connection.execute(insert(said), [row | {"key": key} for key in {clean(key, MAX_KEY) for key in keys}])


def with_words(
    connection: Connection, keys: Sequence[str], known: dict[str, Seen], half_life: float
) -> dict[str, Seen]:
    """`known`, with what people said."""
    found: dict[str, list[tuple[float, bool, int]]] = defaultdict(list)
    for row in _rows(connection, keys):
        found[row.key].append((row.time / 1000, bool(row.spam), row.counted))
    for key, words in found.items():
        times = [time for time, _, _ in words]
        old = known.get(key) or Seen(min(times), max(times))
        good, bad = old.good, old.bad
        for time, spam, counted in words:
            left = 0.5 ** ((old.last - time) / half_life)  # as it was when the sender was last seen
            good += left * ((0.0 if spam else WORD) - (counted < 0))
            bad += left * ((WORD if spam else 0.0) - (counted > 0))
        known[key] = Seen(old.first, old.last, old.seen, max(0.0, good), max(0.0, bad), len(words))
    return known


def spam_by_band(connection: Connection, bands: Iterable[int]) -> dict[int, int]:
    """How much more often texts with these bands were spam than they counted as by themselves."""
    more: dict[int, int] = defaultdict(int)
    for row in _rows(connection, [band_key(band) for band in bands]):
        more[int(row.key[2:])] += (1 if row.spam else -int(WORD)) - (row.counted > 0)
    return more


def band_key(band: int) -> str:
    return f"b:{band}"


def _rows(connection: Connection, keys: Iterable[str]) -> Sequence[Row[Any]]:
    return connection.execute(select(said).where(said.c.key.in_([clean(key, MAX_KEY) for key in keys]))).all()
