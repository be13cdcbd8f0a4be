"""Live figures: whenever the books change, today's figures are read again and handed on; many changes at once cost one reading.

On a failure everything that was due stays due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from time import monotonic

import structlog

from crm_core.days import day_of
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from cti.events import CallBooked, WrapUpBooked
from cti.figures.day import DayFigures, day_figures
from cti.services.hearing import hear

log = structlog.get_logger(__name__)
GATHER_S = 0.3
BREATHS = 20  # the time between two readings, in times of what the last one took
Tell = Callable[[int, str, DayFigures, Collection[int] | None], None]


class LiveFigures:
    """Keeps today's figures of every unit fresh. What is read anew are the queues, and the agents whose calls were booked."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, zone: Callable[[int], str], tell: Tell) -> None:
        self._db, self._clock, self._zone, self._tell = database, clock, zone, tell
        self._due: dict[int, set[int]] = {}
        self._wake = asyncio.Event()
        self.latest: dict[int, tuple[str, DayFigures]] = {}
        hear(bus, CallBooked, lambda event: self.want(event.unit_id, event.user_ids))
        hear(bus, WrapUpBooked, lambda event: self.want(event.unit_id, (event.user_id,)))

    def want(self, unit_id: int, agents: Iterable[int] = ()) -> None:
        """Read this unit's figures soon; of agents, those named and those named before."""
        self._due.setdefault(unit_id, set()).update(agents)
        self._wake.set()

    async def run(self) -> None:
        """Read what is due, for ever; and once a minute everything known, for the change of day."""
        took_s = 0.0
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), 60)
            except TimeoutError:
                for unit_id in self.latest:
                    self.want(unit_id)
            self._wake.clear()
            await asyncio.sleep(max(GATHER_S, BREATHS * took_s))
            due, self._due = self._due, {}
            began = monotonic()
            for unit_id, agents in due.items():
                try:
                    await self._read(unit_id, agents)
                except Exception as error:
                    log.warning("the figures could not be read", unit_id=unit_id, why=type(error).__name__)
                    self.want(unit_id, agents)
                    await asyncio.sleep(1)
            took_s = monotonic() - began

    async def _read(self, unit_id: int, agents: set[int]) -> None:
        day = day_of(self._clock.now(), self._zone(unit_id))
        before = self.latest.get(unit_id)
        fresh = agents if before is not None and before[0] == day else None
        figures = await self._db.look(lambda db: day_figures(db, unit_id, day, fresh))
        if before is not None and fresh is not None:
            figures.agents = {**before[1].agents, **figures.agents}
        self.latest[unit_id] = (day, figures)
        self._tell(unit_id, day, figures, fresh)
