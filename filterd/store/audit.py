"""Audit: who did what to which item, for as long as retention of the history says."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from filterd.store import rows
from filterd.store.database import Database
from filterd.store.schema import audit
from filterd.store.text import clean
from filterd.store.words import AuditLine

WAYS = ("web", "api", "digest")


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, who: str, what: str, item: str = "", detail: str = "") -> None:
        """Durable on return; raises StoreUnavailable."""
        with self._database.write() as connection:
            note(connection, who, what, [item], detail)

    def find(self, item: str | None = None, limit: int = 100, who: str = "") -> list[AuditLine]:
        """The latest lines, newest first; those about one item when it is named, and by one person.

        `who` is a person's name; whether they did it on the pages, by the API or by a digest makes no difference.
        """
        wanted = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if item is not None:
            wanted = wanted.where(audit.c.item == item)
        if who:
            ways = [who, *(f"{way}:{who}" for way in WAYS)]
            wanted = wanted.where(audit.c.who.in_(ways))
        with self._database.read() as connection:
            return [
                AuditLine(rows.moment(row.time), row.who, row.what, row.item, row.detail)
                for row in connection.execute(wanted)
            ]


def note(connection: Connection, who: str, what: str, about: Iterable[str], detail: str = "") -> None:
    """Write a line for each item, in the transaction of what was done to it."""
    values = [
        {
            "time": rows.now(),
            "who": clean(who, 200),
            "what": clean(what, 100),
            "item": clean(item, 64),
            "detail": clean(detail),
        }
        for item in about
    ]
    if values:
        connection.execute(insert(audit), values)
