"""Brings a database to the schema of this version, and makes new migrations from changed declarations."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from crm_core.kernel.db import Database
from crm_core.kernel.sentence import Trouble

if TYPE_CHECKING:  # Alembic is loaded only where there is something to do: it takes 8 MB
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
_LAST_WORD_S = 0.1  # the thread of a SQLite connection that failed still speaks to the loop once


class NoDatabase(Trouble):
    """The database can't be reached, or is none for this program."""


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The newest revision this version of the program knows: migrations form one line, and their files' names sort by it."""
    return max(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def _revision(connection: Connection) -> str | None:
    """The revision of a database, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


async def upgrade(database: Database) -> bool:
    """Upgrade to the newest revision; True if anything had to be done. Raises NoDatabase, also for one newer than the program."""

    def run(connection: Connection) -> bool:
        if _revision(connection) == newest():
            return False
        from alembic import command
        from alembic.util import CommandError

        try:
            command.upgrade(_config(connection), "head")
        except CommandError as failure:
            raise NoDatabase(
                "The database is newer than this program ({why}): run the version that it was last used with.", why=failure
            ) from failure
        return True

    try:
        async with database.begin() as connection:
            return await connection.run_sync(run)
    except (OSError, DBAPIError) as failure:
        await asyncio.sleep(_LAST_WORD_S)
        why = str(failure.orig if isinstance(failure, DBAPIError) else failure).strip().splitlines()[:1]
        raise NoDatabase(
            "The database can't be used ({why}): see to url under [database], and to the server or the folder that it names.",
            why="".join(why),
        ) from failure


async def make_migration(database: Database, message: str) -> None:
    """Write the migration from the database's schema to the declared one."""

    from alembic import command

    def run(connection: Connection) -> None:
        command.revision(_config(connection), message=message, autogenerate=True)

    async with database.begin() as connection:
        await connection.run_sync(run)
