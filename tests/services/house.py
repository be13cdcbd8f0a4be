"""A small house for the services of telephony: the demo's rows, the bus, the books, seats, links and call books, with a clock that tests
move and a line to the PBX that only remembers what it was told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from crm_core.entities.org import User
from crm_core.kernel.access import Principal
from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import ManualClock
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker
from crm_core.lookup import open_lookup
from crm_core.numbers import NumberRules
from crm_core.signin import principal_of
from cti.domain.board import CallBoard
from cti.events import CallAnswered, CallOffered, DomainEvent, SeatLeftCall
from cti.links import Links
from cti.ports import Member, PbxUnreachable
from cti.services.books import Books
from cti.services.call_books import CallBooks
from cti.services.directory import Directory
from cti.services.lines import topic
from cti.services.seats import Seats
from cti.services.sitting import Sitting
from cti.storage import Pbx, Seat
from tests.web.program import NOON


@dataclass
class FakeDriver:
    """The driver's part that seats use."""

    away: bool = False
    secrets: dict[str, str] = field(default_factory=dict)

    async def set_phone_secret(self, extension: str, secret: str) -> None:
        await asyncio.sleep(0.02)  # the PBX takes its time; others may ask meanwhile
        if self.away:
            raise PbxUnreachable("nobody answers")
        self.secrets[extension] = secret


@dataclass
class FakeLine:
    """A line that remembers the members it was told."""

    driver: FakeDriver = field(default_factory=FakeDriver)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    told: list[tuple[str, str, bool | None]] = field(default_factory=list)
    replaying: bool = False
    board: CallBoard = field(default_factory=lambda: CallBoard(1, 1, "", iter(range(1)).__next__, lambda _: None))

    def want_members(self, members: Sequence[Member]) -> None:
        for member in members:
            self.members[(member.queue, member.extension)] = member
            self.told.append((member.queue, member.extension, member.paused))

    def drop_member(self, queue: str, extension: str) -> None:
        self.members.pop((queue, extension), None)
        self.told.append((queue, extension, None))

    def open_for(self, extension: str) -> set[str]:
        """The queues that may offer calls to this seat."""
        return {queue for (queue, e), member in self.members.items() if e == extension and not member.paused}


class House:
    """The services, wired."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database, self.clock = database, clock
        self.new_id = IdMaker(clock, node=7)
        self.bus, self.books = MemoryBus(), Books(database)
        self.events: list[DomainEvent] = []
        self.bus.subscribe("unit", lambda _, event: self.events.append(event))  # type: ignore[arg-type, return-value]
        self.seats = Seats(database, self.books, self.bus, clock, self.new_id, 20)
        self.line = FakeLine()
        self.rules = NumberRules(area_code="0571")
        self.directory = Directory(database, self.rules)
        self.unit_id = self.pbx_id = 0

    async def open(self) -> None:
        """Load everything and begin to write."""
        pbx = (await self.rows(select(Pbx.__table__).where(Pbx.name == "demo")))[0]
        self.unit_id, self.pbx_id = pbx["unit_id"], pbx["id"]
        self.seats.lines = {self.pbx_id: self.line}  # type: ignore[dict-item]
        await self.directory.load()
        self.lookup = open_lookup(self.database)
        self.links = Links(self.bus, self.lookup, self.database, self.clock, self.new_id, self.directory.rules)
        self.call_books = CallBooks(
            self.bus, self.books, self.clock, self.new_id, self.seats, self.links, zones=self.directory.zone, rules=self.directory.rules,
            limits=self.directory.limits,
        )  # fmt: skip
        await self.seats.load()

    async def rows(self, statement: Any) -> list[dict[str, Any]]:
        """Look into the database, once everything is written."""
        await self.books.settled()
        async with self.database.read() as db:
            return [dict(row) for row in (await db.execute(statement)).mappings()]

    async def person(self, login: str) -> Principal:
        """Somebody with their rights."""
        user = (await self.rows(select(User.id).where(User.login == login)))[0]
        async with self.database.read() as db:
            return await principal_of(db, user["id"])

    async def seat(self, extension: str) -> int:
        """A seat's identifier."""
        return int((await self.rows(select(Seat.id).where(Seat.extension == extension, Seat.pbx_id == self.pbx_id)))[0]["id"])

    async def sit(self, login: str, extension: str, state: str = "ready", reason: str = "", take_over: bool = False) -> Sitting:
        """Somebody sits down."""
        return await self.seats.sign_in(
            await self.person(login), await self.seat(extension), state=state, reason=reason, take_over=take_over
        )

    def say(self, event: type[DomainEvent], **fields: Any) -> None:
        """Something happened at the PBX, now."""
        made = event(**{"unit_id": self.unit_id, "pbx_id": self.pbx_id, "at": self.clock.now(), **fields})
        self.bus.publish(topic(made), made)

    def ring(self, extension: str, call_id: int, queue: str = "support") -> None:
        """A queue rings a seat."""
        from cti.events import Direction

        self.say(
            CallOffered, call_id=call_id, offer_id=call_id + 1, extension=extension, queue=queue, caller="13900007777", caller_name="",
            direction=Direction.INBOUND, waited_s=1.0,
        )  # fmt: skip

    def answer(self, extension: str, call_id: int, queue: str = "support") -> None:
        """The seat picked up."""
        self.say(CallAnswered, call_id=call_id, extension=extension, queue=queue)

    def leave(self, extension: str, call_id: int, queue: str = "support", talked: bool = True) -> None:
        """The seat's part is over."""
        self.say(SeatLeftCall, call_id=call_id, extension=extension, queue=queue, talked=talked, hung_up_by_seat=False)

    def wrap_up_passes(self, sitting: Sitting) -> None:
        """Time goes on to the end of the wrap-up, and its timer fires."""
        assert sitting.timer is not None and sitting.wrap_up_ends is not None
        self.clock.pass_time(sitting.wrap_up_ends - self.clock.now())
        sitting.timer.cancel()
        self.seats._wrap_up_due(sitting)

    async def close(self) -> None:
        """Let go."""
        for sitting in self.seats.all():
            if sitting.timer is not None:
                sitting.timer.cancel()
        await self.lookup.close()


@asynccontextmanager
async def house(filled: Path, folder: Path, clock: ManualClock | None = None, again: Sequence[House] = ()) -> AsyncIterator[House]:
    """The services on a copy of the rows; `again`: on the database of another house, as after a restart."""
    path = folder / "house.sqlite3"
    if not again:
        shutil.copy(filled, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    made = House(database, clock or (again[0].clock if again else ManualClock(NOON)))
    work = [asyncio.create_task(made.bus.run()), asyncio.create_task(made.books.run())]
    try:
        await made.open()
        yield made
        await made.books.settled()
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await made.close()
        await database.close()
