"""What single people taught about their own mail; labels that came from verdicts of our own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "taught",
        sa.Column("key", _KEY, primary_key=True, autoincrement=True),
        _text("owner"),
        _text("digest"),
        _number("spam"),
        _number("time"),
        _number("version"),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        _text("suggestion"),
        _number("counts"),
        sa.UniqueConstraint("owner", "digest"),
        sqlite_autoincrement=True,
    )
    for column in ("digest", "suggestion"):
        op.create_index(f"ix_taught_{column}", "taught", [column])
    verdicts = sa.text("\"by\" = 'verdict'")
    op.create_index("ix_labels_verdicts", "labels", ["time"], sqlite_where=verdicts, postgresql_where=verdicts)
