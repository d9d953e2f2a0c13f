"""Entries: whose mail passes and whose does not, as people said it on the pages. Blocks.

An entry is a line of `filterd.access` with an id; there is one for each pair of a sender and a recipient, so that the
last word counts. Every change is audited in its own transaction. `stamp` says cheaply whether anything has changed, so
that the mail process can follow.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from filterd.access import Entry
from filterd.ids import new_id
from filterd.store import rows
from filterd.store.access_tables import access_entries as entries
from filterd.store.access_words import AccessEntry, line_of, name_of
from filterd.store.audit import note
from filterd.store.database import Database
from filterd.store.text import clean, fold
from filterd.store.words import StoreError

MOST_EACH, MOST = 2_000, 200_000  # entries for one recipient, and in all
COMMENT = 200


class Entries:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entry: Entry, by: str, item: str = "") -> AccessEntry:
        """Have it hold from now on, instead of what was said of the same sender and recipient before.

        One that says the same is left as it is. Raises StoreError when there are too many.
        """
        with self._database.write() as connection:
            same = _same(connection, entry)
            if same is not None and _entry(same).line == line_of(entry):
                return _entry(same)
            if same is not None:
                connection.execute(delete(entries).where(entries.c.id == same.id))
            _make_room(connection, entry)
            values = _values(entry) | {"id": new_id(), "by": clean(by, 200), "item": clean(item, 64)}
            connection.execute(insert(entries).values(values))
            note(connection, by, "access-added", [item], line_of(entry))
            return _entry(connection.execute(select(entries).where(entries.c.id == values["id"])).one())

    def change(self, id_: str, entry: Entry, by: str) -> bool:
        """Have it say something else; False when there is no such entry, or another says this of the same two."""
        with self._database.write() as connection:
            old = connection.execute(select(entries).where(entries.c.id == id_)).first()
            same = _same(connection, entry)
            if old is None or (same is not None and same.id != id_):
                return False
            connection.execute(update(entries).where(entries.c.id == id_).values(_values(entry)))
            note(connection, by, "access-changed", [old.item], f"{_entry(old).line} -> {line_of(entry)}")
            return True

    def remove(self, ids: Iterable[str], by: str) -> list[str]:
        """The ids of those that were there."""
        with self._database.write() as connection:
            return _remove(connection, connection.execute(select(entries).where(entries.c.id.in_(list(ids)))).all(), by)

    def take_back(self, items: Iterable[str], by: str) -> list[str]:
        """Remove what this person said from these held messages."""
        mine = entries.c.item.in_(list(items)) & (entries.c.by == clean(by, 200))
        with self._database.write() as connection:
            return _remove(connection, connection.execute(select(entries).where(mine)).all(), by)

    def get(self, id_: str) -> AccessEntry | None:
        with self._database.read() as connection:
            row = connection.execute(select(entries).where(entries.c.id == id_)).first()
        return _entry(row) if row else None

    def find(
        self, mine: Sequence[str] = (), text: str = "", limit: int = 200, over: datetime.date | None = None
    ) -> list[AccessEntry]:
        """The latest first. `mine`: for these addresses, and for domains with their @ and everybody there.

        `over`: those whose last day was before this one.
        """
        wanted = select(entries).order_by(entries.c.changed.desc(), entries.c.id.desc()).limit(limit)
        if mine:
            wanted = wanted.where(or_(*(_within(one) for one in mine)))
        if over is not None:
            wanted = wanted.where(entries.c.until != "", entries.c.until < over.isoformat())
        if text:
            columns = (entries.c.whom, entries.c.recipient, entries.c.comment, entries.c.by)
            wanted = wanted.where(or_(*(func.lower(one).contains(fold(text), autoescape=True) for one in columns)))
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(wanted)]

    def lines(self) -> list[str]:
        """All of them, as `filterd.access` reads them."""
        with self._database.read() as connection:
            return [_entry(row).line for row in connection.execute(select(entries))]

    def stamp(self) -> tuple[int, int]:
        """Another one after every change."""
        with self._database.read() as connection:
            count, changed = connection.execute(select(func.count(), func.max(entries.c.changed))).one()
        return count, changed or 0


def _within(one: str) -> Any:
    domain = one.removeprefix("@")
    if domain == one:
        return entries.c.recipient == one
    return or_(entries.c.recipient == domain, entries.c.recipient.endswith(f"@{domain}", autoescape=True))


def _same(connection: Connection, entry: Entry) -> Row[Any] | None:
    both = (entries.c.recipient == entry.recipient, entries.c.whom == name_of(entry))
    return connection.execute(select(entries).where(*both)).first()


def _make_room(connection: Connection, entry: Entry) -> None:
    counted = select(func.count()).select_from(entries)
    for_one = connection.execute(counted.where(entries.c.recipient == entry.recipient)).scalar_one()
    if for_one >= MOST_EACH and entry.recipient:
        raise StoreError("There are too many entries for this recipient already: remove some.")
    if connection.execute(counted).scalar_one() >= MOST:
        raise StoreError("There are too many entries already: write to the postmaster.")


def _remove(connection: Connection, found: Sequence[Row[Any]], by: str) -> list[str]:
    ids = [row.id for row in found]
    connection.execute(delete(entries).where(entries.c.id.in_(ids)))
    for row in found:
        note(connection, by, "access-removed", [row.item], _entry(row).line)
    return ids


def _values(entry: Entry) -> dict[str, Any]:
    return {
        "allows": int(entry.allows),
        "whom": name_of(entry),
        "recipient": entry.recipient,
        "until": entry.until.isoformat() if entry.until else "",
        "comment": clean(entry.comment, COMMENT),
        "changed": rows.now(),
    }


def _entry(row: Row[Any]) -> AccessEntry:
    return AccessEntry(
        id=row.id,
        allows=bool(row.allows),
        whom=row.whom,
        recipient=row.recipient,
        until=datetime.date.fromisoformat(row.until) if row.until else None,
        comment=row.comment,
        by=row.by,
        time=rows.moment(row.changed),
        item=row.item,
    )
