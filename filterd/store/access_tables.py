"""The tables of what people keep for themselves: whose mail passes and whose does not, and searches with a name."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text

from filterd.store.schema import _number, _text, metadata

access_entries = Table(
    "access_entries",
    metadata,
    Column("id", Text, primary_key=True),
    _number("allows"),
    _text("whom"),  # an address, a domain or a network, as `filterd.access` writes it
    _text("recipient"),  # an address or a domain of ours; "" is everybody
    _text("until"),  # its last day, or ""
    _text("comment"),
    _text("by"),
    _text("item"),  # the held message that it was made from
    _number("changed"),
    Index("ix_access_entries_for", "recipient", "whom", unique=True),
    Index("ix_access_entries_changed", "changed"),
    Index("ix_access_entries_item", "item"),
)

saved_searches = Table(
    "saved_searches",
    metadata,
    Column("name", Text, nullable=False),  # whose
    Column("room", Text, nullable=False),
    Column("title", Text, nullable=False),
    _text("q"),
    PrimaryKeyConstraint("name", "room", "title"),
    sqlite_with_rowid=False,
)
