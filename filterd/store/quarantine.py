"""Quarantine: held mail found, read, deleted, and handed to whoever releases it. Blocks.

An item is held, then released or deleted; its row stays until retention takes it. To release one,
`claim_for_release` it: of several claimers one gets it, with a lease, so that a double click delivers once
and a crash frees it again. The claim ends in `released` (the next hop said 250) or `release_failed` (the item
is held as before). Every act is audited in its own transaction. Acts on many items take turns with other
writers.
"""

from __future__ import annotations

import datetime
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from filterd.decision import Edits
from filterd.store import rows, totals
from filterd.store.audit import note
from filterd.store.database import Database
from filterd.store.facets import Facet, address
from filterd.store.fields import within
from filterd.store.schema import bodies, items
from filterd.store.search import BUDGET, Ask, Page, asked, only, own, page
from filterd.store.text import clean
from filterd.store.words import OPEN, Claim, ItemState, QuarantineFilter, QuarantineItem
from filterd.value import unpack

BATCH = 250  # items that one transaction changes
LEASE = 300.0  # seconds that a releaser has
HELD = QuarantineFilter()


class Quarantine:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self,
        wanted: QuarantineFilter = HELD,
        limit: int = 50,
        before: int | None = None,
        budget: float | None = BUDGET,
    ) -> Page[QuarantineItem]:
        """A page of items, newest first. With a budget (seconds) a page may come short; see `Page`."""
        floor = rows.key_at(rows.milliseconds(wanted.since)) if wanted.since else 0
        with self._database.read() as connection:
            asks = self._asks(wanted)
            found, following = page(connection, items, asks, limit=limit, before=before, floor=floor, budget=budget)
        return Page([rows.item_from(row) for row in found], following)

    def each(self, wanted: QuarantineFilter = HELD) -> Iterator[QuarantineItem]:
        """Every item that matches, newest first."""
        found = self.find(wanted, 1000, budget=None)
        yield from found
        while found.next is not None:
            found = self.find(wanted, 1000, found.next, budget=None)
            yield from found

    def get(self, id_: str) -> QuarantineItem | None:
        with self._database.read() as connection:
            row = connection.execute(select(items).where(items.c.id == id_)).first()
        return rows.item_from(row) if row else None

    def raw(self, id_: str) -> bytes | None:
        """The message as it was received; None when it is gone."""
        stored = select(bodies.c.data).join(items, items.c.body == bodies.c.id)
        with self._database.read() as connection:
            data = connection.execute(stored.where(items.c.id == id_)).scalar()
        return None if data is None else rows.unsqueeze(data)

    def edits(self, id_: str) -> Edits | None:
        """What delivery would have changed in the message, if whoever held it said so."""
        with self._database.read() as connection:
            data = connection.execute(select(items.c.edits).where(items.c.id == id_)).scalar()
        return None if data is None else unpack(data, Edits)

    def delete(self, ids: Iterable[str], by: str) -> list[str]:
        """Delete items that are held; the ids of those that were. One being released is left alone."""
        return self._change(ids, by, "deleted", items.c.state == ItemState.HELD.value)

    def undelete(self, ids: Iterable[str], by: str) -> list[str]:
        """Hold again what was deleted and whose message is still there; the ids of those that are."""
        twin = items.alias("twin")
        held_anew = exists(
            select(twin.c.key).where(
                twin.c.open == 1,
                twin.c.body == items.c.body,
                twin.c.sender == items.c.sender,
                twin.c.recipient == items.c.recipient,
            )
        )
        kept = and_(items.c.state == ItemState.DELETED.value, items.c.body.is_not(None), ~held_anew)
        return self._change(ids, by, "undeleted", kept)

    def schedule(self, ids: Iterable[str], by: str, at: datetime.datetime) -> list[str]:
        """Have held items released at `at`; until then `unschedule` takes it back. The ids of those that are."""
        free = and_(items.c.state == ItemState.HELD.value, items.c.body.is_not(None), items.c.due.is_(None))
        return self._change(ids, by, "release-asked", free, {"due": rows.milliseconds(at), "tries": 0})

    def unschedule(self, ids: Iterable[str], by: str) -> list[str]:
        """Have items that wait for their release stay held; the ids of those whose release had not begun."""
        waiting = and_(items.c.state == ItemState.HELD.value, items.c.due.is_not(None))
        return self._change(ids, by, "release-undone", waiting)

    def claim_for_release(self, id_: str, by: str, lease: float = LEASE) -> Claim | None:
        """The right to deliver this item; None when it is gone, or another has that right now.

        Give it back with `released` or `release_failed` before `until`; after that it is anybody's again.
        """
        stamp, token = rows.now(), secrets.token_hex(16)
        until = stamp + int(lease * 1000)
        free = or_(
            items.c.state == ItemState.HELD.value,
            and_(items.c.state == ItemState.RELEASING.value, items.c.due <= stamp),
        )
        taken = (
            update(items)
            .where(items.c.id == id_, items.c.open == 1, items.c.body.is_not(None), free)
            .values(
                state=ItemState.RELEASING.value,
                state_at=stamp,
                state_by=clean(by, 200),
                claim=token,
                due=until,
                tries=items.c.tries + 1,
            )
        )
        with self._database.write() as connection:
            if connection.execute(taken).rowcount != 1:
                return None
            row = connection.execute(select(items).where(items.c.id == id_)).one()
        return Claim(rows.item_from(row), token, rows.moment(until))

    def released(self, claim: Claim, reply: str) -> bool:
        """The next hop has it. False when the claim was lost to another."""
        values = {"state": ItemState.RELEASED.value, "open": 0, "reply": clean(reply), "due": None}
        return self._settle(claim, "released", values)

    def released_since(self, sender: str, recipient: str, since: datetime.datetime) -> bool:
        """Is mail of this sender to this recipient ("" is any) being released, or was it since then?"""
        states = (ItemState.RELEASING, ItemState.RELEASED)
        wanted = QuarantineFilter(states=states, sender=sender, recipient=recipient)
        found = self.find(wanted, 100, budget=None)
        return any(one.sender.lower() == sender.lower() and one.state_at >= since for one in found)

    def release_failed(self, claim: Claim, reason: str, retry_at: datetime.datetime | None = None) -> bool:
        """The next hop did not take it; it is held as before, and `due` names it again at `retry_at`."""
        due = rows.milliseconds(retry_at) if retry_at else None
        values = {"state": ItemState.HELD.value, "reply": clean(reason), "due": due}
        return self._settle(claim, "release-failed", values)

    def due(self, moment: datetime.datetime | None = None, limit: int = 100) -> list[QuarantineItem]:
        """Items whose release is to be tried now: its time has come, or its releaser has gone."""
        stamp = rows.milliseconds(moment) if moment else rows.now()
        wanted = select(items).where(items.c.due <= stamp, items.c.open == 1).order_by(items.c.due).limit(limit)
        with self._database.read() as connection:
            return [rows.item_from(row) for row in connection.execute(wanted)]

    def _settle(self, claim: Claim, what: str, values: dict[str, Any]) -> bool:
        mine = and_(items.c.id == claim.item.id, items.c.claim == claim.token)
        change = update(items).where(mine, items.c.state == ItemState.RELEASING.value)
        settled = change.values(values | {"state_at": rows.now(), "claim": ""})
        with self._database.write() as connection:
            row = connection.execute(settled.returning(items.c.klass, items.c.stored, items.c.open)).first()
            if row is not None:
                note(connection, claim.item.state_by, what, [claim.item.id], values["reply"])
                if not row.open:
                    totals.opened(connection, self._database.dialect, [(row.klass, row.stored)], -1)
        return row is not None

    def _change(
        self,
        ids: Iterable[str],
        by: str,
        what: str,
        condition: ColumnElement[bool],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[str]:
        state = ItemState.DELETED if what == "deleted" else ItemState.HELD
        values = {
            "state": state.value,
            "open": 1 if state in OPEN else 0,
            "state_by": clean(by, 200),
            "due": None,
            **more,
        }
        changed: list[str] = []

        def change(connection: Connection, batch: list[str]) -> None:
            chosen = select(items.c.id, items.c.klass, items.c.stored, items.c.open)
            found = connection.execute(chosen.where(items.c.id.in_(batch), condition)).all()
            some = [row.id for row in found]
            done = update(items).where(items.c.id.in_(some)).values(values | {"state_at": rows.now()})
            connection.execute(done)
            moved = [(row.klass, row.stored) for row in found if row.open != values["open"]]
            totals.opened(connection, self._database.dialect, moved, 1 if values["open"] else -1)
            note(connection, by, what, some)
            changed.extend(some)

        in_turns(self._database, ids, change)
        return changed

    def _asks(self, wanted: QuarantineFilter) -> list[Ask]:
        pairs = [(kind, value) for kind, name in _FACETS.items() if (value := getattr(wanted, name))]
        if wanted.recipient:
            pairs.append(address(Facet.RECIPIENT, Facet.RECIPIENT_DOMAIN, wanted.recipient))
        if wanted.sender:
            pairs.append(address(Facet.SENDER, Facet.SENDER_DOMAIN, wanted.sender))
        dialect = self._database.dialect
        rest = within(dialect, items, wanted) + _states(wanted)
        return asked(dialect, items, pairs, wanted.text, rest, wanted.mine)


_FACETS = {
    Facet.RECORD: "record",
    Facet.MESSAGE_ID: "message_id",
    Facet.FINDING: "finding",
    Facet.RULESET: "ruleset",
    Facet.MODEL: "model",
    Facet.CLIENT: "client",
}


def _states(wanted: QuarantineFilter) -> list[Ask]:
    states = set(wanted.states)
    asks = [only(items.c.reason == wanted.reason)] if wanted.reason else []
    opened = {1 if state in OPEN else 0 for state in states}
    same = [(items.c.open, opened.pop())] if len(opened) == 1 else []
    if wanted.klass and same:
        asks.append(own(items, (items.c.klass, wanted.klass.value), *same))
    elif wanted.klass:
        asks.append(only(items.c.klass == wanted.klass.value))
    elif same:
        asks.append(own(items, *same))
    if states != set(OPEN) and states != set(ItemState):
        asks.append(only(items.c.state.in_([state.value for state in wanted.states])))
    return asks


def in_turns(database: Database, ids: Iterable[str], change: Callable[[Connection, list[str]], None]) -> None:
    """Do `change` to ids in batches, each a transaction of its own, with room for others' between them."""
    rest = iter(ids)
    while batch := list(itertools.islice(rest, BATCH)):
        started = time.monotonic()
        with database.write() as connection:
            change(connection, batch)
        if len(batch) == BATCH:
            time.sleep(max(0.005, time.monotonic() - started))
