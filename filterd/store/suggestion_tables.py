"""The table of suggestions: what people said about messages by a release, a button, a report or a move, and what was
decided about it.

Example and body are there while they may be needed: until it is accepted (then the label has them), and again after
it was undone.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, Table, Text

from filterd.store.schema import _KEY, _number, _text, metadata

suggestions = Table(
    "suggestions",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    _number("time"),
    _text("digest"),  # of the message, as labels know it
    _number("spam"),
    _text("way"),
    _text("reporter"),  # folded
    _text("address"),  # folded; whose mail it is
    _text("record"),
    _text("item"),
    _text("from_"),
    _text("subject"),
    _text("message_id"),
    _text("search"),
    Column("said", Float, nullable=False, server_default="0"),
    _number("doubtful"),
    _text("state"),
    _number("state_at"),
    _text("decided_by"),
    _text("note"),
    Column("before", Integer),  # the label that came by no suggestion; null: there was none
    Column("example", LargeBinary),  # zstandard: as in labels
    Column("body", LargeBinary),  # zstandard: the message
    Index("ix_suggestions_state", "state", "key"),
    Index("ix_suggestions_digest", "digest"),
    Index("ix_suggestions_reporter", "reporter", "time"),
    sqlite_autoincrement=True,
)
