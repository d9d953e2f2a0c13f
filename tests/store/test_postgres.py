"""The same store on PostgreSQL: a server of the test's own, two nodes at once."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.access import parse_entry
from filterd.decision import Action
from filterd.store import (
    HistoryFilter,
    ItemState,
    QuarantineFilter,
    RetentionSettings,
    SavedSearch,
    Store,
    Suggestion,
    SuggestionFilter,
    Way,
)
from filterd.store.labels import Label
from tests.peers import require
from tests.store.stored import SPAM, held, make_record
from tests.store.test_totals import counted, kept

pytestmark = pytest.mark.peer("postgresql")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database on a server that lives as long as this module's tests."""
    if importlib.util.find_spec("psycopg") is None:
        missing = "psycopg is not installed (pip install 'filterd[postgres]')"
        pytest.fail(missing) if os.environ.get("FILTERD_REQUIRE_PEERS") == "1" else pytest.skip(missing)
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    bin_ = (installed[-1] if installed else require("initdb", "postgresql")).parent
    folder = Path(tempfile.mkdtemp(prefix="filterd-pg-"))
    who = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if who:
        shutil.chown(folder, who)

    def run(program: str, *arguments: str) -> None:
        subprocess.run([bin_ / program, *arguments], user=who, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run("initdb", "-D", str(folder / "data"), "-A", "trust", "-E", "UTF8", "-N")
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(folder / "data"), "-o", settings, "-l", str(folder / "log"), "-w", "start")
    try:
        run("createdb", "-h", str(folder), "filterd")
        yield f"postgresql+psycopg://{who or ''}@/filterd?host={folder}"
    finally:
        run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def nodes(url: str) -> Iterator[tuple[Store, Store]]:
    pair = Store.open(url, RetentionSettings(keep="message")), Store.open(url)
    yield pair
    for store in pair:
        store.close()


def test_a_store_on_postgresql(nodes: tuple[Store, Store]) -> None:
    store, other = nodes

    async def fill() -> list[tuple[str, ...]]:
        records = (
            make_record(id=f"R{n:03}", subject=f"Offer\0 {n}", sender=f"s{n % 3}@x.example", findings=(f"F{n % 5}",))
            for n in range(60)
        )
        holds = [nodes[n % 2].hold(one, SPAM + b"%d" % n, held()) for n, one in enumerate(records)]
        passed = [make_record(id=f"P{n}", action=Action.ACCEPT, subject="Ünï 100%_") for n in range(30)]
        for n, record in enumerate(passed):
            nodes[n % 2].write(record, b"Subject: x\r\n\r\nbody %d" % n)
        ids = await asyncio.gather(*holds)
        await store.flush()
        await other.flush()
        return ids

    ids = [one for some in asyncio.run(fill()) for one in some]
    assert len(set(ids)) == 60
    (again,) = asyncio.run(other.hold(make_record(sender="s0@x.example"), SPAM + b"0", held()))
    assert again == ids[0]
    assert len(list(store.quarantine.each())) == 60
    assert len(list(store.quarantine.each(QuarantineFilter(finding="F2", sender="s2@x.example")))) == 4
    assert len(list(store.quarantine.each(QuarantineFilter(text="offer\ufffd 1", recipient="example.org")))) == 11
    assert len(list(store.history.each(HistoryFilter(text="üNÏ 100%_")))) == 30
    assert not list(store.history.each(HistoryFilter(text="ünï 100%%")))
    assert len(store.history.find(HistoryFilter(action=Action.ACCEPT), limit=7).rows) == 7
    assert other.history.raw("P8") == b"Subject: x\r\n\r\nbody 8"
    assert store.quarantine.raw(ids[7]) == SPAM + b"7"
    assert sum(one.count for one in store.stats()[1]) == 91
    assert store.health() is None

    claim = store.quarantine.claim_for_release(ids[1], "ann")
    assert claim
    assert other.quarantine.claim_for_release(ids[1], "bob") is None
    assert store.quarantine.released(claim, "250 ok")
    assert set(other.quarantine.delete(ids[2:10], "bob")) == set(ids[2:10])
    states = {item.id: item.state for item in store.quarantine.each(QuarantineFilter(states=tuple(ItemState)))}
    assert states[ids[1]] is ItemState.RELEASED
    assert states[ids[2]] is ItemState.DELETED

    async def remember() -> None:
        assert await store.delivered("d", "s", ["a"]) == frozenset()
        await other.remember_delivered("d", "s", ["a"])
        assert await store.delivered("d", "s", ["a", "b"]) == {"a"}
        assert sorted([await store.spend_mark("m", 9e9), await other.spend_mark("m", 9e9)]) == [False, True]

    asyncio.run(remember())
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=200)
    assert kept(store) == counted(store)
    assert store.expire(later, budget=60).items == 60
    assert kept(store) == counted(store)
    assert not list(store.history.each())


