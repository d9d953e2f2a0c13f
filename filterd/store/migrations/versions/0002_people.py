"""People: accounts, whose mail they see, sessions, one-time links, API tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "people",
        _key("name"),
        _text("role"),
        _text("password"),
        _text("language"),
        _text("digest"),
        _number("digested"),
        _number("created"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "people_addresses",
        _key("name"),
        _key("address"),
        sa.PrimaryKeyConstraint("name", "address"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_people_addresses_address", "people_addresses", ["address"])
    op.create_table(
        "sessions",
        _key("token"),
        _text("name"),
        _number("created"),
        _number("expires"),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table("links", _key("token"), _text("name"), _number("expires"), sa.PrimaryKeyConstraint("token"))
    op.create_table(
        "tokens",
        _key("token"),
        _text("name"),
        _text("title"),
        _text("scopes"),
        _number("created"),
        _number("expires"),
        _number("used"),
        sa.PrimaryKeyConstraint("token"),
    )
    for table in ("sessions", "links", "tokens"):
        op.create_index(f"ix_{table}_name", table, ["name"])
    for table in ("sessions", "links"):
        op.create_index(f"ix_{table}_expires", table, ["expires"])
