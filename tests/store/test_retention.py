"""Retention: by age, count and size, for each class; never what is younger, never what is being released."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.store import HistoryFilter, ItemState, QuarantineClass, QuarantineFilter, Store
from filterd.store import rows as clock
from tests.store.stored import SPAM, held, make_record
from tests.store.test_failures import orphans

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime.datetime], None]:
    """Set the store's clock."""

    def set_(moment: datetime.datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: clock.milliseconds(moment))

    return set_


def hold(store: Store, raw: bytes, klass: QuarantineClass = QuarantineClass.SPAM, **changes: object) -> str:
    record = make_record(**changes)
    return asyncio.run(store.hold(record, raw, held(klass=klass)))[0]


def everything(store: Store) -> set[str]:
    return {item.id for item in store.quarantine.each(QuarantineFilter(states=tuple(ItemState)))}


def test_by_age_and_class(
    open_store: Callable[..., Store], at: Callable[[datetime.datetime], None], tmp_path: Path
) -> None:
    store = open_store(quarantine="10d", classes={"virus": {"age": "2d"}})
    kept = set()
    for age in (30, 11, 9, 5, 1):
        at(NOW - age * DAY)
        for klass in (QuarantineClass.SPAM, QuarantineClass.VIRUS):
            id_ = hold(store, b"%d %s" % (age, klass.encode()), klass, at=NOW - age * DAY)
            if age < (2 if klass is QuarantineClass.VIRUS else 10):
                kept.add(id_)
    went = store.expire(NOW)
    assert went.items == 6
    assert everything(store) == kept
    assert not store.expire(NOW).items
    assert orphans(tmp_path / "state") == {}


def test_the_edge_of_an_age(open_store: Callable[..., Store], at: Callable[[datetime.datetime], None]) -> None:
    store = open_store(quarantine="10d")
    at(NOW - 10 * DAY + datetime.timedelta(seconds=2))
    id_ = hold(store, SPAM)
    store.expire(NOW)
    assert everything(store) == {id_}
    store.expire(NOW + datetime.timedelta(seconds=3))
    assert not everything(store)


