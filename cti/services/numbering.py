"""Display numbers of calls (C-20261122-00481): given in the background, in order of booking, one line a unit and day without holes.

People read these to one another; programs use the identifier. One worker gives them, so that none is given twice.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from sqlalchemy import Connection, bindparam, func, select, update

from crm_core.kernel.bus import Bus
from crm_core.kernel.db import Database, table_of
from cti.events import CallBooked
from cti.services.hearing import hear
from cti.storage import Call

log = structlog.get_logger(__name__)
BATCH = 1000


class Numbering:
    """Gives numbers to calls that have none."""

    def __init__(self, bus: Bus, database: Database) -> None:
        self._db = database
        self._wake = asyncio.Event()
        self._wake.set()
        hear(bus, CallBooked, lambda _: self._wake.set())

    async def run(self) -> None:
        """Number what was booked, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(0.5)
            try:
                more = True
                while more:
                    more = await self.number_some()
            except Exception as error:
                log.warning("calls could not be numbered", why=type(error).__name__)
                await asyncio.sleep(2)
                self._wake.set()

    async def number_some(self) -> bool:
        """Number up to BATCH calls; True if there may be more."""
        return await self._db.write(_number_some) == BATCH


_CALLS: Final = table_of(Call)
_LEFT: Final = select(Call.id, Call.unit_id, Call.day).where(Call.number == "").order_by(Call.id).limit(BATCH)
_GIVEN: Final = select(func.count()).where(Call.unit_id == bindparam("unit"), Call.day == bindparam("of_day"), Call.number != "")
_GIVE: Final = update(_CALLS).where(_CALLS.c.id == bindparam("call")).values(number=bindparam("as"))


def _number_some(db: Connection) -> int:
    rows = db.execute(_LEFT).all()
    counts = {
        (unit_id, day): db.execute(_GIVEN, {"unit": unit_id, "of_day": day}).scalar_one()
        for unit_id, day in {(row.unit_id, row.day) for row in rows}
    }
    values = []
    for row in rows:
        counts[(row.unit_id, row.day)] += 1
        values.append({"call": row.id, "as": f"C-{row.day.replace('-', '')}-{counts[(row.unit_id, row.day)]:05}"})
    if values:
        db.execute(_GIVE, values)
    return len(rows)
