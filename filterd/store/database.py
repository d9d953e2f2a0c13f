"""Database: two engines, transactions, and a schema that is brought up to date when it is opened.

`write()` is one transaction that holds the writers' lock from its first statement; `read()` is one snapshot.
Whatever the driver raises inside leaves them as a `StoreError` with one sentence. A schema of a newer filterd
is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from filterd.store.dialect import Dialect, dialect_of
from filterd.store.words import StoreError

# from the first to the one that this code writes
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
FILE = "filterd.db"


class Database:
    """An open database whose schema is the one that this code knows."""

    def __init__(self, url: URL, dialect: Dialect, writer: Engine, reader: Engine) -> None:
        self.url = url
        self.dialect = dialect
        self._writer = writer
        self._reader = reader

    @classmethod
    def open(cls, where: str | Path) -> Database:
        """Open or create it, or bring it up to date. `where`: a database URL or the state folder."""
        url = _url(where)
        dialect = dialect_of(url)
        try:
            writer, reader = dialect.engines(url)
        except OSError as error:
            raise StoreError(f"the database cannot be created: {error}") from error
        database = cls(url, dialect, writer, reader)
        try:
            database._bring_up_to_date()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def path(self) -> Path | None:
        """The file, when there is one."""
        return Path(self.url.database) if self.dialect.name == "sqlite" and self.url.database else None

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on disk when the block ends. IntegrityError passes as it is."""
        with self._errors(), self._writer.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot to read from; never waits for a writer."""
        with self._errors(), self._reader.begin() as connection:
            yield connection

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise self.dialect.failure(error) from error

    def _bring_up_to_date(self) -> None:
        with self._errors():
            if self._revision() == REVISIONS[-1]:
                return
            self.dialect.prepare(self._writer)
        with self.write() as connection:
            if _revision(connection) != REVISIONS[-1]:  # nobody did it while we waited for the lock
                _migrate(connection)

    def _revision(self) -> str | None:
        with self._reader.connect() as connection:
            return _revision(connection)


def _revision(connection: Connection) -> str | None:
    """The schema's revision; None for an empty database. Raises StoreError when it is not one of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise StoreError(f"the database was written by a newer filterd (schema {revision}); upgrade this one")
    return None if revision is None else str(revision)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _url(where: str | Path) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(Path(where) / FILE))
    try:
        return make_url(where)
    except ArgumentError as error:
        raise StoreError("the database URL cannot be read") from error
