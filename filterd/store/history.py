"""History: the records of what passed, found again and shown whole. Blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table, select

from filterd.record import Record
from filterd.store import rows
from filterd.store.database import Database
from filterd.store.schema import bodies, names, record_data, record_findings, record_recipients, records
from filterd.store.search import BUDGET, Ask, Page, containing, elsewhere, only, own, page
from filterd.store.words import HistoryFilter, HistoryRow, StoreError
from filterd.value import CodecError

NOTHING = HistoryFilter()


class History:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self,
        wanted: HistoryFilter = NOTHING,
        limit: int = 50,
        before: int | None = None,
        budget: float | None = BUDGET,
    ) -> Page[HistoryRow]:
        """A page of messages, newest first. With a budget (seconds) a page may come short; see `Page`."""
        floor = rows.key_at(rows.milliseconds(wanted.since)) if wanted.since else 0
        with self._database.read() as connection:
            asks = self._asks(connection, wanted)
            if asks is None:
                return Page([])
            found, following = page(
                connection, records, asks, limit=limit, before=before, floor=floor, budget=budget
            )
            recipients = _recipients(connection, [row.key for row in found])
        return Page([rows.history_from(row, recipients.get(row.key, ())) for row in found], following)

    def each(self, wanted: HistoryFilter = NOTHING) -> Iterator[HistoryRow]:
        """Every message that matches, newest first."""
        found = self.find(wanted, 1000, budget=None)
        yield from found
        while found.next is not None:
            found = self.find(wanted, 1000, found.next, budget=None)
            yield from found

    def show(self, id_: str) -> Record | None:
        """The record with this id; None when there is none. Raises StoreError when it cannot be read."""
        stored = select(record_data.c.data).join(records, records.c.key == record_data.c.key)
        with self._database.read() as connection:
            data = connection.execute(stored.where(records.c.id == id_)).scalar()
        try:
            return None if data is None else rows.unpack_record(data)
        except CodecError as error:
            raise StoreError(f"the record {id_} cannot be read: {error}") from error

    def headers(self, id_: str) -> bytes | None:
        """The header block, where `retention.keep` had it kept."""
        stored = select(record_data.c.headers).join(records, records.c.key == record_data.c.key)
        with self._database.read() as connection:
            data = connection.execute(stored.where(records.c.id == id_)).scalar()
        return None if data is None else rows.unsqueeze(data)

    def raw(self, id_: str) -> bytes | None:
        """The whole message, where `retention.keep` had it kept and it has not expired."""
        stored = select(bodies.c.data).join(records, records.c.body == bodies.c.digest)
        with self._database.read() as connection:
            data = connection.execute(stored.where(records.c.id == id_)).scalar()
        return None if data is None else rows.unsqueeze(data)

    def _asks(self, connection: Connection, wanted: HistoryFilter) -> list[Ask] | None:
        """What the filter asks, the most telling first; None when nothing can match."""
        column = records.c
        asks = [
            own(records, (column[name], value))
            for name, value in (("message_id", wanted.message_id), ("queue_id", wanted.queue_id))
            if value
        ]
        asks += party(self._database, records, wanted.sender, wanted.recipient)
        if wanted.text:
            asks.append(containing(self._database.dialect, records, wanted.text))
        if wanted.client:
            asks.append(own(records, (column.client, wanted.client)))
        if wanted.finding:
            finding = finding_is(connection, records, record_findings, wanted.finding)
            if finding is None:
                return None
            asks.append(finding)
        if wanted.action:
            asks.append(own(records, (column.action, wanted.action.value)))
        for name in ("reason", "ruleset", "model", "direction", "listener"):
            if value := getattr(wanted, name):
                asks.append(only(column[name] == value))
        return asks + within(records, wanted)


def within(of: Table, wanted: object) -> list[Ask]:
    """What `since` and `until` ask."""
    since, until = getattr(wanted, "since", None), getattr(wanted, "until", None)
    asks = [only(of.c.time >= rows.milliseconds(since))] if since else []
    return asks + ([only(of.c.time < rows.milliseconds(until))] if until else [])


def finding_is(connection: Connection, of: Table, listed: Table, name: str) -> Ask | None:
    """Rows with this finding; None when no row ever had it."""
    id_ = connection.execute(select(names.c.id).where(names.c.name == name)).scalar()
    return None if id_ is None else elsewhere(of, listed, listed.c.name == id_)


def split_address(value: str) -> tuple[str, str]:
    """("", domain) for a domain with or without its @, else (address, ""), folded."""
    value = fold_address(value)
    if "@" not in value:
        return "", value
    return ("", value[1:]) if value.startswith("@") else (value, "")


def fold_address(value: str) -> str:
    return rows.fold(value.strip().removeprefix("<").removesuffix(">"))


def party(database: Database, of: Table, sender: str, recipient: str) -> list[Ask]:
    """What `sender` and `recipient` ask of records; addresses lead before domains."""
    precise: list[Ask] = []
    broad: list[Ask] = []
    if recipient:
        address, domain = split_address(recipient)
        listed = record_recipients.c
        match = listed.address == address if address else listed.domain == domain
        (precise if address else broad).append(elsewhere(of, record_recipients, match))
    if sender:
        address, domain = split_address(sender)
        if address:
            precise.append(own(of, (of.c.sender, address)))
        else:
            broad += [only(of.c.sender_domain == domain), containing(database.dialect, of, f"@{domain}")]
    return precise + broad


def _recipients(connection: Connection, keys: Sequence[int]) -> dict[int, list[str]]:
    listed = select(record_recipients.c.key, record_recipients.c.address)
    found: dict[int, list[str]] = {}
    for key, address in connection.execute(listed.where(record_recipients.c.key.in_(keys))):
        found.setdefault(key, []).append(address)
    return found
