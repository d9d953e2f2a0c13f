"""Labels: what people said about messages; the truth from which the site's model can be made again. Blocks.

A message has one label, the last; `put` and `remove` are on disk when they return. Examples come and go as packed
bytes, which only the classifier reads. Bodies are kept while they fit into the quota; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from filterd.store import rows
from filterd.store.database import Database
from filterd.store.label_tables import labels
from filterd.store.text import ADDRESS, clean, fold
from filterd.value import Value

_PAGE = 1_000  # rows read at once
VERDICT = "verdict"  # who said so, where we did
_TRIM = 16  # labels between two looks at the quota


class Label(Value, kw_only=True):
    """What somebody said about a message."""

    digest: str
    spam: bool
    example: bytes = b""
    said: float = 0.0
    by: str = ""
    reporter: str = ""
    time: int = 0  # milliseconds; 0: now
    body: bytes | None = None  # the raw message
    suggestion: str = ""  # the id of the suggestion that it came by


class LabelCounts(Value):
    """How many there are, and how new: equal counts mean equal labels."""

    ham: int = 0
    spam: int = 0
    newest: int = 0


class VerdictCounts(Value):
    """How many labels came from verdicts of our own."""

    ham: int = 0
    spam: int = 0
    lately: int = 0


class Labels:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, found: Sequence[Label], quota: int = 0) -> int:
        """Keep these, in the place of what was said about the same messages; the newest key.

        `quota` bytes of bodies in all, but for the last few.
        """
        with self._database.write() as connection:
            return put(connection, found, quota)

    def remove(self, digest: str) -> int:
        """Drop the label of this message; the newest key that is left."""
        with self._database.write() as connection:
            return remove(connection, digest)

    def renew(self, examples: Mapping[str, bytes]) -> None:
        """Other bytes for the examples of these messages, by digest; all else of their labels stays as it was."""
        if examples:
            renewed = [{"of": digest, "fresh": rows.squeeze(example)} for digest, example in examples.items()]
            with self._database.write() as connection:
                connection.execute(
                    update(labels).where(labels.c.digest == bindparam("of")).values(example=bindparam("fresh")), renewed
                )

    def holds(self, digest: str) -> bool:
        """Has this message a label?"""
        with self._database.read() as connection:
            return connection.execute(select(labels.c.key).where(labels.c.digest == digest)).first() is not None

    def counts(self) -> LabelCounts:
        with self._database.read() as connection:
            return _counts(connection)

    def of_verdicts(self, since: int = 0) -> VerdictCounts:
        """How many came from verdicts of our own; `lately` since that time, in milliseconds."""
        lately = func.coalesce(func.sum(case((labels.c.time >= since, 1), else_=0)), 0)
        asked = select(func.count(), func.coalesce(func.sum(labels.c.spam), 0), lately).where(_verdicts())
        with self._database.read() as connection:
            total, spam, new = map(int, connection.execute(asked).one())
        return VerdictCounts(total - spam, spam, new)

    def forget_verdicts(self) -> int:
        """Drop all that came from verdicts of our own; how many there were."""
        with self._database.write() as connection:
            return connection.execute(delete(labels).where(_verdicts())).rowcount

    def since(self, reporter: str, time: int) -> int:
        """How many messages this person labelled since `time`, in milliseconds."""
        asked = select(func.count()).where(labels.c.reporter == fold(reporter), labels.c.time >= time)
        with self._database.read() as connection:
            return int(connection.execute(asked).scalar() or 0)

    def read(self, after: int = 0) -> Iterator[tuple[int, Label]]:
        """All, or those with a key above `after`, in the order they came, with their keys and without bodies."""
        columns = [column for column in labels.c if column.name not in ("body", "stored")]
        while True:
            page = select(*columns).where(labels.c.key > after).order_by(labels.c.key).limit(_PAGE)
            with self._database.read() as connection:
                found = connection.execute(page).all()
            for row in found:
                yield row.key, label_from(row)
            if len(found) < _PAGE:
                return
            after = found[-1].key

    def bodies(self, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The messages that were kept, of these."""
        for digest in digests:
            with self._database.read() as connection:
                body = connection.execute(select(labels.c.body).where(labels.c.digest == digest)).scalar()
            if body is not None:
                yield digest, rows.unsqueeze(body)


def put(connection: Connection, found: Sequence[Label], quota: int = 0) -> int:
    """`Labels.put`, in the caller's transaction."""
    stamp = rows.now()
    connection.execute(delete(labels).where(labels.c.digest.in_([one.digest for one in found])))
    if len(found) == 1:
        added = connection.execute(insert(labels).values(_row(found[0], stamp, bool(quota))))
        newest = int((added.inserted_primary_key or (0,))[0])
    else:
        connection.execute(insert(labels), [_row(one, stamp, bool(quota)) for one in found])
        newest = _newest(connection)
    if quota and (len(found) > 1 or newest % _TRIM == 0):
        _within(connection, quota)
    return newest


def remove(connection: Connection, digest: str) -> int:
    """`Labels.remove`, in the caller's transaction."""
    connection.execute(delete(labels).where(labels.c.digest == digest))
    return _newest(connection)


def adopt(connection: Connection, digest: str, by: str, reporter: str = "", suggestion: str = "") -> None:
    """What was a verdict of our own is somebody's word now; a label that was so before stays as it is."""
    said = {"by": clean(by, 100), "reporter": clean(fold(reporter), ADDRESS), "suggestion": clean(suggestion, 64)}
    connection.execute(update(labels).where(labels.c.digest == digest, _verdicts()).values(**said))


def _verdicts() -> ColumnElement[bool]:
    return labels.c.by == literal_column(f"'{VERDICT}'")  # as the index has it


def label_from(row: Row[Any], *, with_body: bool = False) -> Label:
    """The label that a row is."""
    return Label(
        digest=row.digest,
        spam=bool(row.spam),
        example=rows.unsqueeze(row.example),
        said=row.said,
        by=row.by,
        reporter=row.reporter,
        time=row.time,
        body=rows.unsqueeze(row.body) if with_body and row.body is not None else None,
        suggestion=row.suggestion,
    )


def _row(label: Label, stamp: int, keep_body: bool) -> dict[str, object]:
    body = rows.squeeze(label.body) if keep_body and label.body is not None else None
    return {
        "digest": label.digest,
        "spam": int(label.spam),
        "time": label.time or stamp,
        "by": clean(label.by, 100),
        "reporter": clean(fold(label.reporter), ADDRESS),
        "example": rows.squeeze(label.example),
        "said": label.said,
        "body": body,
        "stored": len(body or b""),
        "suggestion": clean(label.suggestion, 64),
    }


def _within(connection: Connection, quota: int) -> None:
    """Let go of the oldest bodies beyond the quota."""
    excess = int(connection.execute(select(func.coalesce(func.sum(labels.c.stored), 0))).scalar() or 0) - quota
    if excess <= 0:
        return
    gone = []
    oldest = select(labels.c.key, labels.c.stored).where(labels.c.stored > 0).order_by(labels.c.key)
    for row in connection.execute(oldest):
        if excess <= 0:
            break
        gone.append(row.key)
        excess -= row.stored
    connection.execute(update(labels).where(labels.c.key.in_(gone)).values(body=None, stored=0))


def _counts(connection: Connection) -> LabelCounts:
    total, spam = connection.execute(select(func.count(), func.coalesce(func.sum(labels.c.spam), 0))).one()
    return LabelCounts(int(total) - int(spam), int(spam), _newest(connection))


def _newest(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(labels.c.key), 0))).scalar() or 0)
