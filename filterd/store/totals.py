"""Totals: how many there are of what is counted often, and how large they are.

Each change of rows brings them up to date in its own transaction, so that nobody counts a million rows to learn it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Column, Connection, Table, Text, select

from filterd.store.dialect import Dialect
from filterd.store.schema import _number, metadata
from filterd.store.words import QuarantineClass

totals = Table(
    "totals",
    metadata,
    Column("name", Text, primary_key=True),
    _number("messages"),
    _number("bytes"),
    sqlite_with_rowid=False,
)

RECORDS = "records"
Total = tuple[int, int]  # messages, and their bytes as they are stored


def held(klass: str) -> str:
    """The name of the total of what is held in a class."""
    return f"held:{klass}"


def opened(connection: Connection, dialect: Dialect, some: Iterable[tuple[str, int]], sign: int = 1) -> None:
    """Items of these classes and sizes came to what is held (1), or went from it (-1)."""
    changes: dict[str, Total] = {}
    for klass, stored in some:
        count, size = changes.get(held(klass), (0, 0))
        changes[held(klass)] = count + sign, size + sign * int(stored)
    add(connection, dialect, changes)


def add(connection: Connection, dialect: Dialect, changes: Mapping[str, Total]) -> None:
    values = [{"name": name, "messages": count, "bytes": size} for name, (count, size) in sorted(changes.items())]
    if values:
        statement = dialect.insert(totals)
        more = {name: totals.c[name] + statement.excluded[name] for name in ("messages", "bytes")}
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=more), values)


def known(connection: Connection) -> dict[str, Total]:
    """All of them; what is not there is none."""
    return {row.name: (row.messages, row.bytes) for row in connection.execute(select(totals))}


def of_classes(connection: Connection, classes: Iterable[QuarantineClass]) -> Total:
    """What is held in these classes together."""
    found = known(connection)
    each = [found.get(held(klass.value), (0, 0)) for klass in classes]
    return sum(count for count, _ in each), sum(size for _, size in each)
