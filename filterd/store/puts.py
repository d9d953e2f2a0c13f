"""Puts: the statements that write records and items, in a transaction that the caller opens and ends."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, insert, select, update

from filterd.ids import new_id
from filterd.record import Record
from filterd.store import facets, rows, totals
from filterd.store.dialect import Dialect
from filterd.store.schema import KEY_BITS, bodies, delivered, items, record_data, records, tallies
from filterd.store.text import clean
from filterd.store.words import Held, ItemState
from filterd.value import pack

_ADDRESS = 4096  # an item's own addresses are never cut to a shorter one that is somebody else's
_AHEAD = datetime.timedelta(days=1)
_HOUR = 3_600_000

_FIXED = {"id", "time", "body"}
_Identity = tuple[int, str, str]  # body, sender, recipient: what makes a copy the same as another


@dataclass(frozen=True, slots=True)
class Body:
    """A message ready to be stored: compressed before any lock is taken."""

    digest: str
    size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be written, with what is kept of its message."""

    record: Record
    body: Body | None = None
    headers: bytes | None = None  # compressed


@dataclass(frozen=True, slots=True)
class Holding:
    """A message to be held for some recipients, and its record."""

    record: Record
    body: Body
    held: Sequence[Held]


class Puts:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def records(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Write records; one whose id is there already takes its place and keeps its key."""
        latest = {clean(entry.record.id, 64): entry for entry in entries}
        ids = self._put_bodies(connection, [entry.body for entry in latest.values() if entry.body])
        columns = {id_: self._columns(entry, ids) for id_, entry in latest.items()}
        known = select(records.c.id, records.c.key, records.c.facets, records.c.search)
        there = connection.execute(known.where(records.c.id.in_(list(latest)))).all()
        if there:
            self._rewrite(connection, [(row, columns.pop(row.id), latest.pop(row.id)) for row in there])
        if latest:
            self._insert(connection, list(columns.values()), list(latest.values()))

    def items(self, connection: Connection, holdings: Sequence[Holding]) -> list[tuple[str, ...]]:
        """Hold messages; the ids of each one's items, in its order. What is held already keeps its id."""
        bodies_by_digest = self._put_bodies(connection, [holding.body for holding in holdings])
        there = self._held_already(connection, bodies_by_digest.values())
        new: dict[_Identity, dict[str, Any]] = {}
        places: list[list[_Identity]] = []
        for holding in holdings:
            places.append([])
            for held in holding.held:
                row = _item_columns(holding, held, bodies_by_digest[holding.body.digest])
                identity = row["body"], row["sender"], row["recipient"]
                places[-1].append(identity)
                if identity not in there:
                    new.setdefault(identity, row)
        if new:
            keys = _keys(connection, items, [row["time"] for row in new.values()])
            for key, row in zip(keys, new.values(), strict=True):
                row["key"] = key
            connection.execute(insert(items), list(new.values()))
            self._dialect.index(connection, items, list(new.values()))
            totals.opened(connection, self._dialect, [(row["klass"], row["stored"]) for row in new.values()])
            there |= {identity: row["id"] for identity, row in new.items()}
        return [tuple(there[identity] for identity in those) for those in places]

    def probe(self, connection: Connection) -> None:
        """Write something that nobody misses, to see whether that works."""
        nobody = {"digest": "", "sender": "", "recipient": "", "expires": rows.now()}
        written = self._dialect.insert(delivered).values(nobody)
        keys = ["digest", "sender", "recipient"]
        connection.execute(written.on_conflict_do_update(index_elements=keys, set_={"expires": nobody["expires"]}))

    def _columns(self, entry: Entry, bodies_by_digest: Mapping[str, int]) -> dict[str, Any]:
        body = bodies_by_digest[entry.body.digest] if entry.body else None
        return rows.record_columns(entry.record) | {"body": body}

    def _insert(self, connection: Connection, columns: Sequence[dict[str, Any]], entries: Sequence[Entry]) -> None:
        keys = _keys(connection, records, [row["time"] for row in columns])
        for key, row in zip(keys, columns, strict=True):
            row["key"] = key
        connection.execute(insert(records), columns)
        connection.execute(insert(record_data), [_data(key, e) for key, e in zip(keys, entries, strict=True)])
        self._dialect.index(connection, records, columns)
        self._count(connection, columns)
        totals.add(connection, self._dialect, {totals.RECORDS: (len(columns), 0)})

    def _rewrite(self, connection: Connection, known: Sequence[tuple[Any, dict[str, Any], Entry]]) -> None:
        """Put records in the place of earlier ones of the same messages; what was kept of these stays."""
        moved = [(old.key, row) for old, row, _ in known if (row["facets"], row["search"]) != (old.facets, old.search)]
        if moved:
            self._dialect.unindex(connection, records, records.c.key.in_([key for key, _ in moved]))
        changed = [
            {"at": old.key, "kept": row["body"]} | {name: row[name] for name in row.keys() - _FIXED}
            for old, row, _ in known
        ]
        body: ColumnElement[int] = func.coalesce(bindparam("kept"), records.c.body)
        connection.execute(update(records).where(records.c.key == bindparam("at")).values(body=body), changed)
        if moved:
            self._dialect.index(connection, records, [row | {"key": key} for key, row in moved])
        data = [_data(old.key, entry) for old, _, entry in known]
        headers: ColumnElement[bytes] = func.coalesce(bindparam("kept"), record_data.c.headers)
        change = update(record_data).where(record_data.c.key == bindparam("at")).values(headers=headers)
        connection.execute(change, [{"at": one["key"], "kept": one["headers"], "data": one["data"]} for one in data])

    def _put_bodies(self, connection: Connection, some: Sequence[Body]) -> dict[str, int]:
        """The row of each body, by digest; those that are new are written."""
        unique = {body.digest: body for body in some}
        there: dict[str, int] = {}
        if unique:
            present = select(bodies.c.digest, bodies.c.id).where(bodies.c.digest.in_(list(unique)))
            there = dict(iter(connection.execute(present)))
        for digest in unique.keys() - there.keys():
            values = {"digest": digest, "size": unique[digest].size, "data": unique[digest].data}
            done = connection.execute(insert(bodies).returning(bodies.c.id), values)
            there[digest] = done.scalar_one()
        return there

    def _held_already(self, connection: Connection, of: Iterable[int]) -> dict[_Identity, str]:
        chosen = select(items.c.body, items.c.sender, items.c.recipient, items.c.id)
        found = connection.execute(chosen.where(items.c.open == 1, items.c.body.in_(list(of))))
        return {(body, sender, recipient): id_ for body, sender, recipient, id_ in found}

    def _count(self, connection: Connection, written: Sequence[Mapping[str, Any]]) -> None:
        counts = Counter((row["time"] // _HOUR, row["action"], row["reason"]) for row in written)
        statement = self._dialect.insert(tallies)
        more = statement.on_conflict_do_update(
            index_elements=["hour", "action", "reason"],
            set_={"messages": tallies.c.messages + statement.excluded.messages},
        )
        connection.execute(
            more,
            [{"hour": h, "action": a, "reason": r, "messages": n} for (h, a, r), n in sorted(counts.items())],
        )


def _keys(connection: Connection, of: Table, times: Sequence[int]) -> list[int]:
    """A key for each row; see `schema`. One that a wrong clock dated far ahead does not drag others along."""
    ahead = rows.key_at(rows.now() + int(_AHEAD.total_seconds() * 1000))
    last = connection.execute(select(func.max(of.c.key)).where(of.c.key < ahead)).scalar() or 0
    keys = []
    for stamp in times:
        last = max(last + 1, min(rows.key_at(stamp), ahead - (1 << KEY_BITS)))
        keys.append(last)
    return keys


def _data(key: int, entry: Entry) -> dict[str, Any]:
    return {"key": key, "data": rows.pack_record(entry.record), "headers": entry.headers}


def _item_columns(holding: Holding, held: Held, body: int) -> dict[str, Any]:
    record, stamp = holding.record, rows.now()
    envelope = record.envelope
    decision = next((one for one in record.decisions if one.recipient == held.recipient), None)
    columns = rows.common_columns(record, decision)
    sender, recipient = clean(envelope.sender, _ADDRESS), clean(held.recipient, _ADDRESS)
    addressed = next((one for one in envelope.recipients if one.address == held.recipient), None)
    return columns | {
        "id": new_id(),
        "time": stamp,
        "record": clean(record.id, 64),
        "digest": holding.body.digest,
        "body": body,
        "sender": sender,
        "recipient": recipient,
        "sender_parameters": clean(" ".join(envelope.sender_parameters), _ADDRESS),
        "recipient_parameters": clean(" ".join(addressed.parameters if addressed else ()), _ADDRESS),
        "klass": held.klass.value,
        "text": clean(held.text),
        "reason": decision.reason.value if decision else "",
        "findings": rows.finding_names(record),
        "size": holding.body.size,
        "stored": len(holding.body.data),
        "facets": facets.of_item(record, recipient, held.klass),
        "search": rows.searched(columns, sender, [recipient]),
        "edits": pack(held.edits) if held.edits else None,
        "open": 1,
        "state": ItemState.HELD.value,
        "state_at": stamp,
    }
