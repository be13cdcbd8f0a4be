"""Saves what a landing's database looks like: `python -m tests.data.save` writes tests/data/saved/<revision>.sql.gz, once for each landing.

A saved file is SQL that both databases take: a head with the revision and how many rows each table has, the tables as this landing makes
them on each database, then the rows. Files of landings before are never written again.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from config.tables import METADATA
from config.upgrade import newest
from crm_core.kernel.db import Database
from tests.web.program import fill

FOLDER = Path(__file__).parent / "saved"
DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}
VERSIONS = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@dataclass(frozen=True)
class Saved:
    """One saved landing."""

    revision: str
    counts: dict[str, int]
    tables: dict[str, list[str]]
    rows: list[str]


def literal(value: Any) -> str:
    """A value as both databases write it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def tables_for(dialect: Any) -> Iterator[str]:
    """The statements that make the declared tables."""
    for table in METADATA.sorted_tables:
        yield " ".join(str(CreateTable(table).compile(dialect=dialect)).split())
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            yield " ".join(str(CreateIndex(index).compile(dialect=dialect)).split())


async def rows_of(database: Database) -> tuple[list[str], dict[str, int]]:
    """Every row as an INSERT, parents first, and how many rows each table has."""
    statements, counts = [], {}
    async with database.read() as db:
        for table in METADATA.sorted_tables:
            found = (await db.execute(select(table))).mappings().all()
            counts[table.name] = len(found)
            for row in found:
                names = ", ".join(f'"{name}"' for name in row)
                values = ", ".join(literal(v).replace("\n", "\\n") if isinstance(v, str) else literal(v) for v in row.values())
                statements.append(f'INSERT INTO "{table.name}" ({names}) VALUES ({values})')
    return statements, counts


async def save(folder: Path = FOLDER) -> Path:
    """Write the file of this landing."""
    revision = newest()
    assert revision is not None
    with tempfile.TemporaryDirectory() as scratch:
        database = Database(f"sqlite+aiosqlite:///{scratch}/saved.sqlite3")
        await fill(database, days=1, people=20)
        statements, counts = await rows_of(database)
        await database.close()
    head = json.dumps({"revision": revision, "counts": counts})
    parts = [f"-- {head}"]
    for name, dialect in DIALECTS.items():
        parts += [f"-- {name}", *tables_for(dialect)]
    parts += ["-- rows", *statements]
    path = folder / f"{revision}.sql.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write("\n".join(parts).encode())
    return path


def read(path: Path) -> Saved:
    """A saved landing."""
    head, *lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    about = json.loads(head.removeprefix("-- "))
    parts: dict[str, list[str]] = {}
    part: list[str] = []
    for line in lines:
        if found := re.fullmatch(r"-- (sqlite|postgresql|rows)", line):
            part = parts.setdefault(found[1], [])
        else:
            part.append(line)
    return Saved(about["revision"], about["counts"], {name: parts[name] for name in DIALECTS}, parts["rows"])


async def restore(saved: Saved, database: Database) -> None:
    """Make a database what it was at that landing."""
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    async with database.begin() as db:
        for statement in (VERSIONS, *saved.tables[dialect], *saved.rows):
            await db.exec_driver_sql(statement)
        await db.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": saved.revision})


if __name__ == "__main__":
    print(f"{asyncio.run(save()).name} was written.")
