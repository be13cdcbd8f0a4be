"""Display numbers of calls (C-20261122-00481): given in the background, in order of booking, one line a unit and day without holes.

People read these to one another; programs use the identifier. One worker gives them, so that none is given twice.
"""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import bindparam, func, select, update

from crm_core.kernel.bus import Bus
from crm_core.kernel.db import Database
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
        async with self._db.begin() as db:
            left = select(Call.id, Call.unit_id, Call.day).where(Call.number == "").order_by(Call.id).limit(BATCH)
            rows = (await db.execute(left)).all()
            if not rows:
                return False
            counts: dict[tuple[int, str], int] = {}
            for unit_id, day in {(r.unit_id, r.day) for r in rows}:
                given = select(func.count()).select_from(Call).where(Call.unit_id == unit_id, Call.day == day, Call.number != "")
                counts[(unit_id, day)] = (await db.execute(given)).scalar_one()
            values = []
            for row in rows:
                counts[(row.unit_id, row.day)] += 1
                values.append({"call": row.id, "as": f"C-{row.day.replace('-', '')}-{counts[(row.unit_id, row.day)]:05}"})
            await db.execute(update(Call).where(Call.id == bindparam("call")).values(number=bindparam("as")), values)
        return len(rows) == BATCH
