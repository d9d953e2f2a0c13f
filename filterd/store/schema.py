"""The tables. A change here comes with a migration in `migrations/versions`; a test holds the two together.

Keys. Records and items are numbered by time: a key is `seconds << KEY_BITS`, or one more than the last key
where that is greater. So a key never says earlier than the row's own time, newest first is the primary key
backwards, a page is a range, and everything under `cutoff << KEY_BITS` is older than the cutoff. Times are
whole milliseconds UTC.

Search. `facets` holds the tokens of everything that a row is exactly looked up by (see `facets`), `search` the folded
text that is searched by substring; each has an inverted index, which `dialect` makes and asks. So a message dirties
no B-tree page at a random place but the one of its body's digest.

What is listed and searched is in narrow rows; the record itself and the bodies are in tables of their own, so
that a search never reads them. SQL here and around is what SQLite and PostgreSQL share; what they do not
share is in `dialect`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

KEY_BITS = 10  # 1,024 rows a second before keys run ahead of the clock

metadata = MetaData()
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


bodies = Table(
    "bodies",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the raw message, hex
    _number("size"),
    Column("data", LargeBinary, nullable=False),  # zstandard
)

records = Table(
    "records",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    _number("time"),
    _text("sender"),
    _text("recipients"),  # the first of them, a line each
    _text("from_"),
    _text("subject"),
    _text("message_id"),
    _text("action"),
    _text("reason"),
    _number("points"),
    Column("probability", Float),
    _text("client"),
    _text("direction"),
    _text("listener"),
    _number("size"),
    _text("queue_id"),
    _text("ruleset"),
    _text("model"),
    _text("facets"),
    _text("search"),
    Column("body", _KEY, ForeignKey("bodies.id")),  # with keep: message
    _partial("ix_records_body", "body", where="body IS NOT NULL"),
    _partial("ix_records_kept", "key", where="body IS NOT NULL"),
)

record_data = Table(
    "record_data",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),  # zstandard of the packed Record
    Column("headers", LargeBinary),  # zstandard of the header block, with keep: headers
)

items = Table(
    "items",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    _number("time"),
    _text("record"),
    _text("digest"),
    Column("body", _KEY, ForeignKey("bodies.id")),  # null when the message is gone
    _text("sender"),  # as it came, like all that release needs
    _text("recipient"),
    _text("sender_parameters"),
    _text("recipient_parameters"),
    _text("from_"),
    _text("subject"),
    _text("message_id"),
    _text("klass"),
    _text("text"),
    _text("reason"),
    _number("points"),
    _text("findings"),  # names, separated by spaces
    _number("size"),
    _number("stored"),  # bytes of the compressed body
    _text("client"),
    _text("ruleset"),
    _text("model"),
    _text("facets"),
    _text("search"),
    Column("edits", LargeBinary),
    Column("open", Integer, nullable=False, server_default="1"),  # held or releasing
    _text("state"),
    _number("state_at"),
    _text("state_by"),
    _text("claim"),
    Column("due", BigInteger),
    _text("reply"),
    _number("tries"),
    Index("ix_items_open", "open", "key"),
    Index("ix_items_class", "klass", "open", "key", "stored"),
    _partial("ix_items_same", "body", "sender", "recipient", where="open = 1", unique=True),
    _partial("ix_items_body", "body", where="body IS NOT NULL"),
    _partial("ix_items_due", "due", where="due IS NOT NULL"),
    _partial("ix_items_disposable", "state_at", where="state = 'deleted' AND body IS NOT NULL"),
)

delivered = Table(
    "delivered",
    metadata,
    Column("digest", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    _number("expires"),
    PrimaryKeyConstraint("digest", "sender", "recipient"),
    Index("ix_delivered_expires", "expires"),
    sqlite_with_rowid=False,
)

marks = Table(
    "marks",
    metadata,
    Column("id", Text, primary_key=True),
    _number("expires"),
    Index("ix_marks_expires", "expires"),
)

tallies = Table(
    "tallies",
    metadata,
    Column("hour", Integer, nullable=False),  # hours since 1970
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _number("messages"),
    PrimaryKeyConstraint("hour", "action", "reason"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _KEY, primary_key=True),
    _number("time"),
    _text("who"),
    _text("what"),
    _text("item"),
    _text("detail"),
    Index("ix_audit_item", "item"),
    Index("ix_audit_time", "time"),
)
