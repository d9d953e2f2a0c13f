"""Memory: who wrote to us and how it went, and which texts came before. Blocks.

`look` and `near` read; `note` writes what was learnt from some mails, in the caller's transaction. Good and bad fade:
after one half-life they weigh half. What people said is counted in: see `said`. A campaign is the texts that first came
with one message. Times in milliseconds since 1970, half-lives in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from filterd.facts import Near, Seen, SenderNote, TextNote
from filterd.store import rows
from filterd.store.database import Database
from filterd.store.memory_tables import said, senders, texts
from filterd.store.said import MAX_KEY, band_key, spam_by_band, with_words
from filterd.store.text import clean
from filterd.store.words import Campaign

HALF_LIFE = 30 * 86400.0  # seconds, unless the site says otherwise
SUBJECT = 200


class Memory:
    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, keys: Sequence[str], half_life: float = HALF_LIFE) -> dict[str, Seen]:
        """What is known of these keys; a key that was never seen is not in it."""
        with self._database.read() as connection:
            return with_words(connection, keys, _look(connection, keys), half_life)

    def known(self, limit: int) -> tuple[set[int], set[int]] | None:
        """The hashes of all sender keys, and all bands; None when they are more than `limit`."""
        with self._database.read() as connection:
            count = select(select(func.count()).select_from(senders).scalar_subquery(),
                           select(func.count()).select_from(texts).scalar_subquery())  # fmt: skip
            if self._database.dialect.shared or max(connection.execute(count).one()) > limit:
                return None
            keys = connection.execute(select(senders.c.key).union(select(said.c.key))).scalars()
            return {hash(key) for key in keys}, set(connection.execute(select(texts.c.band)).scalars())

    def near(self, bands: Sequence[int]) -> Near:
        """How often a text with any of these bands came before."""
        with self._database.read() as connection:
            found = connection.execute(select(texts).where(texts.c.band.in_(list(bands)))).all()
            if not found:
                return Near()
            more = spam_by_band(connection, bands)
        most = max(found, key=lambda row: row.seen)
        return Near(most.seen, _spam(found, more), min(row.first for row in found) / 1000, most.record)

    def note(
        self,
        connection: Connection,
        some: Sequence[SenderNote],
        written: Sequence[TextNote],
        half_life: float,
        now: int | None = None,
    ) -> None:
        """Add these to what is known."""
        now = rows.now() if now is None else now
        if some:
            self._note_senders(connection, some, half_life, now)
        if written:
            self._note_texts(connection, written, now)

    def forget(self, key: str) -> bool:
        """Forget a sender key, or a campaign by its id, and what was said of it; whether there was one."""
        with self._database.write() as connection:
            own = connection.execute(select(texts.c.band).where(texts.c.record == key)).scalars()
            gone = [key, *map(band_key, own)]
            connection.execute(delete(said).where(said.c.key.in_(gone)))
            went = connection.execute(delete(senders).where(senders.c.key == key)).rowcount
            return went + connection.execute(delete(texts).where(texts.c.record == key)).rowcount > 0

    def campaigns(self, least: int = 5, limit: int = 50, *, id_: str = "") -> list[Campaign]:
        """The texts that came at least so often, the most frequent first; or the one that first came with `id_`."""
        times = func.max(texts.c.seen)
        often = select(texts.c.record).group_by(texts.c.record).order_by(times.desc(), texts.c.record).limit(limit)
        chosen = often.where(texts.c.record == id_) if id_ else often.having(times >= least)
        with self._database.read() as connection:
            of: dict[str, list[Any]] = {id_: [] for id_ in connection.execute(chosen).scalars()}
            for row in connection.execute(select(texts).where(texts.c.record.in_(list(of)))):
                of[row.record].append(row)
            more = spam_by_band(connection, [row.band for bands in of.values() for row in bands])
        return [_campaign(bands, more) for bands in of.values()]

    def _note_senders(self, connection: Connection, some: Sequence[SenderNote], half_life: float, now: int) -> None:
        known = _look(connection, {one.key for one in some})
        for one in some:
            key = clean(one.key, MAX_KEY)
            old = known.get(key) or Seen(now / 1000, now / 1000)
            good, bad = old.faded(now / 1000, half_life)
            known[key] = Seen(old.first, now / 1000, old.seen + one.seen, good + one.good, bad + one.bad)
        changed = sorted({clean(one.key, MAX_KEY) for one in some})
        insert = self._database.dialect.insert(senders)
        fresh = {name: insert.excluded[name] for name in ("last", "seen", "good", "bad")}
        values = [
            {
                "key": key,
                "first": int(one.first * 1000),
                "last": now,
                "seen": one.seen,
                "good": one.good,
                "bad": one.bad,
            }
            for key in changed
            for one in (known[key],)
        ]
        connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=fresh), values)

    def _note_texts(self, connection: Connection, written: Sequence[TextNote], now: int) -> None:
        insert = self._database.dialect.insert(texts)
        more = {
            "last": insert.excluded.last,
            "seen": texts.c.seen + insert.excluded.seen,
            "bad": texts.c.bad + insert.excluded.bad,
        }
        first: dict[int, TextNote] = {}
        seen: Counter[int] = Counter()
        bad: Counter[int] = Counter()
        for one in written:
            for band in one.bands:
                first.setdefault(band, one)
                seen[band] += 1
                bad[band] += one.bad
        ordered = [
            {"band": band, "first": now, "last": now, "seen": seen[band], "bad": bad[band],
             "record": clean(one.record, 64), "subject": clean(one.subject, SUBJECT)}
            for band, one in sorted(first.items())
        ]  # fmt: skip
        connection.execute(insert.on_conflict_do_update(index_elements=["band"], set_=more), ordered)


def _campaign(bands: Sequence[Any], more: Mapping[int, int]) -> Campaign:
    return Campaign(
        id=bands[0].record,
        seen=max(row.seen for row in bands),
        spam=_spam(bands, more),
        subject=bands[0].subject,
        first=rows.moment(min(row.first for row in bands)),
        last=rows.moment(max(row.last for row in bands)),
    )


def _spam(bands: Sequence[Any], more: Mapping[int, int]) -> int:
    """How often a text with these bands was spam, with what people said."""
    return max([0, *(int(row.bad) + more.get(row.band, 0) for row in bands)])


def _look(connection: Connection, keys: Iterable[str]) -> dict[str, Seen]:
    found = connection.execute(select(senders).where(senders.c.key.in_([clean(key, MAX_KEY) for key in keys])))
    return {row.key: Seen(row.first / 1000, row.last / 1000, row.seen, row.good, row.bad) for row in found}
