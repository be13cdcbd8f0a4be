"""Brings a database to the schema of this version, and makes new migrations from changed declarations."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from crm_core.kernel.db import Database
from crm_core.kernel.sentence import Trouble

FOLDER = Path(__file__).parent / "migrations"
_LAST_WORD_S = 0.1  # the thread of a SQLite connection that failed still speaks to the loop once


class NoDatabase(Trouble):
    """The database can't be reached, or is none for this program."""


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
    """Upgrade to the newest revision; True if anything had to be done. Raises NoDatabase, also for one newer than the program."""

    def run(connection: Connection) -> bool:
        now = MigrationContext.configure(connection).get_current_revision()
        if now == newest():
            return False
        command.upgrade(_config(connection), "head")
        return True

    try:
        async with database.begin() as connection:
            return await connection.run_sync(run)
    except CommandError as failure:
        raise NoDatabase(
            "The database is newer than this program ({why}): run the version that it was last used with.", why=failure
        ) from failure
    except (OSError, DBAPIError) as failure:
        await asyncio.sleep(_LAST_WORD_S)
        why = str(failure.orig if isinstance(failure, DBAPIError) else failure).strip().splitlines()[:1]
        raise NoDatabase(
            "The database can't be used ({why}): see to url under [database], and to the server or the folder that it names.",
            why="".join(why),
        ) from failure


async def make_migration(database: Database, message: str) -> None:
    """Write the migration from the database's schema to the declared one."""

    def run(connection: Connection) -> None:
        command.revision(_config(connection), message=message, autogenerate=True)

    async with database.begin() as connection:
        await connection.run_sync(run)
