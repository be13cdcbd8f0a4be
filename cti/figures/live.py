"""Live figures: whenever the books change, today's figures are read again and handed on; many changes at once cost one reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from crm_core.days import day_of
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from cti.events import CallBooked, WrapUpBooked
from cti.figures.day import DayFigures, day_figures

log = structlog.get_logger(__name__)
GATHER_S = 0.3
Tell = Callable[[int, str, DayFigures], None]


class LiveFigures:
    """Keeps today's figures of every unit fresh."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, zone: Callable[[int], str], tell: Tell) -> None:
        self._db, self._clock, self._zone, self._tell = database, clock, zone, tell
        self._due: set[int] = set()
        self._wake = asyncio.Event()
        self.latest: dict[int, tuple[str, DayFigures]] = {}
        bus.subscribe("unit.*.pbx.*.call.booked", self._hear)
        bus.subscribe("unit.*.pbx.*.call.wrap_up_booked", self._hear)

    def _hear(self, _topic: str, event: object) -> None:
        if isinstance(event, CallBooked | WrapUpBooked):
            self.want(event.unit_id)

    def want(self, unit_id: int) -> None:
        """Read this unit's figures soon."""
        self._due.add(unit_id)
        self._wake.set()

    async def run(self) -> None:
        """Read what is due, for ever; and once a minute everything known, for the change of day."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), 60)
            except TimeoutError:
                self._due |= set(self.latest)
            self._wake.clear()
            await asyncio.sleep(GATHER_S)
            due, self._due = self._due, set()
            for unit_id in due:
                try:
                    await self._read(unit_id)
                except Exception as error:
                    log.warning("the figures could not be read", unit_id=unit_id, why=type(error).__name__)
                    self._due.add(unit_id)
                    await asyncio.sleep(1)
                    self._wake.set()

    async def _read(self, unit_id: int) -> None:
        day = day_of(self._clock.now(), self._zone(unit_id))
        async with self._db.read() as db:
            figures = await day_figures(db, unit_id, day)
        self.latest[unit_id] = (day, figures)
        self._tell(unit_id, day, figures)
