"""The tables of memory: who wrote to us, which texts came before, and what people said. Old rows go by themselves; see
`retention`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Table, Text

from filterd.store.schema import _number, _text, metadata

senders = Table(
    "senders",
    metadata,
    Column("key", Text, primary_key=True),  # what kind of thing, a colon, the thing
    _number("first"),
    _number("last"),
    _number("seen"),
    Column("good", Float, nullable=False, server_default="0"),  # as it was at `last`: both fade with time
    Column("bad", Float, nullable=False, server_default="0"),
    Index("ix_senders_last", "last"),
    sqlite_with_rowid=False,
)

texts = Table(
    "texts",
    metadata,
    Column("band", BigInteger, primary_key=True, autoincrement=False),  # some minima of the text's shingles, hashed
    _number("first"),
    _number("last"),
    _number("seen"),
    _number("bad"),
    _text("record"),  # the first message with it
    _text("subject"),
    Index("ix_texts_last", "last"),
    sqlite_with_rowid=False,
)

said = Table(
    "said",
    metadata,
    Column("key", Text, primary_key=True),  # as in senders; or `b:` and a band of the text
    Column("digest", Text, primary_key=True),  # of the message, as labels know it
    _number("spam"),  # what people say that it is
    _number("counted"),  # what it had counted as by itself: 1 spam, -1 wanted, 0 neither
    _number("time"),
    Index("ix_said_digest", "digest"),
    Index("ix_said_time", "time"),
    sqlite_with_rowid=False,
)
