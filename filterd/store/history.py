"""History: the records of what passed, found again and shown whole. Blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from sqlalchemy import select

from filterd.record import Record
from filterd.store import rows
from filterd.store.database import Database
from filterd.store.facets import Facet, address, token
from filterd.store.fields import within
from filterd.store.schema import bodies, record_data, records
from filterd.store.search import BUDGET, Ask, Page, asked, page
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
            asks = self._asks(wanted)
            found, following = page(connection, records, asks, limit=limit, before=before, floor=floor, budget=budget)
        return Page([rows.history_from(row) for row in found], following)

    def with_message_id(self, message_id: str, most: int) -> list[str]:
        """The ids of the newest records of mail with this Message-ID: as `find`, for who asks often."""
        source, key, condition = self._database.dialect.having(records, [token(Facet.MESSAGE_ID, message_id)])
        keys = select(key).select_from(source).where(condition)
        asked = select(records.c.id).where(records.c.key.in_(keys)).order_by(records.c.key.desc()).limit(most)
        with self._database.read() as connection:
            return list(connection.execute(asked).scalars())

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

    def several(self, ids: Iterable[str]) -> dict[str, Record]:
        """Those of these records that there are, by id; one that cannot be read is left out."""
        stored = select(records.c.id, record_data.c.data).join(record_data, records.c.key == record_data.c.key)
        with self._database.read() as connection:
            found = connection.execute(stored.where(records.c.id.in_(list(ids)))).all()
        readable: dict[str, Record] = {}
        for row in found:
            with contextlib.suppress(CodecError):
                readable[row.id] = rows.unpack_record(row.data)
        return readable

    def headers(self, id_: str) -> bytes | None:
        """The header block, where `retention.keep` had it kept."""
        stored = select(record_data.c.headers).join(records, records.c.key == record_data.c.key)
        with self._database.read() as connection:
            data = connection.execute(stored.where(records.c.id == id_)).scalar()
        return None if data is None else rows.unsqueeze(data)

    def raw(self, id_: str) -> bytes | None:
        """The whole message, where `retention.keep` had it kept and it has not expired."""
        stored = select(bodies.c.data).join(records, records.c.body == bodies.c.id)
        with self._database.read() as connection:
            data = connection.execute(stored.where(records.c.id == id_)).scalar()
        return None if data is None else rows.unsqueeze(data)

    def _asks(self, wanted: HistoryFilter) -> list[Ask]:
        pairs = [(kind, value) for kind, name in _FACETS.items() if (value := getattr(wanted, name))]
        if wanted.recipient:
            pairs.append(address(Facet.RECIPIENT, Facet.RECIPIENT_DOMAIN, wanted.recipient))
        if wanted.sender:
            pairs.append(address(Facet.SENDER, Facet.SENDER_DOMAIN, wanted.sender))
        dialect = self._database.dialect
        return asked(dialect, records, pairs, wanted.text, within(dialect, records, wanted), wanted.mine)


_FACETS = {
    Facet.MESSAGE_ID: "message_id",
    Facet.QUEUE_ID: "queue_id",
    Facet.CLIENT: "client",
    Facet.FINDING: "finding",
    Facet.ACTION: "action",
    Facet.REASON: "reason",
    Facet.RULESET: "ruleset",
    Facet.MODEL: "model",
    Facet.DIRECTION: "direction",
    Facet.LISTENER: "listener",
    Facet.CAMPAIGN: "campaign",
}
