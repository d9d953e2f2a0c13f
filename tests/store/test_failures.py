"""When the store cannot: a sentence, nothing half-written, and as before when the trouble is over."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.store import HistoryFilter, Store, StoreError, StoreFull, StoreUnavailable
from filterd.store import dialect as speaking
from tests.store.stored import SPAM, held, make_record

QUERIES = {
    "items without a body": "SELECT count(*) FROM items WHERE (open = 1 OR body IS NOT NULL) "
    "AND (body IS NULL OR body NOT IN (SELECT id FROM bodies))",
    "bodies without an owner": "SELECT count(*) FROM bodies WHERE id NOT IN (SELECT body FROM items "
    "WHERE body IS NOT NULL UNION SELECT body FROM records WHERE body IS NOT NULL)",
    "items without a record": "SELECT count(*) FROM items WHERE record NOT IN (SELECT id FROM records)",
    "records without data": "SELECT count(*) FROM records WHERE key NOT IN (SELECT key FROM record_data)",
    "data without a record": "SELECT count(*) FROM record_data WHERE key NOT IN (SELECT key FROM records)",
    "records not indexed": "SELECT (SELECT count(*) FROM records) - count(*) FROM records_facets('\"d:inbound\"')",
    "items not indexed": "SELECT (SELECT count(*) FROM items) - count(*) FROM items_facets('\"d:inbound\"')",
}


def orphans(folder: Path) -> dict[str, int]:
    """Rows that stand alone and must not; empty when all is well. Also asks SQLite whether the file is sound."""
    connection = sqlite3.connect(folder / "filterd.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {what: connection.execute(query).fetchone()[0] for what, query in QUERIES.items()}
        for index in ("records_facets", "records_search", "items_facets", "items_search"):
            connection.execute(f"INSERT INTO {index}({index}) VALUES ('integrity-check')")
    finally:
        connection.close()
    return {what: count for what, count in found.items() if count}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for a lock, so that the tests are quick."""
    monkeypatch.setattr(speaking, "BUSY", 0.3)


def hold(store: Store, raw: bytes = SPAM) -> tuple[str, ...]:
    return asyncio.run(store.hold(make_record(), raw, held()))


