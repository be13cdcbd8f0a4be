"""A driver and a board joined as the product joins them, with all that was said kept for a test to look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from cti.domain.board import CallBoard
from cti.events import CallEnded, CallFact, DomainEvent
from cti.pbx_events import LinkDown, LinkUp, PbxEvent
from cti.ports import PbxDriver, PbxRefused


class Watch:
    """Feeds a board from a driver; takes a snapshot after each LinkUp heard live."""

    def __init__(self, driver: PbxDriver) -> None:
        self.driver = driver
        self.board = CallBoard(1, 1, "", count(1).__next__)
        self.heard: list[PbxEvent] = []
        self.said: list[DomainEvent] = []
        self.rebuilt = 0
        self.position = ""
        self.joined = 0
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        async for batch in self.driver.run():
            self.heard += batch.events
            self.rebuilt += len(batch.events) if batch.rebuilt else 0
            for event in batch.events:
                self.said += self.board.apply(event)
            self.position = batch.position
            if any(isinstance(event, LinkUp) for event in batch.events) and not batch.rebuilt:
                try:
                    self.said += self.board.reconcile(await self.driver.snapshot())
                    self.joined += 1
                except PbxRefused:
                    pass
            async with self._changed:
                self._changed.notify_all()

    async def until(self, what: object, timeout: float = 15.0) -> None:
        """Wait for a condition (a callable) to hold, looked at after each batch."""
        assert callable(what)
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(what)

    def of(self, kind: type[DomainEvent]) -> list[DomainEvent]:
        return [event for event in self.said if isinstance(event, kind)]

    @property
    def facts(self) -> list[CallFact]:
        return [event.fact for event in self.said if isinstance(event, CallEnded)]

    @property
    def downs(self) -> list[str]:
        return [event.why for event in self.heard if isinstance(event, LinkDown)]


@asynccontextmanager
async def watching(driver: PbxDriver, *, join: bool = True) -> AsyncIterator[Watch]:
    """Watch for as long as the block runs, then close the driver; its run must end by itself."""
    watch = Watch(driver)
    task = asyncio.create_task(watch.run())
    try:
        if join:
            await watch.until(lambda: watch.joined)
        yield watch
    finally:
        await driver.close()
        async with asyncio.timeout(5):
            await asyncio.gather(task, return_exceptions=True)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        raise error