def test_suggestions_on_postgresql(nodes: tuple[Store, Store]) -> None:
    """What one node keeps the other finds, and may decide about."""
    store, other = nodes
    one = Suggestion(digest="d1", spam=True, way=Way.REPORT, reporter="Ann@a.example", address="ann@a.example",
                     subject="Ünï\0 100%", doubtful=True)  # fmt: skip
    with store.suggestions.change() as change:
        id_ = change.add(one, "smtp", b"example", b"body")
    wanted = SuggestionFilter(text="üNÏ", spam=True, doubtful=True, mine=("@a.example",), reporter="ann@a.example")
    assert [found.id for found in other.suggestions.find(wanted)] == [id_]
    assert (other.suggestions.raw(id_), other.suggestions.counts().pending) == (b"body", 1)
    with other.suggestions.change() as change:
        (kept,) = change.kept([id_])
        change.accept(kept, "mia")
        change.teach(Label(digest="d1", spam=True, example=kept.example, suggestion=id_), 1_000)
        label = change.label("d1")
    assert label is not None
    assert label.suggestion == id_
    with store.suggestions.change() as change:
        (kept,) = change.kept([id_])
        assert (kept.before, kept.state) == (None, "accepted")
        change.undo(kept, "mia", label.example, label.body)
        change.unteach("d1")
    assert store.labels.counts().spam == 0


def test_what_people_keep_on_postgresql(nodes: tuple[Store, Store]) -> None:
    store, other = nodes
    before = store.access.stamp()
    entry = store.access.add(parse_entry("deny bad.example for ann@example.org # Häufig"), "web:ann", "item")
    assert other.access.stamp() != before
    assert [one.line for one in other.access.find(("@example.org",), "häufig")] == [entry.line]
    assert other.access.change(entry.id, parse_entry("allow bad.example for ann@example.org"), "web:ann")
    assert store.access.lines() == ["allow bad.example for ann@example.org"]
    assert store.access.take_back(["item"], "web:ann") == [entry.id]
    store.saved.save("ann", SavedSearch(room="history", title="mine", q="x"))
    store.saved.save("ann", SavedSearch(room="history", title="mine", q="y"))
    assert [one.q for one in other.saved.find("ann", "history")] == ["y"]
    with store.suggestions.change() as change:
        change.add(Suggestion(digest="held", spam=False, way=Way.RELEASE, item="i"), "web:ann", b"", None)
        change.add(Suggestion(digest="came", spam=True, way=Way.REPORT), "web:ann", b"", None)
    (day,) = other.errors(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))
    assert (day.missed >= 1, day.alarms >= 1) == (True, True)
    store.write(make_record(subject="An Offer"))
    store.flush_now()
    wanted = HistoryFilter(author="crook", subject="an OFFER", score=(1, 100), size=(1, 10_000_000))
    assert len(other.history.find(wanted).rows) == 1
    assert not store.history.find(HistoryFilter(author="nobody")).rows