@pytest.mark.usefixtures("impatient")
def test_locked_by_another_process(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store()
    hold(store, b"before")
    other = sqlite3.connect(tmp_path / "state" / "filterd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        hold(store)
    store.write(make_record(subject="while it was locked"))
    assert store.health() == "the database is locked by another process"
    assert len(store.quarantine.find().rows) == 1  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert len(hold(store)) == 1
    asyncio.run(store.flush())
    assert store.health() is None
    assert len(store.history.find(HistoryFilter(text="while it was")).rows) == 1
    assert store.counters.lost_records == 0
    assert orphans(tmp_path / "state") == {}


@pytest.mark.usefixtures("impatient")
def test_everyone_who_waits_is_told_at_once(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """Not one after the other, each after its own wait."""
    store = open_store()
    hold(store, b"before")
    other = sqlite3.connect(tmp_path / "state" / "filterd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def many() -> list[object]:
        holds = (store.hold(make_record(), b"%d" % n, held()) for n in range(300))
        async with asyncio.timeout(20):
            return await asyncio.gather(*holds, return_exceptions=True)

    failed = asyncio.run(many())
    other.close()
    assert all(isinstance(one, StoreUnavailable) for one in failed)
    assert store.counters.failures < 20


def test_a_writer_waits_for_another_that_is_quick(store: Store, tmp_path: Path) -> None:
    """A command deletes many items while mail is held: nobody fails."""

    async def both() -> None:
        ids = await asyncio.gather(*(store.hold(make_record(), b"%d" % n, held()) for n in range(800)))
        other = Store.open(tmp_path / "state", min_free=0)
        deleting = asyncio.create_task(
            asyncio.to_thread(other.quarantine.delete, [one for group in ids for one in group], "ann")
        )
        count = 0
        while not deleting.done():
            await store.hold(make_record(), b"more %d" % count, held())
            count += 1
        assert len(await deleting) == 800
        assert len(store.quarantine.find(limit=5000).rows) == count
        other.close()

    asyncio.run(both())


def test_the_floor_of_free_space(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store(min_free=1 << 60, keep="message")
    with pytest.raises(StoreFull, match="floor of free space"):
        hold(store)
    record = make_record()
    store.write(record, SPAM)
    asyncio.run(store.flush())
    assert "floor" in (store.health() or "")
    assert not store.quarantine.find().rows
    assert store.history.show(record.id) == record  # what passed is still recorded, without its message
    assert store.history.raw(record.id) is None
    assert orphans(tmp_path / "state") == {}


DISK_FULL = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from filterd.store import Store, StoreUnavailable, RetentionSettings
from tests.store.stored import held, make_record

async def main(folder):
    store = Store.open(folder, RetentionSettings(min_free=0))
    await store.hold(make_record(), b"before", held())
    limit = max(os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder)) + 40_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    done, failed = 1, 0
    for number in range(60):
        try:
            await store.hold(make_record(), os.urandom(3000) * 3, held())
            done += 1
        except StoreUnavailable:
            failed += 1
            store.write(make_record(subject="when it was full"))
    assert failed, "the limit was never reached"
    assert store.health()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.hold(make_record(), b"after", held())
    await store.flush()
    assert store.health() is None, store.health()
    assert len(store.quarantine.find(limit=100).rows) == done + 1
    assert store.counters.lost_records == 0
    store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_the_disk_is_full(tmp_path: Path) -> None:
    """A file can grow no more, as on a full disk, in the middle of a transaction; then there is room again."""
    state = tmp_path / "state"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DISK_FULL), str(state)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert run.returncode == 0, run.stderr
    assert not orphans(state)


def test_full_by_sqlite_s_own_word(store: Store) -> None:
    hold(store, b"before")
    with store.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(StoreFull, match="disk is full"), store.database._errors():
            connection.exec_driver_sql("INSERT INTO bodies(digest, data) VALUES ('x', zeroblob(100000))")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file(open_store: Callable[..., Store], tmp_path: Path) -> None:
    open_store().close()
    (tmp_path / "state" / "filterd.db").chmod(0o400)
    store = open_store()
    with pytest.raises(StoreUnavailable):
        hold(store)
    assert "read-only" in (store.health() or "")


def test_records_that_wait_too_long_are_dropped_and_counted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filterd.store import writer

    monkeypatch.setattr(writer, "BACKLOG", 10)
    other = sqlite3.connect(tmp_path / "state" / "filterd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(25):
        store.write(make_record())
    other.close()
    asyncio.run(store.flush())
    counters = store.counters
    assert counters.records == 10
    assert counters.lost_records == 15


def test_closed_means_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state", min_free=0)
    writer = store._writer
    record = make_record()
    store.write(record)
    store.close()
    assert isinstance(writer.submit(lambda _connection, _puts: None).exception(), StoreUnavailable)
    again = Store.open(tmp_path / "state", min_free=0)
    assert again.history.show(record.id) == record
    again.close()


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("mysql://x/y", "not a database that filterd knows"),
        ("sqlite://", "names no file"),
        ("://", "cannot be read"),
        ("/proc/nowhere/state", "cannot be used"),
    ],
)
def test_what_cannot_be_opened_says_so(where: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        Store.open(where)


def test_what_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "filterd.db").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(tmp_path)


def test_a_hold_that_is_given_up_does_no_harm(store: Store) -> None:
    async def give_up() -> None:
        holding = asyncio.create_task(store.hold(make_record(), SPAM, held()))
        await asyncio.sleep(0)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        await store.hold(make_record(), b"another", held())

    asyncio.run(give_up())
    assert len(store.quarantine.find().rows) in (1, 2)
    assert store.health() is None


def test_the_files_are_ours_alone(store: Store, tmp_path: Path) -> None:
    hold(store)
    for path in (tmp_path / "state").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.usefixtures("impatient")
def test_closing_while_it_cannot_write_ends_soon(tmp_path: Path) -> None:
    store = Store.open(tmp_path, min_free=0)
    hold(store)
    other = sqlite3.connect(tmp_path / "filterd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(5000):
        store.write(make_record())
    began = time.monotonic()
    store.close()
    other.close()
    assert time.monotonic() - began < 20
    assert store.counters.lost_records == 5000
    store.write(make_record(), b"x" * 100_000)  # says nothing, does nothing


def test_trouble_is_not_tried_again_without_pause(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full backlog and a database that fails at once, the writer waits between its tries."""
    tries = []

    def fail() -> None:
        tries.append(time.monotonic())
        raise StoreFull("the disk is full")

    monkeypatch.setattr(store.database, "write", fail)
    for _ in range(1000):
        store.write(make_record())
    time.sleep(1.5)
    assert 1 <= len(tries) <= 4
    monkeypatch.undo()
    asyncio.run(store.flush())
    assert store.counters.records == 1000


@pytest.mark.usefixtures("impatient")
def test_health_comes_back_without_mail(store: Store, tmp_path: Path) -> None:
    """Else a balancer that heard of trouble sends no more mail, and nobody ever finds out that it is over."""
    other = sqlite3.connect(tmp_path / "state" / "filterd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        hold(store)
    assert store.health()
    other.execute("ROLLBACK")
    other.close()
    deadline = time.monotonic() + 15
    while store.health():
        assert time.monotonic() < deadline
        time.sleep(0.1)
