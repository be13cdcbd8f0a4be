"""Figures equal what a second, plain implementation makes of the same rows, for every agent, queue and day of the demo's history, on both
databases; and the boundaries, vectors and identities of the definitions hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from config.tables import METADATA
from crm_core.days import day_of, span_of
from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import ManualClock
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker
from cti.figures.day import DayFigures, day_figures, empty, rows_behind, shown
from cti.figures.definitions import COUNTS, OF_AGENT, OF_ALL, OF_QUEUE, SHOWN, compute
from cti.figures.live import LiveFigures
from cti.storage import Offer, Pbx, Queue, QueueEntry, Segment
from tests.figures.plain import COUNTED, Books, counted, figures, service_level
from tests.web.program import Running

UNIT, PBX, DAY = 1, 2, "2026-11-18"


async def books_of(read: Callable[[Any], Any], unit_id: int) -> Books:
    """All rows of a unit, dumped."""
    return Books(*[await read(select(t.__table__).where(t.unit_id == unit_id)) for t in (QueueEntry, Offer, Segment)])


def same(found: float | int | None, expected: float | None) -> bool:
    return found is expected if found is None or expected is None else abs(found - expected) < 1e-6 * max(1.0, abs(expected))


def differences(found: DayFigures, books: Books, queues: list[str], agents: list[int]) -> list[str]:
    """Where the figures are not what the plain implementation says."""
    told = []
    for name, part, mine in (
        [("all", books, found.all)]
        + [(q, books.of_queue(q), found.queues.get(q, empty(OF_QUEUE))) for q in queues]
        + [(str(u), books.of_agent(u), found.agents.get(u, empty(OF_AGENT))) for u in agents]
    ):
        expected = figures(part)
        told += [f"{name} {f}: {mine[f].value} is not {expected[f]}" for f in mine if not same(mine[f].value, expected[f])]
    return told


async def test_every_figure_of_the_demo_s_history_is_right(everywhere: Running) -> None:
    unit = await everywhere.one(select(Queue.unit_id).where(Queue.name == "support"))
    books = await books_of(everywhere.rows, unit["unit_id"])
    days = sorted({row["day"] for row in books.entries})
    assert len(days) >= 4 and len(books.entries) > 200 and len(books.segments) > 150
    agents = sorted({row["user_id"] for row in books.offers if row["user_id"] is not None})
    assert len(agents) == 8
    async with everywhere.program.database.read() as db:
        for day in days:
            found = await db.run_sync(day_figures, unit["unit_id"], day)
            assert differences(found, books.of_day(day), ["support", "parts", "vip"], agents) == []


async def test_the_demo_s_history_has_something_of_everything(everywhere: Running) -> None:
    """Equal figures of empty books would prove nothing."""
    unit = await everywhere.one(select(Queue.unit_id).where(Queue.name == "support"))
    whole = figures(await books_of(everywhere.rows, unit["unit_id"]))
    assert {name for name, value in whole.items() if not value} == {"other"}


# ------------------------------------------------------------------------------------------------------------- by hand-made rows


class Rows:
    """A database with hand-made visits, offers and segments."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.new_id = IdMaker(ManualClock())

    async def add(self, table: type, rows: list[dict[str, Any]]) -> None:
        base = {"unit_id": UNIT, "pbx_id": PBX, "day": DAY, "zone": "Asia/Shanghai", "call_id": 7, "queue": "support"}
        async with self.database.begin() as db:
            await db.execute(insert(table), [{**base, "id": self.new_id(), **row} for row in rows])

    async def visits(self, count: int, outcome: str, wait_s: float | None, **more: Any) -> None:
        row = {"outcome": outcome, "wait_s": wait_s, "sl_threshold_s": 20, "short_abandon_s": 5, "user_id": None, **more}
        await self.add(QueueEntry, [dict(row) for _ in range(count)])

    async def figures(self, day: str = DAY) -> DayFigures:
        return await self.database.look(lambda db: day_figures(db, UNIT, day))

    async def dumped(self) -> Books:
        async def read(statement: Any) -> list[dict[str, Any]]:
            async with self.database.read() as db:
                return [dict(row) for row in (await db.execute(statement)).mappings()]

        return await books_of(read, UNIT)

    async def listed(self, name: str, day: str = DAY, queue: str = "", agent: int | None = None) -> int:
        async with self.database.read() as db:
            return len((await db.execute(rows_behind(name, UNIT, day, queue, agent))).all())


