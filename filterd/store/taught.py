"""Taught: what single people said about their own mail, as sketches of it. Blocks.

A person has one word about a message, the last. A word that came by a suggestion counts while that one is accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from filterd.store import rows
from filterd.store.database import Database
from filterd.store.suggestion_tables import suggestions
from filterd.store.taught_tables import taught
from filterd.store.text import ADDRESS, clean
from filterd.store.words import SuggestionState
from filterd.value import Value

Owners = frozenset[str]  # whose words are others now


class TaughtWord(Value, kw_only=True):
    """What somebody said about a message to himself."""

    owner: str
    digest: str
    spam: bool
    sketch: bytes
    suggestion: str = ""
    counts: bool = True


class TaughtWords:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, word: TaughtWord, version: int, most: int) -> None:
        """Keep a word in the place of what its owner said before of the message; of each owner the newest `most`."""
        mine = taught.c.owner == clean(word.owner, ADDRESS)
        values = {
            "owner": clean(word.owner, ADDRESS),
            "digest": word.digest,
            "spam": int(word.spam),
            "time": rows.now(),
            "version": version,
            "sketch": word.sketch,
            "suggestion": word.suggestion,
            "counts": int(word.counts),
        }
        older = select(taught.c.key).where(mine).order_by(taught.c.key.desc()).offset(most).limit(1)
        with self._database.write() as connection:
            connection.execute(delete(taught).where(mine, taught.c.digest == word.digest))
            connection.execute(insert(taught).values(**values))
            if (last := connection.execute(older).scalar()) is not None:
                connection.execute(delete(taught).where(mine, taught.c.key <= last))

    def remove(self, digest: str, owner: str = "") -> Owners:
        """Drop what this person, or without a name everybody, said of the message."""
        about = [taught.c.digest == digest, *([taught.c.owner == clean(owner, ADDRESS)] if owner else ())]
        with self._database.write() as connection:
            gone = connection.execute(select(taught.c.owner).where(*about)).scalars().all()
            connection.execute(delete(taught).where(*about))
        return frozenset(gone)

    def settle(self, digest: str = "", ids: Collection[str] = ()) -> Owners:
        """Words that came by suggestions, of this message or by these ones, count as far as these are accepted."""
        about = taught.c.digest == digest if digest else taught.c.suggestion.in_(list(ids))
        own = suggestions.c.id == taught.c.suggestion
        state = select(suggestions.c.state).where(own).scalar_subquery()
        asked = select(taught.c.key, taught.c.owner, taught.c.counts, state.label("state"))
        changed: set[str] = set()
        with self._database.write() as connection:
            for row in connection.execute(asked.where(about, taught.c.suggestion != "")).all():
                counts = int(row.state in (None, SuggestionState.ACCEPTED.value))  # None: it stood until it was too old
                if counts != row.counts and (row.state is not None or row.counts):
                    connection.execute(update(taught).where(taught.c.key == row.key).values(counts=counts))
                    changed.add(row.owner)
        return frozenset(changed)

    def of(self, owner: str, version: int) -> list[TaughtWord]:
        """What counts of this person's words, the newest first."""
        return list(self._read(version, taught.c.owner == clean(owner, ADDRESS)))

    def all(self, version: int, most: int) -> list[TaughtWord]:
        """What counts of everybody's words, the newest `most`."""
        return list(self._read(version, most=most))

    def _read(self, version: int, *about: ColumnElement[bool], most: int | None = None) -> Iterator[TaughtWord]:
        asked = select(taught).where(taught.c.counts == 1, taught.c.version == version, *about)
        with self._database.read() as connection:
            yield from _words(connection, asked.order_by(taught.c.key.desc()).limit(most))


def _words(connection: Connection, asked: object) -> Iterable[TaughtWord]:
    for row in connection.execute(asked):  # type: ignore[call-overload]
        yield TaughtWord(
            owner=row.owner, digest=row.digest, spam=bool(row.spam), sketch=row.sketch, suggestion=row.suggestion
        )
