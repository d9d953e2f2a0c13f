"""Holding mail: durable on return, once for each content, sender and recipient, and many at once by one commit."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from filterd.store import Held, QuarantineClass, QuarantineFilter, Store
from filterd.store import writer as writing
from tests.store.stored import SPAM, held, make_record


def test_one_item_for_each_recipient_and_one_body_for_all(store: Store, tmp_path: Path) -> None:
    record = make_record(recipients=("ann@example.org", "Bob@Example.ORG"))
    ids = asyncio.run(store.hold(record, SPAM, held("ann@example.org", "Bob@Example.ORG")))
    first, second = (store.quarantine.get(one) for one in ids)
    assert first
    assert second
    assert (first.recipient, second.recipient) == ("ann@example.org", "Bob@Example.ORG")
    assert first.score == 6.0
    assert first.findings == ("PILLS", "URGENT")
    assert store.quarantine.raw(ids[0]) == store.quarantine.raw(ids[1]) == SPAM
    assert store.history.show(record.id) == record
    assert rows(tmp_path, "SELECT count(*) FROM bodies") == [(1,)]


def test_a_retry_gets_the_same_item(store: Store, tmp_path: Path) -> None:
    first = asyncio.run(store.hold(make_record(), SPAM, held()))
    again = asyncio.run(store.hold(make_record(), memoryview(SPAM), held()))
    assert first == again
    assert rows(tmp_path, "SELECT count(*) FROM items") == [(1,)]


def test_what_makes_an_item_its_own(store: Store) -> None:
    async def hold(sender: str, recipient: str, raw: bytes) -> tuple[str, ...]:
        return await store.hold(make_record(sender=sender), raw, held(recipient))

    async def all_of_them() -> set[tuple[str, ...]]:
        return {
            await hold("a@x.example", "ann@example.org", SPAM),
            await hold("b@x.example", "ann@example.org", SPAM),
            await hold("a@x.example", "bob@example.org", SPAM),
            await hold("a@x.example", "ann@example.org", SPAM + b"more\r\n"),
        }

    assert len(asyncio.run(all_of_them())) == 4


def test_the_same_copies_at_once_are_one_item(store: Store, tmp_path: Path) -> None:
    async def many() -> list[tuple[str, ...]]:
        return await asyncio.gather(*(store.hold(make_record(), SPAM, held()) for _ in range(30)))

    assert len(set(asyncio.run(many()))) == 1
    assert rows(tmp_path, "SELECT count(*) FROM items") == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM records") == [(30,)]


def test_the_same_recipient_twice_is_one_item(store: Store) -> None:
    ids = asyncio.run(store.hold(make_record(), SPAM, held("ann@example.org", "ann@example.org")))
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_what_was_released_or_deleted_is_held_anew(store: Store) -> None:
    """Else the sender is told 250 for a copy that nobody holds."""
    (first,) = asyncio.run(store.hold(make_record(), SPAM, held()))
    assert store.quarantine.delete([first], "ann") == [first]
    (second,) = asyncio.run(store.hold(make_record(), SPAM, held()))
    claim = store.quarantine.claim_for_release(second, "ann")
    assert claim
    assert store.quarantine.released(claim, "250 ok")
    (third,) = asyncio.run(store.hold(make_record(), SPAM, held()))
    assert len({first, second, third}) == 3
    assert store.quarantine.undelete([first], "ann") == []  # its place is taken


def test_holds_that_wait_share_a_commit(store: Store) -> None:
    async def many() -> None:
        await asyncio.gather(
            *(store.hold(make_record(), SPAM + b"%d" % n, held(f"user{n}@example.org")) for n in range(200))
        )

    asyncio.run(store.flush())
    before = store.counters.commits
    asyncio.run(many())
    commits = store.counters.commits - before
    assert store.counters.held == 200
    assert 200 / writing.GROUP <= commits < 50
    assert len(store.quarantine.find(limit=500).rows) == 200


def test_one_that_cannot_be_written_does_not_fail_the_others(store: Store) -> None:
    """A row that the database refuses is to blame alone."""
    bad = make_record(sender="bad@x.example", probability=1 << 70)  # a number that no column has

    async def many() -> list[object]:
        good = (store.hold(make_record(), SPAM + b"%d" % n, held()) for n in range(5))
        return await asyncio.gather(*good, store.hold(bad, SPAM, held("eve@example.org")), return_exceptions=True)

    *good, failed = asyncio.run(many())
    assert all(isinstance(one, tuple) for one in good)
    assert isinstance(failed, Exception)
    assert store.health() is None
    assert len(store.quarantine.find().rows) == 5


def test_strange_text_is_held_and_found(store: Store, tmp_path: Path) -> None:
    record = make_record(
        sender="we'ird\"%_\udcff@x.example",
        recipients=("ann\0@example.org",),
        subject="drop\0 table; \ud800 ＦＲＥＥ 100%_off \"quoted\" 'x' -- Ünïcode" + "x" * 5000,
        findings=("WITH SPACE", "ODD\0NAME"),
        message_id="<" + "m" * 5000 + ">",
    )
    (id_,) = asyncio.run(store.hold(record, SPAM, [Held("ann\0@example.org", QuarantineClass.UNJUDGED, "why\0")]))
    for text in ("free 100%_OFF", '"quoted" \'', "üNÏCODE", "table;", "we'ird\"%_"):
        assert [item.id for item in store.quarantine.find(QuarantineFilter(text=text))] == [id_], text
    assert not store.quarantine.find(QuarantineFilter(text="100%%off")).rows
    assert store.history.show(record.id) is not None
    item = store.quarantine.get(id_)
    assert item
    assert item.findings[0] == "WITH_SPACE"


def test_an_empty_message_without_recipients_known(store: Store) -> None:
    (id_,) = asyncio.run(store.hold(make_record(recipients=(), findings=()), b"", held("ann@example.org")))
    assert store.quarantine.raw(id_) == b""


def test_two_stores_on_one_file_hold_at_once(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "state", min_free=0)

    async def both() -> None:
        await asyncio.gather(
            *((store, other)[n % 2].hold(make_record(findings=(f"F{n % 7}",)), b"%d" % n, held()) for n in range(60))
        )

    asyncio.run(both())
    assert len(other.quarantine.find(limit=100).rows) == 60
    assert sum(len(store.quarantine.find(QuarantineFilter(finding=f"F{n}")).rows) for n in range(7)) == 60
    other.close()


def rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """What the file itself says."""
    connection = sqlite3.connect(folder / "state" / "filterd.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
