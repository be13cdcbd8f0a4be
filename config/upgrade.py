"""Brings a database to the schema of this version, and makes new migrations from changed declarations."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from crm_core.kernel.db import Database

FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def newest() -> str | None:
    """The newest revision this version of the program knows."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return ScriptDirectory.from_config(config).get_current_head()


async def upgrade(database: Database) -> bool:
    """Upgrade to the newest revision; True if anything had to be done. A database newer than the program is refused."""

    def run(connection: Connection) -> bool:
        now = MigrationContext.configure(connection).get_current_revision()
        if now == newest():
            return False
        command.upgrade(_config(connection), "head")
        return True

    async with database.begin() as connection:
        return await connection.run_sync(run)


async def make_migration(database: Database, message: str) -> None:
    """Write the migration from the database's schema to the declared one."""

    def run(connection: Connection) -> None:
        command.revision(_config(connection), message=message, autogenerate=True)

    async with database.begin() as connection:
        await connection.run_sync(run)