@pytest_asyncio.fixture
async def rows() -> AsyncIterator[Rows]:
    database = Database("sqlite+aiosqlite:///:memory:")
    async with database.begin() as db:
        await db.run_sync(METADATA.create_all)
        await db.execute(insert(Pbx).values(id=PBX, unit_id=UNIT, name="p"))
    yield Rows(database)
    await database.close()


async def icmi(rows: Rows) -> None:
    """1,000 answered, 860 of them within T; 60 abandoned, 20 within T, 10 of them short."""
    for count, outcome, wait_s in (
        (860, "answered", 8.0),
        (140, "answered", 45.0),
        (10, "abandoned", 2.0),
        (10, "abandoned", 12.0),
        (40, "abandoned", 50.0),
    ):
        await rows.visits(count, outcome, wait_s)


async def test_the_vectors_of_the_literature_come_out(rows: Rows) -> None:
    await icmi(rows)
    found, visits = (await rows.figures()).all, (await rows.dumped()).entries
    assert round(found["service_level"].value * 100, 2) == 81.90
    assert (found["service_level"].num, found["service_level"].den) == (860, 1050)
    assert round(found["abandon_rate"].value * 100, 2) == 5.66
    answered = [v for v in visits if v["outcome"] == "answered"]
    abandoned = [v for v in visits if v["outcome"] == "abandoned"]
    in_t = len([v for v in answered if v["wait_s"] <= 20])
    lost_in_t = len([v for v in abandoned if v["wait_s"] <= 20])
    a, b = len(answered), len(abandoned)
    others = {"A": in_t / (a + b), "C": in_t / (a + b - lost_in_t), "D": (in_t + lost_in_t) / (a + b), "E": in_t / a}
    assert {name: round(value * 100, 2) for name, value in others.items()} == {"A": 81.13, "C": 82.69, "D": 83.02, "E": 86.00}
    assert same(service_level(visits), found["service_level"].value)


BOUNDARIES = [
    ("answered", 20.0, 1.0), ("answered", 20.0001, 0.0), ("answered", 0.0, 1.0), ("answered", None, 0.0),
    ("abandoned", 5.0, 0.0), ("abandoned", 4.999, None), ("abandoned", 0.0, None), ("timed_out", 3.0, None),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "wait_s", "expected"), BOUNDARIES)
async def test_exactly_t_is_within_and_exactly_s_is_not_short(
    rows: Rows, outcome: str, wait_s: float | None, expected: float | None
) -> None:
    await rows.visits(1, outcome, wait_s)
    assert (await rows.figures()).all["service_level"].value == expected


async def test_thresholds_are_those_that_were_valid_then(rows: Rows) -> None:
    """Each wait keeps its own thresholds, so changing a queue's rule does not rewrite the past."""
    await rows.visits(3, "answered", 25.0, sl_threshold_s=30)
    await rows.visits(1, "answered", 25.0, sl_threshold_s=20)
    await rows.visits(1, "abandoned", 6.0, short_abandon_s=10)
    assert (await rows.figures()).all["service_level"].value == 0.75


async def test_no_data_is_none_and_nothing_is_zero(rows: Rows) -> None:
    found = await rows.figures()
    assert found.queues == {} and found.agents == {}
    assert {n for n, f in found.all.items() if f.value is None} == {"service_level", "asa", "abandon_rate", "aht"}
    assert {n for n, f in found.all.items() if f.value == 0} == {"offered", "answered", "abandoned", "other"}
    await rows.visits(2, "refused", 0.0)
    found = await rows.figures()
    assert (found.all["other"].value, found.all["offered"].value, found.all["asa"].value) == (2, 2, None)


