"""The first schema. There is no way down: to go back, restore a backup."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FACETS = "ascii tokenchars '_.-~@:+=/%'"
_SEARCH = "trigram case_sensitive 1"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _KEY, nullable=False),
        _number("time"),
        _text("who"),
        _text("what"),
        _text("item"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_item", "audit", ["item"])
    op.create_index("ix_audit_time", "audit", ["time"])
    op.create_table(
        "bodies",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        _number("size"),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "delivered",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        _number("expires"),
        sa.PrimaryKeyConstraint("digest", "sender", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivered_expires", "delivered", ["expires"])
    op.create_table(
        "marks", sa.Column("id", sa.Text(), nullable=False), _number("expires"), sa.PrimaryKeyConstraint("id")
    )
    op.create_index("ix_marks_expires", "marks", ["expires"])
    op.create_table(
        "record_data",
        sa.Column("key", _KEY, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "tallies",
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _number("messages"),
        sa.PrimaryKeyConstraint("hour", "action", "reason"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "items",
        sa.Column("key", _KEY, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        _number("time"),
        _text("record"),
        _text("digest"),
        sa.Column("body", _KEY, nullable=True),
        _text("sender"),
        _text("recipient"),
        _text("sender_parameters"),
        _text("recipient_parameters"),
        _text("from_"),
        _text("subject"),
        _text("message_id"),
        _text("klass"),
        _text("text"),
        _text("reason"),
        _number("points"),
        _text("findings"),
        _number("size"),
        _number("stored"),
        _text("client"),
        _text("ruleset"),
        _text("model"),
        _text("facets"),
        _text("search"),
        sa.Column("edits", sa.LargeBinary(), nullable=True),
        sa.Column("open", sa.Integer(), server_default="1", nullable=False),
        _text("state"),
        _number("state_at"),
        _text("state_by"),
        _text("claim"),
        sa.Column("due", sa.BigInteger(), nullable=True),
        _text("reply"),
        _number("tries"),
        sa.ForeignKeyConstraint(
            ["body"],
            ["bodies.id"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(
        "ix_items_body",
        "items",
        ["body"],
        sqlite_where=sa.text("body IS NOT NULL"),
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    op.create_index("ix_items_class", "items", ["klass", "open", "key", "stored"])
    op.create_index(
        "ix_items_disposable",
        "items",
        ["state_at"],
        sqlite_where=sa.text("state = 'deleted' AND body IS NOT NULL"),
        postgresql_where=sa.text("state = 'deleted' AND body IS NOT NULL"),
    )
    op.create_index(
        "ix_items_due",
        "items",
        ["due"],
        sqlite_where=sa.text("due IS NOT NULL"),
        postgresql_where=sa.text("due IS NOT NULL"),
    )
    op.create_index("ix_items_open", "items", ["open", "key"])
    op.create_index(
        "ix_items_same",
        "items",
        ["body", "sender", "recipient"],
        unique=True,
        sqlite_where=sa.text("open = 1"),
        postgresql_where=sa.text("open = 1"),
    )
    op.create_table(
        "records",
        sa.Column("key", _KEY, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        _number("time"),
        _text("sender"),
        _text("recipients"),
        _text("from_"),
        _text("subject"),
        _text("message_id"),
        _text("action"),
        _text("reason"),
        _number("points"),
        sa.Column("probability", sa.Float(), nullable=True),
        _text("client"),
        _text("direction"),
        _text("listener"),
        _number("size"),
        _text("queue_id"),
        _text("ruleset"),
        _text("model"),
        _text("facets"),
        _text("search"),
        sa.Column("body", _KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["body"],
            ["bodies.id"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(
        "ix_records_body",
        "records",
        ["body"],
        sqlite_where=sa.text("body IS NOT NULL"),
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    op.create_index(
        "ix_records_kept",
        "records",
        ["key"],
        sqlite_where=sa.text("body IS NOT NULL"),
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    _inverted_indexes()


def _inverted_indexes() -> None:
    """Over the facets and over the trigrams of the search text, in each database's own way."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for name in ("records", "items"):
        if sqlite:
            for kind, tokens in (("facets", _FACETS), ("search", _SEARCH)):
                options = f'content="", detail=none, tokenize="{tokens}"'
                op.execute(f"CREATE VIRTUAL TABLE {name}_{kind} USING fts5(content, {options})")
        else:
            op.execute(f"CREATE INDEX ix_{name}_search ON {name} USING gin (search gin_trgm_ops)")
            op.execute(f"CREATE INDEX ix_{name}_facets ON {name} USING gin (string_to_array(facets, ' '))")
