"""Memory: who wrote to us, and which texts came before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _weight(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "senders",
        sa.Column("key", sa.Text(), nullable=False),
        _number("first"),
        _number("last"),
        _number("seen"),
        _weight("good"),
        _weight("bad"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "texts",
        sa.Column("band", sa.BigInteger(), nullable=False, autoincrement=False),
        _number("first"),
        _number("last"),
        _number("seen"),
        _number("bad"),
        _text("record"),
        _text("subject"),
        sa.PrimaryKeyConstraint("band"),
        sqlite_with_rowid=False,
    )
    for table in ("senders", "texts"):
        op.create_index(f"ix_{table}_last", table, ["last"])
