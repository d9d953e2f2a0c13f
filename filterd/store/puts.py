"""Puts: the statements that write records and items, in a transaction that the caller opened and will end.

`Puts` remembers the ids of finding names; after a rollback the caller says `forget()`, for the ids may be
gone.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from filterd.ids import new_id
from filterd.mail.envelope import domain_of
from filterd.record import Record
from filterd.store import rows
from filterd.store.dialect import Dialect
from filterd.store.schema import (
    KEY_BITS,
    bodies,
    item_findings,
    items,
    names,
    record_data,
    record_findings,
    record_recipients,
    records,
    tallies,
)
from filterd.store.words import Held, ItemState
from filterd.value import pack

_ADDRESS = 4096  # an item's own addresses are never cut to a shorter one that is somebody else's
_AHEAD = datetime.timedelta(days=1)
_HOUR = 3_600_000
_FIXED = ("id", "time", "search", "body")  # of a record that is written again


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

    @property
    def sender(self) -> str:
        return rows.clean(self.record.envelope.sender, _ADDRESS)

    @property
    def identities(self) -> list[tuple[str, str, str]]:
        """What makes each copy the same as one that is held already."""
        return [(self.body.digest, self.sender, rows.clean(one.recipient, _ADDRESS)) for one in self.held]


class Puts:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._names: dict[str, int] = {}

    def forget(self) -> None:
        self._names.clear()

    def records(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Write records; one whose id is there already takes its place and keeps its key."""
        latest = {entry.record.id: entry for entry in entries}
        known = self._known(connection, list(latest))
        fresh = [entry for id_, entry in latest.items() if id_ not in known]
        self._put_bodies(connection, [entry.body for entry in latest.values() if entry.body])
        if fresh:
            self._insert_records(connection, fresh)
        if known:
            self._rewrite(connection, {known[id_]: entry for id_, entry in latest.items() if id_ in known})

    def items(self, connection: Connection, holdings: Sequence[Holding]) -> list[tuple[str, ...]]:
        """Hold messages; the ids of each one's items, in its order. What is held already keeps its id."""
        there = self._held_already(connection, {holding.body.digest for holding in holdings})
        new: dict[tuple[str, str, str], dict[str, Any]] = {}
        named: list[Sequence[str]] = []
        for holding in holdings:
            for identity, held in zip(holding.identities, holding.held, strict=True):
                if identity not in there and identity not in new:
                    new[identity] = _item_columns(holding, held, identity)
                    named.append(rows.finding_names(holding.record))
        if new:
            self._put_bodies(connection, [holding.body for holding in holdings])
            keys = _keys(connection, items, [row["time"] for row in new.values()])
            for key, row in zip(keys, new.values(), strict=True):
                row["key"] = key
            connection.execute(insert(items), list(new.values()))
            self._dialect.index_text(connection, items, list(new.values()))
            self._put_findings(connection, item_findings, list(zip(keys, named, strict=True)))
            there |= {identity: row["id"] for identity, row in new.items()}
        return [tuple(there[identity] for identity in holding.identities) for holding in holdings]

    def name_ids(self, connection: Connection, wanted: Iterable[str]) -> dict[str, int]:
        """The ids of finding names; new names are given one."""
        unknown = sorted(set(wanted) - self._names.keys())
        if unknown:
            statement = self._dialect.insert(names).on_conflict_do_nothing()
            connection.execute(statement, [{"name": name} for name in unknown])
            found = connection.execute(select(names.c.name, names.c.id).where(names.c.name.in_(unknown)))
            self._names.update((name, id_) for name, id_ in found)
        return self._names

    def _known(self, connection: Connection, ids: Sequence[str]) -> dict[str, int]:
        found = connection.execute(select(records.c.id, records.c.key).where(records.c.id.in_(ids)))
        return dict(iter(found))

    def _insert_records(self, connection: Connection, entries: Sequence[Entry]) -> None:
        columns = [rows.record_columns(entry.record) for entry in entries]
        keys = _keys(connection, records, [row["time"] for row in columns])
        for key, row, entry in zip(keys, columns, entries, strict=True):
            row["key"] = key
            row["body"] = entry.body.digest if entry.body else None
        connection.execute(insert(records), columns)
        connection.execute(insert(record_data), [_data(key, e) for key, e in zip(keys, entries, strict=True)])
        recipients = [
            row for key, e in zip(keys, entries, strict=True) for row in rows.recipient_rows(e.record, key)
        ]
        if recipients:
            connection.execute(insert(record_recipients), recipients)
        named = [(key, rows.finding_names(e.record)) for key, e in zip(keys, entries, strict=True)]
        self._put_findings(connection, record_findings, named)
        self._dialect.index_text(connection, records, columns)
        self._count(connection, columns)

    def _rewrite(self, connection: Connection, entries: Mapping[int, Entry]) -> None:
        changed, data, named = [], [], []
        for key, entry in entries.items():
            row = rows.record_columns(entry.record)
            changed.append({name: value for name, value in row.items() if name not in _FIXED} | {"at": key})
            data.append(_data(key, entry) | {"at": key})
            named.append((key, rows.finding_names(entry.record)))
            if entry.body:
                kept = update(records).where(records.c.key == key)
                connection.execute(kept.values(body=entry.body.digest))
        connection.execute(update(records).where(records.c.key == bindparam("at")), changed)
        connection.execute(update(record_data).where(record_data.c.key == bindparam("at")), data)
        self._put_findings(connection, record_findings, named)

    def _put_findings(
        self, connection: Connection, into: Table, named: Sequence[tuple[int, Sequence[str]]]
    ) -> None:
        ids = self.name_ids(connection, {name for _, found in named for name in found})
        values = [{"name": ids[name], "key": key} for key, found in named for name in found]
        if values:
            connection.execute(self._dialect.insert(into).on_conflict_do_nothing(), values)

    def _put_bodies(self, connection: Connection, some: Sequence[Body]) -> None:
        unique = {body.digest: body for body in some}
        if unique:
            present = select(bodies.c.digest).where(bodies.c.digest.in_(list(unique)))
            for (digest,) in connection.execute(present):
                del unique[digest]
        for body in unique.values():
            connection.execute(insert(bodies), {"digest": body.digest, "size": body.size, "data": body.data})

    def _held_already(
        self, connection: Connection, digests: Iterable[str]
    ) -> dict[tuple[str, str, str], str]:
        chosen = select(items.c.digest, items.c.sender, items.c.recipient, items.c.id)
        found = connection.execute(chosen.where(items.c.open == 1, items.c.digest.in_(list(digests))))
        return {(digest, sender, recipient): id_ for digest, sender, recipient, id_ in found}

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


