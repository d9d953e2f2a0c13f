"""Finding again: every filter, and pages that hold every row once, whatever leads the search."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import Iterator

import pytest

from filterd.decision import Action
from filterd.store import HistoryFilter, ItemState, QuarantineClass, QuarantineFilter, Store
from tests.store.stored import SPAM, held, make_record

NOW = datetime.datetime.now(datetime.UTC)
ROWS = 640


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Only read by its tests."""
    store = Store.open(tmp_path_factory.mktemp("state"), min_free=0)
    yield fill_up(store)
    store.close()


def fill_up(store: Store) -> Store:
    """Put in ROWS records of the last ROWS minutes; each seventh is held."""

    async def fill() -> None:
        for n in range(ROWS):
            record = make_record(
                id=f"R{n:04}",
                at=NOW - datetime.timedelta(minutes=ROWS - n),
                sender=f"user{n % 30}@Site{n % 10}.example",
                recipients=(f"Ann{n % 5}@Example.org", "all@lists.example.org") if n % 3 else ("bob@other.example",),
                subject=f"Offer number {n}" if n % 4 else f"Invoice {n}",
                action=Action.ACCEPT if n % 7 else Action.QUARANTINE,
                findings=("EVERY", f"TENTH_{n % 10}", *(("RARE",) if n == 77 else ())),
                client=f"192.0.2.{n % 20}",
                ruleset=f"r{n % 3}",
                model=f"m{n % 2}",
                message_id=f"<{n}@mail.example>",
                queue_id=f"Q{n}" if n % 2 else None,
            )
            if n % 7:
                store.write(record)
            else:
                await store.flush()  # so that keys follow the order of the numbers
                klass = QuarantineClass.VIRUS if n % 14 else QuarantineClass.SPAM
                await store.hold(record, SPAM + b"%d" % n, held(record.envelope.recipients[0].address, klass=klass))
        await store.flush()

    asyncio.run(fill())
    return store


def numbers(found: object) -> list[int]:
    return [int(row.id[1:]) for row in found]  # type: ignore[attr-defined]


HISTORY = [
    (HistoryFilter(), lambda n: True),
    (HistoryFilter(action=Action.QUARANTINE), lambda n: n % 7 == 0),
    (HistoryFilter(recipient="ANN2@example.org"), lambda n: n % 5 == 2 and n % 3),
    (HistoryFilter(recipient="@example.org"), lambda n: n % 3),
    (HistoryFilter(recipient="other.example"), lambda n: n % 3 == 0),
    (HistoryFilter(recipient="ther.example"), lambda n: False),
    (HistoryFilter(sender="USER7@site7.example"), lambda n: n % 30 == 7),
    (HistoryFilter(sender="<user7@site7.example>"), lambda n: n % 30 == 7),
    (HistoryFilter(sender="site3.example"), lambda n: n % 10 == 3),
    (HistoryFilter(sender="ite3.example"), lambda n: False),
    (HistoryFilter(finding="RARE"), lambda n: n == 77),
    (HistoryFilter(finding="NEVER"), lambda n: False),
    (HistoryFilter(finding="TENTH_4", action=Action.QUARANTINE), lambda n: n % 10 == 4 and n % 7 == 0),
    (HistoryFilter(text="INVOICE"), lambda n: n % 4 == 0),
    (HistoryFilter(text="number 13"), lambda n: str(n).startswith("13") and n % 4),
    (HistoryFilter(text="r%3"), lambda n: False),
    (HistoryFilter(text="", ruleset="r1", model="m1"), lambda n: n % 3 == 1 and n % 2 == 1),
    (HistoryFilter(client="192.0.2.5", text="offer"), lambda n: n % 20 == 5 and n % 4),
    (HistoryFilter(message_id="<123@mail.example>"), lambda n: n == 123),
    (HistoryFilter(queue_id="Q123"), lambda n: n == 123),
    (HistoryFilter(queue_id="' OR 1=1 --"), lambda n: False),
    (HistoryFilter(direction="outbound"), lambda n: False),
    (HistoryFilter(author="CROOK@bad"), lambda n: True),
    (HistoryFilter(author="offer"), lambda n: False),
    (HistoryFilter(subject="invoice 12"), lambda n: n % 4 == 0 and str(n).startswith("12")),
    (HistoryFilter(subject="crook"), lambda n: False),
    (HistoryFilter(subject="77"), lambda n: "77" in str(n)),
    (HistoryFilter(score=(6.01, None)), lambda n: n == 77),
    (HistoryFilter(score=(None, 6.0), size=(1, 1000), subject="invoice"), lambda n: n % 4 == 0),
    (HistoryFilter(size=(10_000, None)), lambda n: False),
    (HistoryFilter(reason="spam-score", listener="smtp 127.0.0.1:10025"), lambda n: True),
    (HistoryFilter(since=NOW - datetime.timedelta(minutes=100)), lambda n: n >= ROWS - 100),
    (HistoryFilter(until=NOW - datetime.timedelta(minutes=100)), lambda n: n < ROWS - 100),
    (
        HistoryFilter(finding="EVERY", since=NOW - datetime.timedelta(minutes=50), sender="site3.example"),
        lambda n: n >= ROWS - 50 and n % 10 == 3,
    ),
]


