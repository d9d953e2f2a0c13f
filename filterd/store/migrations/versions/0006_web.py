"""What people say on the pages: whose mail passes, searches with a name, and accounts of a directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "access_entries",
        _key("id"),
        _number("allows"),
        _text("whom"),
        _text("recipient"),
        _text("until"),
        _text("comment"),
        _text("by"),
        _text("item"),
        _number("changed"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_access_entries_for", "access_entries", ["recipient", "whom"], unique=True)
    op.create_index("ix_access_entries_changed", "access_entries", ["changed"])
    op.create_index("ix_access_entries_item", "access_entries", ["item"])
    op.create_table(
        "saved_searches",
        _key("name"),
        _key("room"),
        _key("title"),
        _text("q"),
        sa.PrimaryKeyConstraint("name", "room", "title"),
        sqlite_with_rowid=False,
    )
    op.add_column("people", _text("source"))
