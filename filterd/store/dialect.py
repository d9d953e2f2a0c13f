"""What SQLite and PostgreSQL do differently, and nothing else.

A dialect makes the two engines (one that writes, one that reads), serialises writers, finds text by
substring, gives space back, and turns its driver's errors into a sentence. Everything else in the store is
SQL that both run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Table,
    TableClause,
    Text,
    cast,
    column,
    create_engine,
    event,
    func,
    insert,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import QueuePool

from filterd.store.words import StoreError, StoreFull, StoreUnavailable

BUSY = 10.0  # seconds that a writer waits for another process
TRIGRAM = 3
MAX_TRIGRAMS = 16
_LOCK = 0x66696C74  # "filt": the advisory lock that PostgreSQL's writers take
_OLDEST = (3, 35)


Found = tuple[FromClause, ColumnElement[int], ColumnElement[bool]]  # where to look, the key there, what to ask


class Dialect(Protocol):
    """See the module; `shared` is true when other hosts may write to the same database."""

    name: str
    shared: bool

    def engines(self, url: URL) -> tuple[Engine, Engine]: ...
    def prepare(self, writer: Engine) -> None: ...
    def insert(self, into: Table) -> Any: ...
    def index(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def unindex(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None: ...
    def having(self, of: Table, tokens: Sequence[str], *, some: bool = False) -> Found: ...
    def containing(self, of: Table, needle: str) -> Found | None: ...
    def give_back(self, connection: Connection, pages: int) -> int: ...
    def failure(self, error: Exception) -> StoreError: ...


class Sqlite:
    """One file in the state folder: WAL, every commit on disk, one writer at a time by BEGIN IMMEDIATE."""

    name = "sqlite"
    shared = False

    def engines(self, url: URL) -> tuple[Engine, Engine]:
        import sqlite3

        if sqlite3.sqlite_version_info < _OLDEST:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 is the oldest that will do")
        if not url.database:
            raise StoreError("the database URL names no file")
        _create_private(Path(url.database))
        writer = self._engine(url, 3, "BEGIN IMMEDIATE", ("synchronous=FULL", "cache_size=-16000"))
        reader = self._engine(url, 5, "BEGIN", ("query_only=ON", "cache_size=-32000"))
        return writer, reader

    def _engine(self, url: URL, size: int, begin: str, pragmas: Sequence[str]) -> Engine:
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=20,
            connect_args={"check_same_thread": False, "timeout": BUSY},
        )

        @event.listens_for(engine, "connect")
        def connected(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in (
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "journal_size_limit=67108864",
                "secure_delete=FAST",
                *pragmas,
            ):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def prepare(self, writer: Engine) -> None:
        """Before the first table: auto_vacuum can be chosen only then, and WAL stays once it is set."""
        connection = writer.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
            mode = cursor.fetchone()
            cursor.close()
        finally:
            connection.close()
        if mode is None or mode[0] != "wal":
            raise StoreError("the database cannot use a write-ahead log; is its folder on a network file system?")

    def insert(self, into: Table) -> Any:
        return sqlite.insert(into)

    def index(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        for kind, index in _indexes(of):
            connection.execute(insert(index), [{"rowid": row["key"], "content": row[kind]} for row in rows])

    def unindex(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None:
        """Must be called while the rows are still as they were indexed."""
        for kind, index in _indexes(of):
            delete = select(literal_column("'delete'"), of.c.key, of.c[kind]).where(rows)
            connection.execute(insert(index).from_select([index.name, "rowid", "content"], delete))

    def having(self, of: Table, tokens: Sequence[str], *, some: bool = False) -> Found:
        """The rows that have all of these facets, or `some`: at least one."""
        return _matching(_index(of, "facets"), tokens, " OR " if some else " AND ")

    def containing(self, of: Table, needle: str) -> Found | None:
        """A superset of the rows with `needle` in their text, by its trigrams; None: too short for that."""
        grams = dict.fromkeys(needle[at : at + TRIGRAM] for at in range(len(needle) - TRIGRAM + 1))
        return _matching(_index(of, "search"), list(grams)[:MAX_TRIGRAMS]) if grams else None

    def give_back(self, connection: Connection, pages: int) -> int:
        """Return up to `pages` free pages to the file system, and keep a tenth of the file for what comes."""
        free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
        total = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        surplus = min(pages, free - total // 10)
        if surplus > 0:
            # A script, for `execute` stops after the first page. It ends the transaction and is one itself.
            connection.connection.cursor().executescript(f"PRAGMA incremental_vacuum({surplus})")
        return max(surplus, 0)

    def failure(self, error: Exception) -> StoreError:
        said = str(getattr(error, "orig", None) or error)
        for sign, kind, sentence in _SQLITE_SAYS:
            if sign in said:
                return kind(sentence)
        return StoreUnavailable(f"the database failed: {said}")


_SQLITE_SAYS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("disk is full", StoreFull, "the disk is full"),
    ("locked", StoreUnavailable, "the database is locked by another process"),
    ("readonly", StoreUnavailable, "the database is read-only"),
    ("disk I/O error", StoreUnavailable, "the database could not be written (disk I/O error)"),
    ("unable to open", StoreUnavailable, "the database file cannot be opened"),
    ("malformed", StoreUnavailable, "the database file is damaged"),
    ("not a database", StoreUnavailable, "the database file is not a database"),
)


class Postgres:
    """A server that several nodes share. Writers take one advisory lock, so that keys come in order."""

    name = "postgresql"
    shared = True

    def engines(self, url: URL) -> tuple[Engine, Engine]:
        try:
            writer = create_engine(url, pool_size=3, pool_pre_ping=True)
            reader = create_engine(url, pool_size=5, pool_pre_ping=True)
        except ImportError as error:
            raise StoreError("PostgreSQL needs psycopg: pip install 'filterd[postgres]'") from error

        @event.listens_for(writer, "begin")
        def begun(connection: Connection) -> None:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(BUSY)}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

        @event.listens_for(reader, "begin")
        def reading(connection: Connection) -> None:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

        return writer, reader

    def prepare(self, writer: Engine) -> None:
        """Nothing: the server's administrator chose how it keeps its files."""

    def insert(self, into: Table) -> Any:
        return postgresql.insert(into)

    def index(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Nothing: the indexes on the columns follow by themselves."""

    def unindex(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None:
        """Nothing, as above."""

    def having(self, of: Table, tokens: Sequence[str], *, some: bool = False) -> Found:
        found = of.alias("found")
        wanted = cast(list(tokens), postgresql.ARRAY(Text))
        return found, found.c.key, func.string_to_array(found.c.facets, " ").op("&&" if some else "@>")(wanted)

    def containing(self, of: Table, needle: str) -> Found | None:
        if len(needle) < TRIGRAM:
            return None
        found = of.alias("found")
        return found, found.c.key, found.c.search.contains(needle, autoescape=True)

    def give_back(self, connection: Connection, pages: int) -> int:
        """Nothing: autovacuum does."""
        return 0

    def failure(self, error: Exception) -> StoreError:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        kind = StoreFull if "No space left" in said else StoreUnavailable
        return kind(f"the database failed: {said}")


def dialect_of(url: URL) -> Dialect:
    """The dialect of a database URL; raises StoreError for one that we do not speak."""
    known: dict[str, type[Sqlite] | type[Postgres]] = {"sqlite": Sqlite, "postgresql": Postgres}
    kind = known.get(url.get_backend_name())
    if kind is None:
        raise StoreError(f"{url.get_backend_name()} is not a database that filterd knows; use SQLite or PostgreSQL")
    return kind()


def _indexes(of: Table) -> list[tuple[str, TableClause]]:
    return [(kind, _index(of, kind)) for kind in ("facets", "search")]


def _index(of: Table, kind: str) -> TableClause:
    """The FTS5 table over a column of `of`. It keeps no text; the column of its own name takes its commands."""
    name = f"{of.name}_{kind}"
    return table(name, column("rowid"), column("content"), column(name))


def _matching(index: TableClause, terms: Sequence[str], joint: str = " AND ") -> Found:
    wanted = joint.join('"' + term.replace('"', '""') + '"' for term in terms)
    return index, index.c.rowid, literal_column(index.name).op("MATCH")(wanted)


def _create_private(path: Path) -> None:
    """Make the file ours alone before SQLite makes it everybody's; its WAL inherits the mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
