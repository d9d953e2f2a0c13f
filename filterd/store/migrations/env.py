"""Alembic's entry: run the migrations on the connection, and in the transaction, of who opens the store."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
