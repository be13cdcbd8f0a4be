"""The day's figures out of the database: per queue, per agent, and all together; and the rows behind a figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote_plus

from sqlalchemy import Connection, Select, bindparam, case, func, select

from cti.figures.definitions import COUNTS, OF_AGENT, OF_ALL, OF_QUEUE, SHOWN, SUMS, Figure, Table, compute
from cti.storage import Offer, QueueEntry, Segment

Counted = dict[str, float]


@dataclass(slots=True)
class DayFigures:
    """Figures by queue name, by agent, and of the whole unit."""

    queues: dict[str, dict[str, Figure]] = field(default_factory=dict)
    agents: dict[int, dict[str, Figure]] = field(default_factory=dict)
    all: dict[str, Figure] = field(default_factory=dict)


def _columns(table: Table) -> tuple[list[str], list[Any]]:
    """The names and aggregate expressions of every count and sum over a table."""
    names: list[str] = []
    columns: list[Any] = []
    for name, count in COUNTS.items():
        if count.table is table:
            names.append(name)
            columns.append(func.sum(case((count.where(), 1), else_=0)))
    for name, (over, what) in SUMS.items():
        if COUNTS[over].table is table:
            names.append(name)
            columns.append(func.sum(case((COUNTS[over].where(), func.coalesce(what(), 0.0)), else_=0.0)))
    return names, columns


@lru_cache
def _statement(table: Table, by: Literal["queue", "user_id"], some: bool) -> tuple[list[str], Select[Any]]:
    """What counts a table's rows of a day in groups (`some`: only those named), made once, and the names of its columns."""
    names, columns = _columns(table)
    group = getattr(table, by)
    statement = select(group, *columns).where(table.unit_id == bindparam("unit"), table.day == bindparam("of_day")).group_by(group)
    return names, statement.where(group.in_(bindparam("only", expanding=True))) if some else statement


def _grouped(
    db: Connection, table: Table, by: Literal["queue", "user_id"], unit_id: int, day: str, only: Collection[int] | None = None
) -> dict[Any, Counted]:
    names, statement = _statement(table, by, only is not None)
    values: dict[str, Any] = {"unit": unit_id, "of_day": day} | ({} if only is None else {"only": list(only)})
    return {row[0]: dict(zip(names, (float(v or 0) for v in row[1:]), strict=True)) for row in db.execute(statement, values).all()}


def day_figures(db: Connection, unit_id: int, day: str, agents: Collection[int] | None = None) -> DayFigures:
    """All figures of a unit's day; of agents only those named, unless None are."""
    by_queue: dict[str, Counted] = defaultdict(lambda: defaultdict(float))
    by_agent: dict[int, Counted] = defaultdict(lambda: defaultdict(float))
    whole: Counted = defaultdict(float)
    tables: tuple[Table, ...] = (QueueEntry, Offer, Segment)
    for table in tables:
        for name, counted in _grouped(db, table, "queue", unit_id, day).items():
            _add(whole, counted)
            if name:
                _add(by_queue[name], counted)
        for user_id, counted in _grouped(db, table, "user_id", unit_id, day, agents).items():
            if user_id is not None:
                _add(by_agent[user_id], counted)
    return DayFigures(
        queues={q: {n: compute(n, c) for n in OF_QUEUE} for q, c in by_queue.items()},
        agents={u: {n: compute(n, c) for n in OF_AGENT} for u, c in by_agent.items()},
        all={n: compute(n, whole) for n in OF_ALL},
    )


def _add(total: Counted, more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] += value


def empty(names: Iterable[str]) -> dict[str, Figure]:
    """The figures of a day on which nothing happened."""
    return {n: compute(n, defaultdict(float)) for n in names}


def rows_behind(name: str, unit_id: int, day: str, queue: str = "", agent: int | None = None) -> Select[int, int]:
    """The (row id, call id) that a figure counts, newest first. Raises KeyError for no figure."""
    count = COUNTS[SHOWN[name].counts if name in SHOWN else name]
    table = count.table
    statement = select(table.id, table.call_id).where(table.unit_id == unit_id, table.day == day, count.where())
    if queue:
        statement = statement.where(table.queue == queue)
    if agent is not None:
        statement = statement.where(table.user_id == agent)
    return statement.order_by(table.id.desc())


def shown(figure: Figure, day: str, queue: str = "", agent: int | None = None) -> dict[str, Any]:
    """A figure as feeds and pages carry it."""
    definition = SHOWN[figure.name]
    of_queue = f"&queue={quote_plus(queue)}" if queue else ""
    of_agent = f"&agent={agent}" if agent is not None else ""
    return {
        "value": figure.value, "kind": definition.kind, "num": round(figure.num, 3), "den": round(figure.den, 3), "formula": definition.formula,
        "title": definition.title, "href": f"/calls?figure={figure.name}&day={day}{of_queue}{of_agent}",
    }  # fmt: skip
