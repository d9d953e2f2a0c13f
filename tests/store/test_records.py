"""Records of what passes: soon, in batches, rewritten under one id, and with as much of the message as is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import pytest

from filterd.decision import Action
from filterd.record import DeliveryResult, Record
from filterd.store import HistoryFilter, Store, StoreError
from filterd.store import store as storing
from tests.store.stored import SPAM, held, make_record

BIG = b"Subject: big\r\nX-Second: yes\r\n\r\n" + b"0123456789" * 100_000


def put(store: Store, *records: Record, raw: bytes | None = None) -> None:
    async def write() -> None:
        for record in records:
            store.write(record, raw)
        await store.flush()

    asyncio.run(write())


def test_written_without_being_asked_again(store: Store) -> None:
    record = make_record(action=Action.ACCEPT)
    store.write(record)
    deadline = time.monotonic() + 10
    while store.history.show(record.id) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert store.history.show(record.id) == record


def test_many_share_a_commit(store: Store) -> None:
    before = store.counters.commits
    put(store, *(make_record() for _ in range(500)))
    assert store.counters.records == 500
    assert store.counters.commits - before < 10


def test_written_again_under_its_id(store: Store) -> None:
    """First when it is held, then when it is known what became of it."""
    record = make_record(subject="First words")
    asyncio.run(store.hold(record, SPAM, held()))
    sent = (DeliveryResult("ann@example.org", "quarantined", "", "item"),)
    final = msgspec.structs.replace(record, deliveries=sent)
    put(store, final)
    assert store.history.show(record.id) == final
    assert [row.id for row in store.history.find()] == [record.id]
    assert sum(one.count for one in store.stats()[1]) == 1


def test_written_again_with_other_facets(store: Store) -> None:
    record = make_record(id="SAME", subject="First words", findings=("OLD", "BOTH"))
    put(store, record)
    put(store, make_record(id="SAME", subject="Other words", findings=("NEW", "BOTH"), action=Action.TAG))

    def found(**fields: object) -> list[str]:
        return [row.subject for row in store.history.find(HistoryFilter(**fields))]  # type: ignore[arg-type]

    assert found(finding="NEW") == found(finding="BOTH") == found(text="other") == found(action=Action.TAG)
    assert found(finding="NEW") == ["Other words"]
    assert not found(finding="OLD")
    assert not found(text="first")
    assert not found(action=Action.QUARANTINE)


def test_one_that_cannot_be_written_is_counted_and_the_others_are_written(store: Store) -> None:
    good = [make_record() for _ in range(5)]
    put(store, *good[:2], make_record(probability=1 << 70), *good[2:])
    assert all(store.history.show(record.id) for record in good)
    assert store.counters.lost_records == 1
    assert store.health() is None


@pytest.mark.parametrize("keep", ["findings", "headers", "message"])
@pytest.mark.parametrize("raw", [SPAM, BIG], ids=["small", "big"])
def test_what_is_kept_beside_the_record(open_store: Callable[..., Store], keep: str, raw: bytes) -> None:
    store = open_store(keep=keep)
    record = make_record()

    store.write(record, memoryview(raw))
    deadline = time.monotonic() + 10
    while store.history.show(record.id) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    put(store, msgspec.structs.replace(record, error="written again, without the message"))
    headers = store.history.headers(record.id)
    assert headers == (None if keep == "findings" else raw[: raw.index(b"\r\n\r\n") + 2])
    assert store.history.raw(record.id) == (raw if keep == "message" else None)


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"A: 1\nB: 2\n\nbody", b"A: 1\nB: 2\n"),
        (b"A: 1\r\n\r\nb\n\nc", b"A: 1\r\n"),
        (b"no body", b"no body"),
        (b"", b""),
        (b"A: " + b"x" * 1_000_000, (b"A: " + b"x" * 1_000_000)[: storing.HEADERS]),
    ],
)
def test_the_header_block(raw: bytes, headers: bytes) -> None:
    assert storing.header_block(memoryview(raw)) == headers


def test_text_that_is_not_unicode_is_recorded(store: Store) -> None:
    record = make_record(sender="a\udcffb@x.example", subject="\ud800")
    put(store, record)
    shown = store.history.show(record.id)
    assert shown
    assert shown.envelope.sender == "a?b@x.example"
    assert shown.envelope.received_at == record.envelope.received_at
    assert store.counters.lost_records == 0


def test_a_record_that_cannot_be_read_says_so(store: Store) -> None:
    record = make_record()
    put(store, record)
    with store.database.write() as connection:
        from filterd.store.rows import squeeze

        data = squeeze(b"\x81\xa2id\x05")
        connection.exec_driver_sql("UPDATE record_data SET data = ?", (data,))
    with pytest.raises(StoreError, match="cannot be read"):
        store.history.show(record.id)


def test_delivered_is_remembered(open_store: Callable[..., Store]) -> None:
    async def ask(store: Store, *recipients: str) -> frozenset[str]:
        return await store.delivered("digest", "s@x", recipients)

    async def first(store: Store) -> None:
        assert await ask(store, "a@x", "b@x") == frozenset()
        await store.remember_delivered("digest", "s@x", ["a@x"])
        await store.remember_delivered("digest", "s@x", ["a@x"])
        await store.remember_delivered("digest", "s@x", [])
        assert await ask(store, "a@x", "b@x") == {"a@x"}
        assert await store.delivered("digest", "other@x", ["a@x"]) == frozenset()
        assert await store.delivered("another", "s@x", ["a@x"]) == frozenset()

    store = open_store()
    asyncio.run(first(store))
    store.close()
    assert asyncio.run(ask(open_store(), "a@x", "b@x")) == {"a@x"}


def test_a_mark_is_spent_once(store: Store) -> None:
    async def spend() -> list[bool]:
        return await asyncio.gather(*(store.spend_mark("mark", time.time() + 100) for _ in range(20)))

    assert sorted(asyncio.run(spend())) == [False] * 19 + [True]


def test_the_audit_log(store: Store) -> None:
    store.audit.write("ann", "looked", "ITEM", "at the \0 message")
    (id_,) = asyncio.run(store.hold(make_record(), SPAM, held()))
    store.quarantine.delete([id_], "bob")
    store.quarantine.undelete([id_], "cy")
    assert [(line.who, line.what) for line in store.audit.find(id_)] == [("cy", "undeleted"), ("bob", "deleted")]
    assert len(store.audit.find()) == 3
    assert store.audit.find("ITEM")[0].detail == "at the \ufffd message"