async def test_agents_get_what_was_theirs_and_a_talk_without_one_counts_for_nobody(rows: Rows) -> None:
    talk = {"leg_a": 1, "leg_b": 2, "talk_s": 60.0, "hold_s": 6.0, "acw_s": 4.0}
    await rows.add(Segment, [{**talk, "user_id": 11}, {**talk, "user_id": 11, "queue": ""}, {**talk, "user_id": None}])
    await rows.add(
        Offer,
        [
            {"user_id": 11, "result": r}
            for r in ("no_answer", "rejected", "caller_left", "answered_elsewhere", "failed", "answered")
        ],
    )
    await rows.visits(1, "answered", 3.0, user_id=11)
    found = await rows.figures()
    mine = {name: figure.value for name, figure in found.agents[11].items()}
    assert mine == {"answered": 1, "missed": 2, "handled": 2, "talk_time": 120.0, "aht": 70.0}
    assert found.queues["support"]["aht"].den == 1
    assert differences(found, await rows.dumped(), ["support"], [11]) == []


async def test_percentages_are_never_averaged(rows: Rows) -> None:
    await rows.visits(1, "answered", 1.0, queue="small")
    await rows.visits(9, "answered", 99.0, queue="large")
    found = await rows.figures()
    assert found.queues["small"]["service_level"].value == 1.0 and found.queues["large"]["service_level"].value == 0.0
    assert found.all["service_level"].value == 0.1


async def test_other_units_and_other_days_do_not_count(rows: Rows) -> None:
    await rows.visits(1, "answered", 1.0, unit_id=99)
    await rows.visits(1, "answered", 1.0, day="2026-11-17")
    assert (await rows.figures()).all["offered"].value == 0
    assert (await rows.figures("2026-11-17")).all["offered"].value == 1


OUTCOMES = ["answered", "abandoned", "timed_out", "overflowed", "callback", "left_by_key", "refused"]
VISIT = st.fixed_dictionaries({
    "outcome": st.sampled_from(OUTCOMES), "wait_s": st.none() | st.sampled_from([0.0, 4.999, 5.0, 19.999, 20.0, 20.001]) | st.floats(0, 600),
    "queue": st.sampled_from(["a", "b"]), "user_id": st.none() | st.sampled_from([11, 12]), "sl_threshold_s": st.sampled_from([10, 20]),
    "short_abandon_s": st.sampled_from([0, 5]),
})  # fmt: skip
RESULTS = ["answered", "no_answer", "rejected", "answered_elsewhere", "caller_left", "failed"]
OFFER = st.fixed_dictionaries(
    {"result": st.sampled_from(RESULTS), "queue": st.sampled_from(["a", "b", ""]), "user_id": st.sampled_from([None, 11, 12])}
)
TALK = st.fixed_dictionaries({
    "queue": st.sampled_from(["a", "b", ""]), "user_id": st.sampled_from([None, 11, 12]), "talk_s": st.floats(0, 999), "hold_s": st.floats(0, 99),
    "acw_s": st.floats(0, 99),
})  # fmt: skip


@settings(max_examples=30)
@given(st.lists(VISIT, max_size=12), st.lists(OFFER, max_size=6), st.lists(TALK, max_size=6))
def test_whatever_the_rows_both_implementations_agree(visits: list[Any], offers: list[Any], talks: list[Any]) -> None:
    asyncio.run(agree(visits, offers, talks))


async def agree(visits: list[Any], offers: list[Any], talks: list[Any]) -> None:
    database = Database("sqlite+aiosqlite:///:memory:")
    async with database.begin() as db:
        await db.run_sync(
            lambda c: METADATA.create_all(
                c, tables=[METADATA.tables[n] for n in ("unit", "pbx", "queue_entry", "offer", "segment")]
            )
        )
        await db.execute(insert(Pbx).values(id=PBX, unit_id=UNIT, name="p"))
    made = Rows(database)
    if visits:
        await made.add(QueueEntry, visits)
    if offers:
        await made.add(Offer, offers)
    if talks:
        await made.add(Segment, [{"leg_a": 1, "leg_b": 2, **t} for t in talks])
    found, dumped = await made.figures(), await made.dumped()
    assert differences(found, dumped, ["a", "b"], [11, 12]) == []
    identity = [found.all, *found.queues.values()]
    assert all(f["offered"].value == f["answered"].value + f["abandoned"].value + f["other"].value for f in identity)
    for name in OF_ALL:
        assert await made.listed(name) == counted(name, dumped), name
    for name in OF_AGENT:
        assert await made.listed(name, agent=11) == counted(name, dumped.of_agent(11)), name
    await database.close()


