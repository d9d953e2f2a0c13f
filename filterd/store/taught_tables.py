"""The table of what single people taught about their own mail: a sketch of each message, and what they said of it.

It is their own, beside the site's label of the same message, which may be another.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint

from filterd.store.schema import _KEY, _number, _text, metadata

taught = Table(
    "taught",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=True),
    _text("owner"),  # whose mail it was; as `filterd.classifier.taught.owner_of` has it
    _text("digest"),  # of the message, as labels know it
    _number("spam"),
    _number("time"),
    _number("version"),  # of the sketch
    Column("sketch", LargeBinary, nullable=False),
    _text("suggestion"),  # by which it was said; "" where the word was final
    _number("counts"),  # 0 while the suggestion waits, or after it was undone
    UniqueConstraint("owner", "digest"),
    Index("ix_taught_digest", "digest"),
    Index("ix_taught_suggestion", "suggestion"),
    sqlite_autoincrement=True,
)
