"""Suggestions: what people said about messages, and what was decided about it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "suggestions",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("id", sa.Text(), nullable=False),
        _number("time"),
        _text("digest"),
        _number("spam"),
        *(_text(name) for name in ("way", "reporter", "address", "record", "item")),
        *(_text(name) for name in ("from_", "subject", "message_id", "search")),
        sa.Column("said", sa.Float(), server_default="0", nullable=False),
        _number("doubtful"),
        _text("state"),
        _number("state_at"),
        _text("decided_by"),
        _text("note"),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("example", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suggestions_state", "suggestions", ["state", "key"])
    op.create_index("ix_suggestions_digest", "suggestions", ["digest"])
    op.create_index("ix_suggestions_reporter", "suggestions", ["reporter", "time"])
    op.add_column("labels", _text("suggestion"))
