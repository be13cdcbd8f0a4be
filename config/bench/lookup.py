"""`lookup`: whose number is this, among five million, however it is written, beside the bare driver asked for a key it is given.

The product's way is the reading of what a trunk or a person wrote and the look-up behind the pop; the bare way is the same statement
called directly. Runs of the two take turns with numbers of their own. Also shown: when the database takes a second, the pop does not.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg

from config.bench.customers import TABLES, prepare_schema, rows, sqlite_file
from config.bench.noise import percentile
from config.bench.pop import QUICK
from config.bench.results import Result, Tell
from config.bench.rig import ProductSide
from config.bench.server import QUICK_TO_FILL, Server
from config.bench.slow_product import ANSWER_S
from config.bench.watch import Watch
from config.upgrade import newest
from crm_core.kernel.db import Database
from crm_core.lookup import NumberLookup, PostgresLookup, SqliteLookup, open_lookup
from crm_core.numbers import NumberRules, read

CUSTOMERS: Final = 3_180_000  # with 1.575 numbers each
QUICK_CUSTOMERS: Final = 20_000
RULES: Final = NumberRules(area_code="0571")
Ask = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    customers: int
    pairs: int
    numbers: int
    most_tries: int


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    plan = (
        Plan(customers=QUICK_CUSTOMERS, pairs=1, numbers=200, most_tries=1)
        if quick
        else Plan(customers=CUSTOMERS, pairs=5, numbers=3000, most_tries=15)
    )
    watch = Watch()
    await watch.start()
    try:
        found = [await _sqlite(folder, plan, watch, tell)]
        postgres = await _postgres(folder, plan, watch, tell)
        return [*found, *([postgres] if postgres else []), await _deadline(folder, watch, tell)]
    finally:
        await watch.stop()


def written(key: str, way: int) -> str:
    """A number as people and trunks write it."""
    mobile = len(key) == 14
    home = key[3:] if mobile else "0" + key[3:]
    area = 3 if home.startswith(("010", "02")) else 4
    apart = f"{home[:3]} {home[3:7]} {home[7:]}" if mobile else f"{home[:area]}-{home[area:]}"
    wide = str.maketrans("+0123456789-", "＋０１２３４５６７８９－")
    return (
        key,
        "0086" + key[3:],
        home,
        apart,
        apart.translate(wide),
        f"+86 {apart.lstrip('0')}",
        f"tel:{key};phone-context=cn",
        "9" + home,
    )[way % 8]


# ------------------------------------------------------------------------------------------------------------------ the two


async def _sqlite(folder: Path, plan: Plan, watch: Watch, tell: Tell) -> Result:
    tell(f"SQLite with {plan.customers:,} customers")
    path = await sqlite_file(folder, plan.customers)
    bare = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    bare.execute("pragma mmap_size=268435456")
    unit, keys = _sample(bare, plan)
    database = Database(f"sqlite+aiosqlite:///{path}")
    lookup = open_lookup(database)

    async def direct(key: str) -> Any:
        return bare.execute(SqliteLookup.SQL, (unit, key)).fetchall()

    try:
        return await _pairs("lookup.sqlite", plan, keys, unit, lookup, direct, watch, tell)
    finally:
        await lookup.close()
        await database.close()
        bare.close()


def _sample(db: sqlite3.Connection, plan: Plan) -> tuple[int, list[str]]:
    """The unit, and numbers from all over."""
    low, high = db.execute("select min(id), max(id) from contact_point").fetchone()
    rng = random.Random(7)  # noqa: S311 - a sample
    wanted = plan.numbers * 2 * (plan.most_tries + 1)
    keys = [
        db.execute("select key from contact_point where id >= ? order by id limit 1", (rng.randrange(low, high),)).fetchone()[0]
        for _ in range(wanted)
    ]
    return db.execute("select id from unit").fetchone()[0], keys


async def _postgres(folder: Path, plan: Plan, watch: Watch, tell: Tell) -> Result | None:
    server = Server.start(folder / "postgres", **QUICK_TO_FILL)
    if server is None:
        tell("No PostgreSQL is installed here: SQLite only")
        return None
    try:
        await server.until_up()
        name = f"customers_{plan.customers}_{newest()}"
        tell(f"PostgreSQL with {plan.customers:,} customers")
        await _fill(server, name, plan.customers)
        bare = await asyncpg.connect(server.url(name))
        unit = await bare.fetchval("select id from unit")
        keys = [row[0] for row in await bare.fetch("select key from contact_point tablesample system (5)")]
        random.Random(7).shuffle(keys)  # noqa: S311 - a sample
        lookup = PostgresLookup(server.url(name, "+asyncpg"))

        async def direct(key: str) -> Any:
            return await bare.fetch(PostgresLookup.SQL, unit, key)

        found = await _pairs("lookup.postgres", plan, keys, unit, lookup, direct, watch, tell)
        await lookup.close()
        await bare.close()
        return found
    finally:
        server.stop()


async def _fill(server: Server, name: str, count: int) -> None:
    admin = await asyncpg.connect(server.url("postgres"))
    there = [row[0] for row in await admin.fetch("select datname from pg_database where datname like 'customers\\_%'")]
    if name not in there:
        await admin.execute("drop database if exists making with (force)")
        await admin.execute("create database making")
        unit_id = await prepare_schema(server.url("making", "+asyncpg"))
        await _copy(server.url("making"), unit_id, count)
        await admin.execute(f"alter database making rename to {name}")
    await admin.close()


async def _copy(url: str, unit_id: int, count: int) -> None:
    db = await asyncpg.connect(url)
    await db.execute("set session_replication_role = replica")
    indexes = await db.fetch(
        "select indexname, indexdef from pg_indexes where tablename = any($1) and indexname like 'ix\\_%'", list(TABLES)
    )
    for row in indexes:
        await db.execute(f"drop index {row['indexname']}")
    for chunk in rows(unit_id, count):
        for table, columns in TABLES.items():
            await db.copy_records_to_table(table, records=chunk[table], columns=columns)
    for row in indexes:
        await db.execute(row["indexdef"])
    await db.execute("analyze")
    await db.close()


# -------------------------------------------------------------------------------------------------------------- measuring


async def _pairs(
    name: str, plan: Plan, keys: Sequence[str], unit: int, lookup: NumberLookup, direct: Ask, watch: Watch, tell: Tell
) -> Result:
    async def ours(raw: str) -> Any:
        return await lookup.find(unit, read(raw, RULES).key)

    taken = (key for key in cycle(keys) if read(key, RULES).key == key)  # some made-up landlines are no numbers of any plan
    await _run(ours, [written(next(taken), n) for n in range(200)])
    await _run(direct, [next(taken) for _ in range(200)])
    good: list[tuple[list[float], list[float]]] = []
    noisy: list[tuple[list[float], list[float]]] = []
    lost = 0
    for _ in range(plan.most_tries):
        await watch.begin_span()
        mine, missed = await _run(ours, [written(next(taken), n) for n in range(plan.numbers)])
        bare, _ = await _run(direct, [next(taken) for _ in range(plan.numbers)])
        quiet = await watch.end_span()
        (good if quiet else noisy).append((mine, bare))
        lost += missed
        tell(f"{name}: p50 {percentile(mine, 0.5):.0f} us, p99 {percentile(mine, 0.99):.0f} us; bare {percentile(bare, 0.5):.0f} and {percentile(bare, 0.99):.0f} us"
             + ("" if quiet else "; too noisy, does not count"))  # fmt: skip
        if len(good) == plan.pairs:
            break
    return _result(name, plan, good, noisy, lost, watch)


async def _run(ask: Ask, questions: list[str]) -> tuple[list[float], int]:
    """How long each took, in microseconds, and how many found nobody."""
    took, lost = [], 0
    for question in questions:
        at = time.perf_counter()
        found = await ask(question)
        took.append((time.perf_counter() - at) * 1e6)
        lost += not found
        await asyncio.sleep(0)
    return took, lost


def _result(
    name: str,
    plan: Plan,
    good: list[tuple[list[float], list[float]]],
    noisy: list[tuple[list[float], list[float]]],
    lost: int,
    watch: Watch,
) -> Result:
    pairs = good or noisy
    ours, bare = [percentile(a, 0.99) for a, _ in pairs], [percentile(b, 0.99) for _, b in pairs]
    ratio = median(a / b for a, b in zip(ours, bare, strict=True))
    return Result(
        name=name, value=round(median(ours), 1), unit="us", floor=round(median(bare), 1), ratio=round(ratio, 2), runs=len(pairs),
        noise=watch.heard(), reach="p99 <= 3 x the bare driver", met=ratio <= 3 and lost == 0, void=len(good) < plan.pairs,
        parts={"p50_us": round(median(percentile(a, 0.5) for a, _ in pairs), 1), "bare_p50_us": round(median(percentile(b, 0.5) for _, b in pairs), 1),
               "found_nobody": lost, "customers": plan.customers},
    )  # fmt: skip


async def _deadline(folder: Path, watch: Watch, tell: Tell) -> Result:
    """With a database that takes a second: when the pop leaves, and when its card follows."""
    tell("A database that answers after one second")
    product = await ProductSide.make(folder, QUICK, tell)
    product.module = ("config.bench.slow_product",)
    try:
        await product.start()
        await watch.begin_span()
        seen = await product.calls(rate=10, seconds=3, ring_s=2, talk_s=1, seed=1)
        await watch.end_span()
    finally:
        await product.stop()
    pop, card = median(seen.latencies_ms or [float("nan")]), median(seen.cards_ms or [float("nan")])
    early = sum(1 for one in seen.latencies_ms if one > 900)
    return Result(
        name="lookup.deadline", value=round(pop, 1), unit="ms", runs=seen.placed, noise=watch.heard(),
        reach="the pop leaves after 50 ms, its card follows", met=45 <= pop <= 75 and seen.cards == seen.placed and not seen.lost and not early,
        parts={"card_ms": round(card, 1), "database_ms": ANSWER_S * 1000, "pops": seen.placed, "cards": seen.cards, "wrong_cards": seen.wrong_cards,
               "lost": seen.lost},
    )  # fmt: skip
