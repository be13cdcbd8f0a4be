"""Millions of customers, made once into a folder and used again: rows as fast as they can be made, for SQLite and for PostgreSQL.

Names and numbers look like those of the demo; nothing in here is random from one making to the next. The file is thrown away when the
schema has changed since.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import structlog

from config.accounts import make_unit
from config.demo.customers import FAMILY, GIVEN, LEVELS, MOBILES, TITLES, TOWNS, TRADES, WORDS
from config.upgrade import newest, upgrade
from crm_core.initials import initials_of
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker, id_at

log = structlog.get_logger(__name__)
CHUNK: Final = 20_000
MADE_AT: Final = 1_790_000_000.0
TABLES: Final[dict[str, tuple[str, ...]]] = {
    "customer": ("id", "unit_id", "number", "kind", "name", "initials", "level", "region", "industry", "created_at", "changed_at"),
    "contact": ("id", "unit_id", "customer_id", "name", "title"),
    "contact_point": ("id", "unit_id", "customer_id", "contact_id", "kind", "key", "written"),
}
Rows = dict[str, list[tuple[Any, ...]]]


def rows(unit_id: int, count: int, seed: int = 1) -> Iterator[Rows]:
    """Customers with a contact and one or two numbers each, CHUNK customers at a time; one number in forty is two customers'."""
    rng = random.Random(seed)  # noqa: S311 - made-up people
    initial = {
        char: initials_of(char) for char in {*FAMILY, *GIVEN, *"".join(WORDS + TRADES), *"".join(t for t, _ in TOWNS), *"有限公司"}
    }
    next_id = id_at(MADE_AT - 86_400 * 30)
    for first in range(0, count, CHUNK):
        found: Rows = {name: [] for name in TABLES}
        for n in range(first, min(first + CHUNK, count)):
            next_id += 8
            _one(rng, unit_id, next_id, n, initial, found)
        yield found


def _one(rng: random.Random, unit_id: int, at: int, n: int, initial: dict[str, str], found: Rows) -> None:
    town, area = TOWNS[n % len(TOWNS)]
    company = n % 20 < 11
    who = rng.choice(FAMILY) + rng.choice(GIVEN) + rng.choice(GIVEN)
    trade = TRADES[n % len(TRADES)]
    name = f"{town}{rng.choice(WORDS)}{trade}有限公司" if company else who
    found["customer"].append(
        (at, unit_id, f"C-{n + 1:05}", "company" if company else "person", name, "".join(initial[char] for char in name),
         LEVELS[n % len(LEVELS)], town, trade if company else "", MADE_AT, MADE_AT)
    )  # fmt: skip
    found["contact"].append((at + 1, unit_id, at, who, TITLES[n % len(TITLES)] if company else ""))
    mobile = f"{MOBILES[n % len(MOBILES)]}{rng.randrange(10**8):08}"
    points = found["contact_point"]
    points.append((at + 2, unit_id, at, at + 1, "mobile", "+86" + mobile, mobile))
    if n % 40 == 39:
        points.append((at + 3, unit_id, at - 8, None, "mobile", "+86" + mobile, mobile))
    if company:
        line = f"{rng.randrange(5, 9)}{rng.randrange(10**7):07}"
        points.append((at + 4, unit_id, at, None, "landline", f"+86{area[1:]}{line}", f"{area}-{line}"))


async def sqlite_file(folder: Path, count: int) -> Path:
    """A database of this version's schema with one unit and so many customers, made if it isn't there yet."""
    path = folder / f"customers-{count}-{newest()}.sqlite3"
    if not path.exists():
        part = _begin(path, count)
        _fill(part, await prepare_schema(f"sqlite+aiosqlite:///{part}"), count)
        part.rename(path)
    return path


def _begin(path: Path, count: int) -> Path:
    """Make room for a new file, which gets its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"customers-{count}-*"):
        old.unlink()
    log.info("making customers", count=count, file=str(path))
    return path.with_suffix(".part")


async def prepare_schema(url: str) -> int:
    """This version's schema and one unit; the unit."""
    database = Database(url)
    await upgrade(database)
    async with database.begin() as db:
        unit_id = await make_unit(db, IdMaker(SystemClock()), name="测量中心", zone="Asia/Shanghai", area_code="0571")
    await database.close()
    return unit_id


def _fill(path: Path, unit_id: int, count: int) -> None:
    db = sqlite3.connect(path)
    db.executescript("pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-400000;")
    names = tuple(TABLES)
    kept = db.execute(
        "select name, sql from sqlite_master where type = 'index' and sql is not null and tbl_name in (?, ?, ?)", names
    )
    indexes = kept.fetchall()
    for name, _ in indexes:
        db.execute(f"drop index {name}")
    for chunk in rows(unit_id, count):
        for table, columns in TABLES.items():
            db.executemany(f"insert into {table} ({','.join(columns)}) values ({','.join('?' * len(columns))})", chunk[table])  # noqa: S608
        db.commit()
    for _, statement in indexes:
        db.execute(statement)
    db.execute("analyze")
    db.commit()
    db.executescript("pragma journal_mode=wal;")
    db.close()
