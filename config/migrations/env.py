"""Alembic's entry: runs the migrations of all packages in one line of history on the connection it is handed."""

from __future__ import annotations

from alembic import context

from config.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
