"""Totals: whatever is done to items and records, what is kept is what one would count."""

from __future__ import annotations

import asyncio
import datetime

from sqlalchemy import func, select

from filterd.store import Held, QuarantineClass, RetentionSettings, Store
from filterd.store.schema import items, records
from filterd.store.totals import RECORDS, Total, held, known
from tests.store.stored import SPAM, make_record

NOW = datetime.datetime.now(datetime.UTC)


def counted(store: Store) -> dict[str, Total]:
    """What there is, counted row by row."""
    each = select(items.c.klass, func.count(), func.sum(items.c.stored)).where(items.c.open == 1)
    with store.database.read() as connection:
        found = {held(klass): (n, int(size)) for klass, n, size in connection.execute(each.group_by(items.c.klass))}
        return found | {RECORDS: (connection.execute(select(func.count()).select_from(records)).scalar_one(), 0)}


def kept(store: Store) -> dict[str, Total]:
    with store.database.read() as connection:
        return {name: total for name, total in known(connection).items() if total[0] or total[1] or name == RECORDS}


def keep_house(store: Store) -> None:
    """Hold, hold again, delete, hold again what was deleted, release, fail to, and let go; and look after each."""

    def hold(n: int, klass: str, *to: str) -> list[str]:
        some = [Held(one, QuarantineClass(klass), "It looks like spam.") for one in to]
        return list(asyncio.run(store.hold(make_record(recipients=to), SPAM + b"%d\r\n" % n, some)))

    ids = [id_ for n in range(4) for id_ in hold(n, "spam", "ann@example.org", "bob@example.org")]
    assert hold(0, "spam", "ann@example.org") == ids[:1], "the same mail again is the same item"
    virus = hold(9, "virus", "ann@example.org")
    store.write(make_record())
    store.flush_now()
    assert kept(store) == counted(store)
    quarantine = store.quarantine
    for act in (
        lambda: quarantine.delete(ids[:3], "ann"),
        lambda: quarantine.delete(ids[:3], "ann"),
        lambda: quarantine.undelete(ids[:2], "ann"),
        lambda: quarantine.schedule(ids[3:5], "ann", NOW),
        lambda: quarantine.unschedule(ids[3:5], "ann"),
    ):
        act()
        assert kept(store) == counted(store)
    for id_, ends in ((ids[5], quarantine.released), (virus[0], quarantine.release_failed)):
        claim = quarantine.claim_for_release(id_, "ann")
        assert claim is not None
        assert ends(claim, "250 yes")
        assert kept(store) == counted(store)
    assert [(one.klass, one.count) for one in store.stats()[0]] == [("spam", 6), ("virus", 1)]
    store.retention = RetentionSettings(min_free=0, records=3, classes={QuarantineClass.SPAM: {"count": 4}})
    while store.expire(budget=60).more:
        pass
    assert kept(store) == counted(store)
    assert kept(store)[held("spam")][0] == 4
    assert kept(store)[RECORDS] == (3, 0)
    while store.expire(NOW + datetime.timedelta(days=400), budget=60).more:
        pass
    assert kept(store) == counted(store) == {RECORDS: (0, 0)}


def test_what_is_kept_is_what_one_would_count(store: Store) -> None:
    keep_house(store)