# ------------------------------------------------------------------------------------------------------------ days and their ends


@given(
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.integers(1_735_000_000, 1_830_000_000),
)
def test_every_instant_lies_within_its_day(zone: str, at: int) -> None:
    day = day_of(at, zone)
    start, end = span_of(day, zone)
    assert start <= at < end
    assert day == datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%d")
    tomorrow = (datetime.fromisoformat(day) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert span_of(tomorrow, zone)[0] == end


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-11-18", "Europe/Berlin", 24),
        ("2026-11-18", "Asia/Shanghai", 24),
    ],
)
def test_a_day_has_the_hours_that_its_zone_gives_it(day: str, zone: str, hours: int) -> None:
    start, end = span_of(day, zone)
    assert (end - start) / 3600 == hours


@pytest.mark.parametrize(
    ("zone", "before", "after"), [("Asia/Shanghai", "2026-11-17", "2026-11-18"), ("Europe/Berlin", "2026-11-17", "2026-11-18")]
)
async def test_midnight_is_that_of_the_unit(rows: Rows, zone: str, before: str, after: str) -> None:
    midnight = span_of("2026-11-18", zone)[0]
    for at in (midnight - 0.001, midnight, midnight + 86399.999):
        await rows.visits(1, "answered", 1.0, day=day_of(at, zone), joined_at=at)
    assert (await rows.figures(before)).all["offered"].value == 1
    assert (await rows.figures(after)).all["offered"].value == 2


async def test_today_s_figures_change_with_the_day_of_each_unit(rows: Rows) -> None:
    clock = ManualClock(span_of("2026-11-18", "Asia/Shanghai")[0] - 1)
    told: list[tuple[int, str]] = []
    zones = {UNIT: "Asia/Shanghai", 5: "Europe/Berlin"}
    live = LiveFigures(MemoryBus(), rows.database, clock, zones.__getitem__, lambda unit, day, *_: told.append((unit, day)))
    for _ in range(2):
        for unit in zones:
            await live._read(unit, set())
        clock.pass_time(2)
    assert told == [(UNIT, "2026-11-17"), (5, "2026-11-17"), (UNIT, "2026-11-18"), (5, "2026-11-17")]


async def test_figures_read_piece_by_piece_are_those_read_at_once(rows: Rows) -> None:
    clock = ManualClock(span_of(DAY, "Asia/Shanghai")[0] + 3600)
    told: list[Collection[int] | None] = []
    live = LiveFigures(
        MemoryBus(), rows.database, clock, lambda _: "Asia/Shanghai", lambda _unit, _day, _found, agents: told.append(agents)
    )
    for agents in ((), (11,), (12, 13), (11, 13)):
        for agent in agents:
            await rows.visits(2, "answered", 3.0 * agent, user_id=agent)
        await live._read(UNIT, set(agents))
        whole = await rows.figures(DAY)
        found = live.latest[UNIT][1]
        assert (found.agents, found.queues, found.all) == (whole.agents, whole.queues, whole.all)
    assert told == [None, {11}, {12, 13}, {11, 13}], "the first time everybody, then whoever was named"


# ------------------------------------------------------------------------------------------------------------- how they are shown


def test_every_shown_figure_has_a_formula_and_a_list() -> None:
    assert set(SHOWN) == set(COUNTED) == set(OF_AGENT) | set(OF_ALL)
    for name, one in SHOWN.items():
        assert one.title and one.formula and one.kind in ("count", "seconds", "percent") and one.counts in COUNTS
        assert shown(compute(name, dict.fromkeys([*COUNTS, "wait", "talk", "handling"], 0.0)), DAY)["href"].startswith(
            "/calls?figure="
        )


def test_an_unknown_figure_has_no_list() -> None:
    with pytest.raises(KeyError):
        rows_behind("nothing", UNIT, DAY)
