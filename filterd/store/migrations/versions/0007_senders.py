"""What people said about messages, as the memory of their senders counts it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "said",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        _number("spam"),
        _number("counted"),
        _number("time"),
        sa.PrimaryKeyConstraint("key", "digest"),
        sqlite_with_rowid=False,
    )
    for column in ("digest", "time"):
        op.create_index(f"ix_said_{column}", "said", [column])
