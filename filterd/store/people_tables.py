"""The tables of people: accounts, whose mail they see, their sessions, one-time links and tokens.

Of every secret only the SHA-256 is kept (passwords: argon2), so that a copy of the database opens no door.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text

from filterd.store.schema import _number, _text, metadata

people = Table(
    "people",
    metadata,
    Column("name", Text, primary_key=True),  # folded
    _text("role"),
    _text("password"),  # argon2; "" when there is none
    _text("language"),
    _text("digest"),  # how often: "", "hourly", "daily", ...
    _number("digested"),  # up to when the last digest told
    _number("created"),
    _text("source"),  # "" is an account of ours, "ldap" one of the directory
)

people_addresses = Table(
    "people_addresses",
    metadata,
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),  # folded; "@example.org" is a whole domain
    PrimaryKeyConstraint("name", "address"),
    Index("ix_people_addresses_address", "address"),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", Text, primary_key=True),
    _text("name"),
    _number("created"),
    _number("expires"),
    Index("ix_sessions_name", "name"),
    Index("ix_sessions_expires", "expires"),
)

links = Table(
    "links",
    metadata,
    Column("token", Text, primary_key=True),
    _text("name"),
    _number("expires"),
    Index("ix_links_name", "name"),
    Index("ix_links_expires", "expires"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token", Text, primary_key=True),
    _text("name"),
    _text("title"),
    _text("scopes"),  # separated by spaces
    _number("created"),
    _number("expires"),  # 0: never
    _number("used"),
    Index("ix_tokens_name", "name"),
)
