"""The table of labels: what people said about messages, and what the site's model is made from.

One row for each message that was labelled, known by its digest without trace headers. Keys only rise, so that the
newest key and the number of rows tell whether learnt arrays are up to date.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, LargeBinary, Table, Text

from filterd.store.schema import _KEY, _number, _partial, _text, metadata

labels = Table(
    "labels",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 without trace headers, hex
    _number("spam"),
    _number("time"),
    _text("by"),  # the way it came: a command, a door; `verdict` for one of our own
    _text("reporter"),  # who said so; "" for the postmaster
    Column("example", LargeBinary, nullable=False),  # zstandard: the indices of each view, packed
    Column("said", Float, nullable=False, server_default="0"),  # log-odds before this label was learnt
    Column("body", LargeBinary),  # zstandard: the message, where there was room for it
    _number("stored"),  # bytes of the body as it is stored
    _text("suggestion"),  # the id of the suggestion that it came by
    Index("ix_labels_reporter", "reporter", "time"),
    Index("ix_labels_stored", "stored", "key"),
    _partial("ix_labels_verdicts", "time", where="\"by\" = 'verdict'"),
    sqlite_autoincrement=True,
)
