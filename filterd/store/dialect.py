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
    column,
    create_engine,
    event,
    insert,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import QueuePool

from filterd.store.words import StoreError, StoreFull, StoreUnavailable

BUSY = 10.0  # seconds that a writer waits for another process
TRIGRAM = 3
MAX_TRIGRAMS = 16
_LOCK = 0x66696C74  # "filt": the advisory lock that PostgreSQL's writers take
_OLDEST = (3, 35)


class Dialect(Protocol):
    """See the module; `shared` is true when other hosts may write to the same database."""

    name: str
    shared: bool

    def engines(self, url: URL) -> tuple[Engine, Engine]: ...
    def prepare(self, writer: Engine) -> None: ...
    def insert(self, into: Table) -> Any: ...
    def index_text(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def forget_text(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None: ...
    def containing(
        self, of: Table, needle: str
    ) -> tuple[FromClause, ColumnElement[int], ColumnElement[bool]] | None: ...
    def give_back(self, connection: Connection, pages: int) -> int: ...
    def optimise(self, connection: Connection) -> None: ...
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
            raise StoreError(
                "the database cannot use a write-ahead log; is its folder on a network file system?"
            )

    def insert(self, into: Table) -> Any:
        return sqlite.insert(into)

    def index_text(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        connection.execute(
            text(f"INSERT INTO {of.name}_search(rowid, text) VALUES (:key, :search)"),
            [{"key": row["key"], "search": row["search"]} for row in rows],
        )

    def forget_text(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None:
        search = _search_table(of)
        delete = select(literal_column("'delete'"), of.c.key, of.c.search).where(rows)
        connection.execute(insert(search).from_select([search.name, "rowid", "text"], delete))

    def containing(
        self, of: Table, needle: str
    ) -> tuple[FromClause, ColumnElement[int], ColumnElement[bool]] | None:
        """A superset of the rows with `needle` in their text, by the trigram index; None: too short."""
        grams = list(dict.fromkeys(needle[at : at + TRIGRAM] for at in range(len(needle) - TRIGRAM + 1)))
        if not grams:
            return None
        search = _search_table(of)
        wanted = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in grams[:MAX_TRIGRAMS])
        return search, search.c.rowid, literal_column(search.name).op("MATCH")(wanted)

    def give_back(self, connection: Connection, pages: int) -> int:
        """Return up to `pages` free pages to the file system, and keep a tenth of the file for what comes."""
        free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
        total = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        surplus = min(pages, free - total // 10)
        if surplus > 0:
            # one page for each row that is fetched
            connection.exec_driver_sql(f"PRAGMA incremental_vacuum({surplus})").fetchall()
        return max(surplus, 0)

    def optimise(self, connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA analysis_limit=400")
        connection.exec_driver_sql("ANALYZE")

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

    def index_text(self, connection: Connection, of: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Nothing: the trigram index on the search column follows by itself."""

    def forget_text(self, connection: Connection, of: Table, rows: ColumnElement[bool]) -> None:
        """Nothing, as above."""

    def containing(
        self, of: Table, needle: str
    ) -> tuple[FromClause, ColumnElement[int], ColumnElement[bool]] | None:
        if len(needle) < TRIGRAM:
            return None
        found = of.alias("found")
        return found, found.c.key, found.c.search.contains(needle, autoescape=True)

    def give_back(self, connection: Connection, pages: int) -> int:
        """Nothing: autovacuum does."""
        return 0

    def optimise(self, connection: Connection) -> None:
        """Nothing, as above."""

    def failure(self, error: Exception) -> StoreError:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        kind = StoreFull if "No space left" in said else StoreUnavailable
        return kind(f"the database failed: {said}")


def dialect_of(url: URL) -> Dialect:
    """The dialect of a database URL; raises StoreError for one that we do not speak."""
    known: dict[str, type[Sqlite] | type[Postgres]] = {"sqlite": Sqlite, "postgresql": Postgres}
    kind = known.get(url.get_backend_name())
    if kind is None:
        raise StoreError(
            f"{url.get_backend_name()} is not a database that filterd knows; use SQLite or PostgreSQL"
        )
    return kind()


def _search_table(of: Table) -> TableClause:
    name = f"{of.name}_search"
    return table(name, column("rowid"), column("text"), column(name))


def _create_private(path: Path) -> None:
    """Make the file ours alone before SQLite makes it everybody's; its WAL inherits the mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
