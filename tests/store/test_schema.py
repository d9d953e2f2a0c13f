"""The schema: migrations end where the tables are, a newer one is refused, and many may open at once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from filterd.store import Store, StoreError, StoreUnavailable, database
from filterd.store.lock import Lock
from filterd.store.schema import metadata
from tests.store.stored import SPAM, held, make_record

MIGRATIONS = Path(database.__file__).parent / "migrations"


def test_the_code_knows_every_migration() -> None:
    script = ScriptDirectory(MIGRATIONS)
    assert tuple(reversed([one.revision for one in script.walk_revisions()])) == database.REVISIONS
    assert script.get_heads() == [database.REVISIONS[-1]]


def test_migrations_end_where_the_tables_are(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection)
        different = [
            one
            for one in compare_metadata(context, metadata)
            if not (one[0] == "remove_table" and one[1].name.partition("_")[2].startswith(("facets", "search")))
        ]
    assert different == []


def test_a_newer_schema_is_refused(store: Store, tmp_path: Path) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"written by a newer filterd \(schema 9999\)"):
        Store.open(tmp_path / "state")


def test_how_the_file_is_kept(store: Store, tmp_path: Path) -> None:
    with store.database.write() as connection:
        kept = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
        }
    assert kept == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "foreign_keys": 1}


def test_many_processes_make_it_at_once(tmp_path: Path) -> None:
    code = "import sys; from filterd.store import Store; Store.open(sys.argv[1]).close()"
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "state")]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for child in children:
        assert child.wait(60) == 0, child.stderr and child.stderr.read()
        assert child.stderr
        child.stderr.close()
    connection = sqlite3.connect(tmp_path / "state" / "filterd.db")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(database.REVISIONS[-1],)]
    connection.close()


def test_a_migration_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: object) -> None:
        migrate(connection)  # type: ignore[arg-type]
        raise RuntimeError("in the middle")

    migrate = database._migrate
    monkeypatch.setattr(database, "_migrate", broken)
    with pytest.raises(RuntimeError):
        Store.open(tmp_path)
    connection = sqlite3.connect(tmp_path / "filterd.db")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    monkeypatch.undo()
    store = Store.open(tmp_path, min_free=0)
    asyncio.run(store.hold(make_record(), SPAM, held()))
    store.close()


def test_words_do_not_load_the_database() -> None:
    """A worker that only knows the words has no database toolkit in its memory."""
    code = "import sys, filterd.store; sys.exit('sqlalchemy' in sys.modules or 'alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_opening_what_is_up_to_date_does_not_load_migrations(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from filterd.store import Store; "
        "Store.open(sys.argv[1]).close(); sys.exit('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "state")]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_lock(store: Store, tmp_path: Path) -> None:
    second = Store.open(tmp_path / "state")
    with pytest.raises(StoreUnavailable, match="filterd is running"):
        Lock(tmp_path / "state", alone=True)
    second.close()
    store.close()
    alone = Lock(tmp_path / "state", alone=True)
    with pytest.raises(StoreUnavailable, match="a restore is under way"):
        Store.open(tmp_path / "state")
    alone.release()
