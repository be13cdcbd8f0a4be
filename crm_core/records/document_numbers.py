"""Document numbers by rule: "T-{yyyy}{mm}-{n:05}" gives T-202605-00042.

A number is taken inside the transaction that writes its record: one that fails gives it back, so there are no holes, and of two that
come at once the second waits, so there are no doubles. The count begins anew with each period that the rule's date parts make.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from crm_core.kernel.db import table_of
from crm_core.records.storage import DocumentNumber

_PART = re.compile(r"\{(yyyy|yy|mm|dd|n(?::0?(\d))?)\}")
_TABLE = table_of(DocumentNumber)


def check_rule(rule: str) -> None:
    """Raises ValueError for a rule that makes no numbers."""
    bare = _PART.sub("", rule)
    if not re.search(r"\{n(?::0?\d)?\}", rule) or "{" in bare or "}" in bare or len(rule) > 40:
        raise ValueError(f"a rule of numbers has one {{n}}, and {{yyyy}}, {{yy}}, {{mm}}, {{dd}} where wished: {rule}")


def period_of(rule: str, at: float, zone: str) -> str:
    """The period an instant is in: as long as the rule's finest date part."""
    then = datetime.fromtimestamp(at, ZoneInfo(zone))
    if "{dd}" in rule:
        return then.strftime("%Y%m%d")
    if "{mm}" in rule:
        return then.strftime("%Y%m")
    return then.strftime("%Y") if "{yy" in rule else ""


def written(rule: str, n: int, at: float, zone: str) -> str:
    """The n-th number of a rule at an instant."""
    then = datetime.fromtimestamp(at, ZoneInfo(zone))
    dates = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d"}

    def part(found: re.Match[str]) -> str:
        return then.strftime(dates[found[1]]) if found[1] in dates else f"{n:0{found[2] or 1}}"

    return _PART.sub(part, rule)


def take(db: Connection, *, unit_id: int, kind: str, rule: str, at: float, zone: str, new_id: Callable[[], int]) -> str:
    """The next number, in the caller's transaction."""
    return take_many(db, 1, unit_id=unit_id, kind=kind, rule=rule, at=at, zone=zone, new_id=new_id)[0]


def take_many(
    db: Connection, many: int, *, unit_id: int, kind: str, rule: str, at: float, zone: str, new_id: Callable[[], int]
) -> list[str]:
    """The next numbers in a row, at least one, in the caller's transaction."""
    period = period_of(rule, at, zone)
    here = (_TABLE.c.unit_id == unit_id) & (_TABLE.c.kind == kind) & (_TABLE.c.period == period)
    if not db.execute(update(_TABLE).where(here).values(last=_TABLE.c.last + many)).rowcount:
        with_first = {"id": new_id(), "unit_id": unit_id, "kind": kind, "period": period, "last": many}
        if db.dialect.name == "postgresql":  # two first ones of a period may meet
            from sqlalchemy.dialects.postgresql import insert as insert_pg

            made = insert_pg(_TABLE).values(with_first)
            further = {"last": _TABLE.c.last + many}
            db.execute(made.on_conflict_do_update(index_elements=["unit_id", "kind", "period"], set_=further))
        else:
            db.execute(insert(_TABLE).values(with_first))
    last = db.execute(select(_TABLE.c.last).where(here)).scalar_one()
    return [written(rule, n, at, zone) for n in range(last - many + 1, last + 1)]
