"""Saved: searches that people gave a name to. Blocks."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from filterd.store.access_tables import saved_searches as saved
from filterd.store.access_words import SavedSearch
from filterd.store.database import Database
from filterd.store.text import LINE, clean, fold
from filterd.store.words import StoreError

MOST = 30  # of one person, in one room
TITLE = 60


class Saved:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str, room: str) -> list[SavedSearch]:
        """This person's, by title."""
        mine = (saved.c.name == fold(name)) & (saved.c.room == room)
        with self._database.read() as connection:
            found = connection.execute(select(saved).where(mine).order_by(saved.c.title))
            return [SavedSearch(room=row.room, title=row.title, q=row.q) for row in found]

    def save(self, name: str, search: SavedSearch) -> None:
        """Keep it, in the place of one with the same title. Raises StoreError when there are too many."""
        values = {"name": fold(name), "room": search.room, "title": clean(search.title, TITLE)}
        mine = (saved.c.name == values["name"]) & (saved.c.room == search.room)
        with self._database.write() as connection:
            connection.execute(delete(saved).where(mine, saved.c.title == values["title"]))
            if connection.execute(select(func.count()).where(mine)).scalar_one() >= MOST:
                raise StoreError("There are too many saved searches already: remove one.")
            insert = self._database.dialect.insert(saved).values(**values, q=clean(search.q, LINE))
            connection.execute(insert)

    def remove(self, name: str, room: str, title: str) -> bool:
        with self._database.write() as connection:
            mine = (saved.c.name == fold(name), saved.c.room == room, saved.c.title == title)
            return connection.execute(delete(saved).where(*mine)).rowcount == 1
