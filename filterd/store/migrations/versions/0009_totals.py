"""How many messages are held and recorded, kept instead of counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("messages", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO totals (name, messages, bytes) SELECT 'held:' || klass, count(*), sum(stored) FROM items "
        "WHERE open = 1 GROUP BY klass"
    )
    op.execute("INSERT INTO totals (name, messages, bytes) SELECT 'records', count(*), 0 FROM records")