def test_by_count(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store(classes={"spam": {"count": 3}})
    ids = [hold(store, b"%d" % n) for n in range(10)]
    other = hold(store, b"x", QuarantineClass.POLICY)
    assert store.expire().items == 7
    assert everything(store) == {*ids[-3:], other}
    assert orphans(tmp_path / "state") == {}


def test_by_size(open_store: Callable[..., Store]) -> None:
    store = open_store(classes={"spam": {"size": "25kB"}})
    ids = [hold(store, os.urandom(10_000)) for _ in range(5)]
    assert store.expire().items == 3
    assert everything(store) == set(ids[-2:])


def test_by_size_of_all(open_store: Callable[..., Store]) -> None:
    store = open_store(size="25kB")
    classes = list(QuarantineClass)
    ids = [hold(store, os.urandom(10_000), classes[n]) for n in range(5)]
    store.expire()
    assert everything(store) == set(ids[-2:])


def test_a_pending_release_is_not_expired(
    open_store: Callable[..., Store], at: Callable[[datetime.datetime], None]
) -> None:
    store = open_store(quarantine="1d")
    at(NOW - 5 * DAY)
    waiting, busy, idle = (hold(store, b"%d" % n) for n in range(3))
    claim = store.quarantine.claim_for_release(waiting, "ann")
    assert claim
    store.quarantine.release_failed(claim, "450 later", NOW)
    assert store.quarantine.claim_for_release(busy, "ann")
    store.expire(NOW)
    assert everything(store) == {waiting, busy}
    assert idle not in everything(store)


def test_records_by_age(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store(history="90d")

    async def write() -> None:
        for age in range(200, -1, -1):
            store.write(make_record(at=NOW - age * DAY, subject=f"age {age}"))
        await store.flush()

    asyncio.run(write())
    assert store.expire(NOW, budget=60).records == 110
    assert len(list(store.history.each())) == 91
    assert not store.history.find(HistoryFilter(text="age 91")).rows
    assert len(store.history.find(HistoryFilter(text="age 90")).rows) == 1
    assert orphans(tmp_path / "state") == {}


def test_records_by_count(open_store: Callable[..., Store]) -> None:
    store = open_store(records=20)

    async def write() -> None:
        for n in range(50):
            store.write(make_record(id=f"R{n:02}"))
        await store.flush()

    asyncio.run(write())
    store.expire(budget=60)
    assert {row.id for row in store.history.each()} == {f"R{n:02}" for n in range(30, 50)}


def test_kept_messages_go_before_their_records(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store(keep="message", message="7d")
    old, young = make_record(at=NOW - 8 * DAY), make_record(at=NOW - DAY)
    both = make_record(at=NOW - 8 * DAY)

    async def write() -> None:
        store.write(old, b"old")
        store.write(both, SPAM)
        store.write(young, b"young")
        await store.flush()
        await store.hold(make_record(), SPAM, held())  # the quarantine needs this body still
        await store.flush()

    asyncio.run(write())
    assert store.expire(NOW).bodies == 1
    assert store.history.raw(old.id) is None
    assert store.history.show(old.id) == old
    assert store.history.raw(young.id) == b"young"
    assert store.history.raw(both.id) is None
    assert store.quarantine.raw(store.quarantine.find().rows[0].id) == SPAM
    assert orphans(tmp_path / "state") == {}


def test_a_clock_that_was_wrong_takes_nothing_with_it(open_store: Callable[..., Store]) -> None:
    """A record from 1970 or from 2099 is listed where it came; what is young stays, and order goes on."""
    store = open_store(history="90d")

    async def write() -> None:
        store.write(make_record(id="FIRST", at=NOW - DAY))
        await store.flush()
        store.write(make_record(id="PAST", at=datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)))
        await store.flush()
        store.write(make_record(id="FUTURE", at=datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)))
        await store.flush()
        store.write(make_record(id="LAST", at=NOW))
        await store.flush()

    asyncio.run(write())
    store.expire(NOW)
    assert {"FIRST", "FUTURE", "LAST"} <= {row.id for row in store.history.each()}
    since = HistoryFilter(since=NOW - datetime.timedelta(hours=1))
    assert "LAST" in {row.id for row in store.history.each(since)}
    store.expire(NOW + 200 * DAY)
    assert not list(store.history.each())


def test_deleted_messages_go_after_their_grace(
    open_store: Callable[..., Store], at: Callable[[datetime.datetime], None], tmp_path: Path
) -> None:
    store = open_store()
    id_ = hold(store, SPAM)
    store.quarantine.delete([id_], "ann")
    assert store.expire().bodies == 0
    assert store.quarantine.undelete([id_], "ann") == [id_]
    store.quarantine.delete([id_], "ann")
    assert store.expire(grace=0).bodies == 1
    assert store.quarantine.raw(id_) is None
    assert store.quarantine.undelete([id_], "ann") == []
    item = store.quarantine.get(id_)
    assert item
    assert (item.state, item.stored) == (ItemState.DELETED, False)
    assert orphans(tmp_path / "state") == {}


def test_space_goes_back_to_the_disk(open_store: Callable[..., Store], tmp_path: Path) -> None:
    store = open_store(quarantine="1d")
    for n in range(30):
        hold(store, os.urandom(200_000) + b"%d" % n)
    path = tmp_path / "state" / "filterd.db"
    with store.database.write() as connection:
        connection.exec_driver_sql("SELECT 1")
    store.expire(NOW + 5 * DAY, budget=60)
    store.close()
    assert path.stat().st_size < 2_000_000


def test_a_budget_is_kept_and_there_is_more(open_store: Callable[..., Store]) -> None:
    store = open_store(quarantine="1d")

    async def fill() -> None:
        await asyncio.gather(*(store.hold(make_record(), b"%d" % n, held()) for n in range(1200)))

    asyncio.run(fill())
    later = NOW + 5 * DAY
    went = store.expire(later, budget=0)
    assert went.more
    assert 0 < went.items < 1200
    total, began = went.items, time.monotonic()
    while went.more:
        went = store.expire(later, budget=0)
        total += went.items
    assert total == 1200
    assert time.monotonic() - began < 60
    assert not everything(store)


def test_marks_and_memories_expire(open_store: Callable[..., Store]) -> None:
    store = open_store()

    async def remember() -> None:
        await store.spend_mark("mark", NOW.timestamp() + 60)
        await store.remember_delivered("digest", "s@x", ["a@x"])

    asyncio.run(remember())
    store.expire(NOW)
    assert asyncio.run(store.spend_mark("mark", 0)) is False
    store.expire(NOW + 6 * DAY)
    assert asyncio.run(store.spend_mark("mark", 0)) is True
    store.close()
    assert asyncio.run(open_store().delivered("digest", "s@x", ["a@x"])) == frozenset()
