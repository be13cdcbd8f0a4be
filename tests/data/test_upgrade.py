"""Data outlives landings: a database saved at each landing is upgraded on SQLite and on PostgreSQL and keeps every row, and what the
migrations make is what the tables declare."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text

from config.tables import METADATA
from config.upgrade import FOLDER as MIGRATIONS
from config.upgrade import NoDatabase, newest, upgrade
from crm_core.entities.org import Unit
from crm_core.kernel.db import Database
from crm_core.numbers import NumberRules
from cti.figures.day import day_figures
from cti.services.directory import Directory
from tests.data.save import FOLDER, read, restore
from tests.web.program import TODAY

LANDINGS = sorted(FOLDER.glob("*.sql.gz"))


async def counts_of(database: Database) -> dict[str, int]:
    async with database.read() as db:
        return {t.name: (await db.execute(select(func.count()).select_from(t))).scalar_one() for t in METADATA.sorted_tables}


async def differences(database: Database) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        options = {"compare_type": True, "render_as_batch": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))

    async with database.read() as db:
        return await db.run_sync(compare)


@pytest.mark.parametrize("path", LANDINGS, ids=lambda path: path.name.split(".")[0])
async def test_a_saved_database_is_upgraded_and_loses_nothing(database: Database, path: Path) -> None:
    saved = read(path)
    await restore(saved, database)
    await upgrade(database)
    after = await counts_of(database)
    assert {name: after.get(name) for name in saved.counts} == saved.counts
    assert await differences(database) == []
    directory = Directory(database, NumberRules())
    await directory.load()
    async with database.read() as db:
        unit_id = (await db.execute(select(Unit.id).where(Unit.name == "铃席示范中心"))).scalar_one()
        found = await db.run_sync(day_figures, unit_id, TODAY)
    assert len(directory.people(unit_id)) == 8 and len(directory.queues(unit_id)) == 3
    assert (found.all["answered"].value or 0) > 10
    assert await upgrade(database) is False


def test_the_newest_landing_is_saved() -> None:
    """After a change of the tables: `python -m tests.data.save`, and commit the file."""
    assert newest() in {read(path).revision for path in LANDINGS}


def test_a_saved_database_holds_something_of_every_kind() -> None:
    counts = read(LANDINGS[-1]).counts
    empty = {name for name, count in counts.items() if not count}
    assert empty <= {
        "department",
        "user_session",
        "api_token",
        "audit",
        "installation_fact",
        "seat_session",
        "seat_state",
        "transfer",
        "call_note",
    }


async def test_the_migrations_make_what_the_tables_declare(database: Database) -> None:
    assert await upgrade(database) is True
    assert await differences(database) == []


async def test_a_difference_would_be_seen(database: Database) -> None:
    await upgrade(database)
    async with database.begin() as db:
        await db.execute(text("ALTER TABLE customer ADD COLUMN forgotten VARCHAR(10)"))
        await db.execute(text("DROP INDEX ix_contact_point_unit_id_key"))
    assert len(await differences(database)) == 2


async def test_upgrading_twice_does_nothing(database: Database) -> None:
    assert [await upgrade(database) for _ in range(3)] == [True, False, False]


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(database: Database) -> None:
    await upgrade(database)
    async with database.begin() as db:
        await db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NoDatabase, match="newer than this program"):
        await upgrade(database)
    async with database.read() as db:
        assert (await db.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "9999"


def test_the_history_of_migrations_is_one_line() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert len(script.get_heads()) == len(script.get_bases()) == 1
    for revision in script.walk_revisions():
        assert isinstance(revision.down_revision, str | None) and revision.doc