def test_history_by_every_filter(filled: Store) -> None:
    for wanted, expected in HISTORY:
        match = [n for n in reversed(range(ROWS)) if expected(n)]
        assert numbers(filled.history.each(wanted)) == match, wanted


def test_text_too_short_for_the_index(filled: Store) -> None:
    every = {n for n in range(ROWS) if "77" in f"{n}" or "77" in f"user{n % 30}"}
    assert set(numbers(filled.history.each(HistoryFilter(text="77")))) == every


@pytest.mark.parametrize("limit", [1, 7, 50, 256, 257, 1000])
def test_pages_hold_every_row_once(filled: Store, limit: int) -> None:
    for wanted, expected in random.Random(limit).sample(HISTORY, 5) if limit == 1 else HISTORY:
        seen, before = [], None
        while True:
            page = filled.history.find(wanted, limit, before, budget=None)
            assert len(page.rows) <= limit
            seen += numbers(page)
            before = page.next
            if before is None:
                break
            assert len(page.rows) == limit
        assert seen == [n for n in reversed(range(ROWS)) if expected(n)], wanted


def test_a_budget_ends_a_page_but_not_the_search(filled: Store) -> None:
    """Rows that match are rare: the page comes short, says so, and the next one goes on."""
    wanted = HistoryFilter(text="qj")  # too short for an index
    page = filled.history.find(wanted, 10, budget=0)
    assert not page.rows
    assert page.next is not None
    pages = 1
    while page.next is not None:
        page = filled.history.find(wanted, 10, page.next, budget=0)
        pages += 1
    assert pages > 1
    assert not page.rows


def test_quarantine_by_every_filter(filled: Store) -> None:
    def items(**fields: object) -> list[int]:
        found = filled.quarantine.each(QuarantineFilter(**fields))  # type: ignore[arg-type]
        return [int(item.record[1:]) for item in found]

    every = [n for n in reversed(range(ROWS)) if n % 7 == 0]
    assert items() == every
    assert items(klass=QuarantineClass.VIRUS) == [n for n in every if n % 14]
    assert items(finding="TENTH_0") == [n for n in every if n % 10 == 0]
    assert items(finding="RARE") == [77]
    assert items(ruleset="r1") == [n for n in every if n % 3 == 1]
    assert items(model="m0", sender="site4.example") == [n for n in every if n % 10 == 4 and n % 2 == 0]
    assert items(recipient="example.org") == [n for n in every if n % 3]
    assert items(recipient="ann0@example.org") == [n for n in every if n % 3 and n % 5 == 0]
    assert items(message_id="<14@mail.example>") == [14]
    assert items(record="R0021") == [21]
    assert items(text="invoice") == [n for n in every if n % 4 == 0]
    assert items(states=(ItemState.DELETED,)) == []
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    assert items(since=since) == every  # held just now, whatever the record's time


def test_states_are_found(store: Store) -> None:
    filled = fill_up(store)
    chosen = [item.id for item in filled.quarantine.each(QuarantineFilter(finding="TENTH_0"))]
    gone = filled.quarantine.delete(chosen[:5], "ann")
    claim = filled.quarantine.claim_for_release(chosen[5], "ann")
    assert claim
    filled.quarantine.released(claim, "250 ok")

    def ids(*states: ItemState, **more: object) -> set[str]:
        wanted = QuarantineFilter(states=states, **more)  # type: ignore[arg-type]
        return {item.id for item in filled.quarantine.each(wanted)}

    assert ids(ItemState.DELETED) == set(gone) == set(chosen[:5])
    assert ids(ItemState.RELEASED) == {chosen[5]}
    assert ids(ItemState.RELEASED, ItemState.DELETED, finding="TENTH_0") == set(chosen[:6])
    assert ids(*ItemState, finding="TENTH_0") == set(chosen)
    assert not ids(ItemState.DELETED, klass=QuarantineClass.POLICY)


def test_counts_of_what_is_held_and_what_passed(filled: Store) -> None:
    classes, tallies = filled.stats()
    assert {(one.klass, one.count) for one in classes} == {("spam", 46), ("virus", 46)}
    assert all(one.size > 0 for one in classes)
    assert sum(one.count for one in tallies) == ROWS
    assert sum(one.count for one in tallies if one.action == "quarantine") == 92
    recent = filled.stats(since=NOW - datetime.timedelta(hours=2))[1]
    assert 0 < sum(one.count for one in recent) < ROWS