def _item_columns(holding: Holding, held: Held, identity: tuple[str, str, str]) -> dict[str, Any]:
    record, (digest, sender, recipient), stamp = holding.record, identity, rows.now()
    envelope = record.envelope
    columns = rows.common_columns(record)
    addressed = next((one for one in envelope.recipients if one.address == held.recipient), None)
    decision = next((one for one in record.decisions if one.recipient == held.recipient), None)
    return columns | {
        "id": new_id(),
        "time": stamp,
        "record": rows.clean(record.id, 64),
        "digest": digest,
        "body": digest,
        "sender": sender,
        "recipient": recipient,
        "sender_parameters": rows.clean(" ".join(envelope.sender_parameters), _ADDRESS),
        "recipient_parameters": rows.clean(" ".join(addressed.parameters if addressed else ()), _ADDRESS),
        "sender_key": rows.fold(sender),
        "recipient_key": rows.fold(recipient),
        "recipient_domain": rows.fold(domain_of(recipient)),
        "klass": held.klass.value,
        "text": rows.clean(held.text),
        "reason": decision.reason.value if decision else "",
        "findings": " ".join(rows.finding_names(record)),
        "size": holding.body.size,
        "stored": len(holding.body.data),
        "search": rows.searched(columns, sender, [recipient]),
        "edits": pack(held.edits) if held.edits else None,
        "open": 1,
        "state": ItemState.HELD.value,
        "state_at": stamp,
    }
