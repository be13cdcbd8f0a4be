"""`journal`: finished calls into the database, as durable as at work, beside one row at a time as an ORM is commonly used.

A call is seven rows: itself, two legs, a wait, an offer, a segment, its link to a customer. What is measured goes the product's way, from
the event on the bus to the last commit; the floor commits rows of the table of calls alone. Then: whether the line of waiting writes
stays short at 300 calls a second, and how soon five minutes of calls stand in the database once it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.bench.results import Result, Tell
from config.bench.stores import PostgresStore, SqliteStore, Store, finished, people
from config.bench.watch import Watch
from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker
from crm_core.lookup import open_lookup
from crm_core.numbers import NumberRules
from cti.events import CallEnded
from cti.links import Links
from cti.services.books import Books
from cti.services.call_books import CallBooks, Rows
from cti.services.lines import topic
from cti.services.seats import Seats
from cti.storage import Call, CallLeg, CallLink, Offer, QueueEntry, Segment

TABLES: Final = (Call, CallLeg, QueueEntry, Offer, Segment, CallLink)
ROWS_A_CALL: Final = 7
REACH: Final = 20.0
PACE: Final = 300.0  # calls a second
AWAY_PACE: Final = 50.0
CATCH_UP: Final = 10.0
ZONE: Final = "Asia/Shanghai"
RULES: Final = NumberRules(area_code="0571")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    calls: int
    single_rows: int
    rounds: int
    most_tries: int
    pace_s: float
    away_s: float


@dataclass(slots=True)
class Paced:
    """How many writes waited, second by second, the most of each; and what still waited a second after the last call."""

    peaks: list[int] = field(default_factory=list)
    left: int = 0

    @property
    def kept_up(self) -> bool:
        """The line was no longer at the end than it had been, and is empty."""
        half = max(len(self.peaks) // 2, 1)
        return self.left == 0 and max(self.peaks[half:], default=0) <= 1.5 * max(self.peaks[:half]) + 50


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    plan = (
        Plan(calls=200, single_rows=20, rounds=1, most_tries=1, pace_s=1.0, away_s=4.0)
        if quick
        else Plan(calls=3000, single_rows=300, rounds=5, most_tries=20, pace_s=10.0, away_s=300.0)
    )
    found: list[Result] = []
    for kind in (SqliteStore, PostgresStore):
        store: Store | None = await kind.make(folder / "journal")
        if store is None:
            tell("No PostgreSQL is installed here: SQLite only")
            continue
        watch = Watch()
        await watch.start()
        try:
            found += await Bench(store, plan, watch, tell).results()
        finally:
            await watch.stop()
            await store.close()
    return found


class Desk:
    """What books calls, wired as the product wires it."""

    def __init__(self, database: Database, customers: Sequence[int]) -> None:
        clock = SystemClock()
        self._customers = customers
        self.bus, self.books, self.lookup = MemoryBus(), Books(database), open_lookup(database)
        new_id = IdMaker(clock)
        self.seats = Seats(database, self.books, self.bus, clock, new_id, 30)
        self.links = Links(self.bus, self.lookup, database, clock, new_id, lambda _unit: RULES)
        CallBooks(
            self.bus, self.books, clock, new_id, self.seats, self.links, zones=lambda _unit: ZONE, rules=lambda _unit: RULES, limits={}
        )  # fmt: skip
        self._work: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to write."""
        await self.seats.load()
        self._work = [asyncio.create_task(self.bus.run()), asyncio.create_task(self.books.run())]

    def hear(self, ended: CallEnded) -> None:
        """A call has ended; who called is known, as it mostly is by then."""
        self.links.chosen[ended.call_id] = self._customers[ended.call_id % len(self._customers)]
        self.bus.publish(topic(ended), ended)

    async def close(self) -> None:
        """Write no more."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.lookup.close()


class Bench:
    """One store, measured."""

    def __init__(self, store: Store, plan: Plan, watch: Watch, tell: Tell) -> None:
        self._store, self._plan, self._watch, self._tell = store, plan, watch, tell
        self._boots = 0
        self._booked = 0

    async def results(self) -> list[Result]:
        """Everything there is to say of this store."""
        self._unit, self._pbx, customers = await people(self._store.database)
        self._desk = Desk(self._store.database, customers)
        await self._desk.open()
        try:
            return [await self._pairs(), await self._paced(), await self._caught_up(), await self._whole()]
        finally:
            await self._desk.close()

    def _calls(self, count: int) -> Sequence[CallEnded]:
        """Calls that were never seen before: of another boot of the PBX."""
        self._boots += 1
        return finished(count, self._unit, self._pbx, f"boot {self._boots}")

    # -------------------------------------------------------------------------------------------------------- rows a second

    async def _pairs(self) -> Result:
        plan, name = self._plan, f"journal.{self._store.name}"
        await self._book(self._calls(200))
        await one_by_one(self._store.bare, self._rows(20))
        good, noisy = list[tuple[float, float]](), list[tuple[float, float]]()
        for _ in range(plan.most_tries):
            calls, rows = self._calls(plan.calls), self._rows(plan.single_rows)
            await self._watch.begin_span()
            ours = len(calls) * ROWS_A_CALL / await self._book(calls)
            bare = len(rows) / await one_by_one(self._store.bare, rows)
            quiet = await self._watch.end_span()
            (good if quiet else noisy).append((ours, bare))
            self._tell(f"{name}: {ours:,.0f} rows/s, one by one {bare:,.0f}" + ("" if quiet else "; too noisy, does not count"))
            if len(good) == plan.rounds:
                break
        pairs = good or noisy
        ratio = median(ours / bare for ours, bare in pairs)
        return Result(
            name=name, value=round(median(ours for ours, _ in pairs)), unit="rows/s", floor=round(median(bare for _, bare in pairs)), ratio=round(ratio, 1),
            runs=len(pairs), noise=self._watch.heard(), reach=f">= {REACH:g} x one row a commit", met=ratio >= REACH, void=len(good) < plan.rounds,
            parts={"calls_per_s": round(median(ours for ours, _ in pairs) / ROWS_A_CALL), "each": [round(a / b, 1) for a, b in pairs]},
        )  # fmt: skip

    async def _book(self, calls: Sequence[CallEnded]) -> float:
        """Seconds from the first call's end to the last commit."""
        begun = time.perf_counter()
        for ended in calls:
            self._desk.hear(ended)
        await self._desk.books.settled()
        self._booked += len(calls)
        return time.perf_counter() - begun

    def _rows(self, count: int) -> list[dict[str, Any]]:
        """Rows of the table of calls, made beforehand."""
        self._booked += count
        made = (Rows(one.fact, "2026-11-22", ZONE, self._who, {}, RULES).all()[0][1][0] for one in self._calls(count))
        return list(made)

    def _who(self, extension: str, at: float | None) -> int | None:
        return self._desk.seats.who_sat(self._pbx, extension, at)

    # ----------------------------------------------------------------------------------------------------------- keeping up

    async def _paced(self) -> Result:
        plan = self._plan
        self._tell(f"journal.{self._store.name}: {PACE:g} calls a second for {plan.pace_s:g} s")
        calls, seen = self._calls(int(PACE * plan.pace_s)), Paced()
        await self._watch.begin_span()
        begun, said = time.perf_counter(), 0
        while said < len(calls):
            due = min(int((time.perf_counter() - begun) * PACE) + 1, len(calls))
            for ended in calls[said:due]:
                self._desk.hear(ended)
            second, said = int(said / PACE), due
            seen.peaks += [0] * (second + 1 - len(seen.peaks))
            seen.peaks[second] = max(seen.peaks[second], self._desk.books.waiting)
            await asyncio.sleep(0.005)
        self._booked += len(calls)
        await asyncio.sleep(1.0)
        seen.left = self._desk.books.waiting
        quiet = await self._watch.end_span()
        await self._desk.books.settled()
        return Result(
            name=f"journal.{self._store.name}.pace", value=max(seen.peaks), unit="writes waiting", runs=1, noise=self._watch.heard(),
            reach=f"no longer line at {PACE:g} calls/s, empty 1 s after", met=seen.kept_up, void=not quiet and not seen.kept_up,
            parts={"peaks": seen.peaks, "left_after_1_s": seen.left, "calls": len(calls)},
        )  # fmt: skip

    async def _caught_up(self) -> Result:
        plan = self._plan
        calls = self._calls(int(AWAY_PACE * plan.away_s))
        self._tell(
            f"journal.{self._store.name}: the database is away for {plan.away_s / 60:g} minutes of {AWAY_PACE:g} calls a second"
        )
        await self._store.leave()
        for ended in calls:
            self._desk.hear(ended)
        await asyncio.sleep(0.5)
        waiting = self._desk.books.waiting
        await self._watch.begin_span()
        await self._store.come_back()
        back = time.perf_counter()
        await self._desk.books.settled()
        took = time.perf_counter() - back
        quiet = await self._watch.end_span()
        self._booked += len(calls)
        ratio = plan.away_s / took
        return Result(
            name=f"journal.{self._store.name}.catch_up", value=round(took, 2), unit="s", floor=plan.away_s, ratio=round(ratio, 1), runs=1, noise=self._watch.heard(),
            reach=f">= {CATCH_UP:g} x as fast as it came", met=ratio >= CATCH_UP and waiting == len(calls), void=not quiet and ratio < CATCH_UP,
            parts={"calls": len(calls), "waited": waiting, "calls_per_s": round(len(calls) / took)},
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------------------------- whole

    async def _whole(self) -> Result:
        """Everything that was booked stands there, once."""
        async with self._store.database.read() as db:
            there = {
                table.__tablename__: (await db.execute(select(func.count()).select_from(table))).scalar_one() for table in TABLES
            }
        lost = self._booked - there["call"]
        return Result(
            name=f"journal.{self._store.name}.lost", value=lost, unit="calls", runs=1, noise=self._watch.heard(), reach="0", met=lost == 0,
            parts=there,
        )  # fmt: skip


async def one_by_one(engine: AsyncEngine, rows: Sequence[dict[str, Any]]) -> float:
    """Seconds for the rows, each added to a session and committed."""
    begun = time.perf_counter()
    async with AsyncSession(engine) as session:
        for row in rows:
            session.add(Call(**row))
            await session.commit()
    return time.perf_counter() - begun
