"""Labels: what people said about messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("digest", sa.Text(), nullable=False),
        _number("spam"),
        _number("time"),
        _text("by"),
        _text("reporter"),
        sa.Column("example", sa.LargeBinary(), nullable=False),
        sa.Column("said", sa.Float(), server_default="0", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        _number("stored"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_labels_reporter", "labels", ["reporter", "time"])
    op.create_index("ix_labels_stored", "labels", ["stored", "key"])
