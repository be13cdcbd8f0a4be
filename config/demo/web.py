"""The demo's own page: send a caller in, and see who is on the way. Only there when the demo runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import web
from sqlalchemy import select

from crm_core.customers import Customers
from crm_core.entities.people import ContactPoint
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotFound, Refusal
from crm_core.numbers import mask
from crm_core.web.api import Routes
from crm_core.web.ask import Ask, read_id
from crm_core.web.pages import NavItem, Pages
from cti.storage import InwardNumber, Queue

RIGHT = ("call", "see")
SAYINGS = ("tone", "speech", "silence")


class DemoCall(msgspec.Struct, forbid_unknown_fields=True):
    """A caller: a customer's number or any, "" = withheld; what they dial; how long they stay; what they say (tone, speech, silence)."""

    dial: str
    number: str = ""
    customer_id: str = ""
    wait_s: float = 30.0
    say: str = "speech"


class Simulator(Protocol):
    """What places the calls."""

    running: list[dict[str, Any]]

    async def call(self, *, number: str, to: str, hold_s: float, say: Path | None = None, name: str = "") -> None: ...

    def sound(self, what: str) -> Path | None: ...


class DemoWeb:
    """The handlers of the demo."""

    def __init__(self, pages: Pages, database: Database, customers: Customers, simulator: Simulator) -> None:
        self._pages, self._db, self._customers, self._simulator = pages, database, customers, simulator
        pages.nav.append(NavItem("demo", "/demo", "Simulate a call", "demo", RIGHT))

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        routes.page("/demo", self.page, right=RIGHT, summary="Send a caller in")
        routes.api("POST", "/demo/call", self.call, right=RIGHT, summary="Send a caller in", takes=DemoCall)

    async def page(self, ask: Ask) -> web.Response:
        """The form, with some customers to choose from and who is on the way."""
        found = await self._customers.page(ask.principal, ask.query("q"), "", "name", 1)
        async with self._db.read() as db:
            rows = await db.execute(
                select(InwardNumber.number, Queue.title, Queue.title_en).join(Queue, Queue.id == InwardNumber.queue_id)
                .where(InwardNumber.unit_id == ask.principal.unit_id).order_by(InwardNumber.id)
            )  # fmt: skip
            numbers = [{"number": r.number, "title": r.title_en if ask.lang == "en" else r.title} for r in rows]
        return self._pages.render(
            ask,
            "demo.html",
            customers=found.rows[:20],
            numbers=numbers,
            sayings=SAYINGS,
            running=[self._shown(r) for r in self._simulator.running],
        )

    @staticmethod
    def _shown(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "number": mask(str(entry["number"]))}

    async def call(self, ask: Ask) -> None:
        """Send the caller in."""
        wish = await ask.body(DemoCall)
        if wish.say not in SAYINGS:
            raise Refusal("wrong_saying", "There is no sound {name}.", name=wish.say[:20])
        if not 1 <= wish.wait_s <= 600:
            raise Refusal("wrong_wait", "A caller stays 1 to 600 seconds.")
        number = wish.number.strip()
        if wish.customer_id:
            number = await self._number_of(ask, read_id(wish.customer_id, "customer_id"))
        await self._dialable(ask, wish.dial)
        try:
            await self._simulator.call(number=number, to=wish.dial, hold_s=wish.wait_s, say=self._simulator.sound(wish.say))
        except ValueError as error:
            raise Refusal("wrong_number", "{number} is no telephone number.", number=number[:40]) from error

    async def _number_of(self, ask: Ask, customer_id: int) -> str:
        await self._customers.exists(ask.principal, customer_id)
        async with self._db.read() as db:
            first = select(ContactPoint.written).where(ContactPoint.customer_id == customer_id).order_by(ContactPoint.id).limit(1)
            written = (await db.execute(first)).scalar()
        if written is None:
            raise NotFound("no_number", "This customer has no number.")
        return str(written)

    async def _dialable(self, ask: Ask, dialed: str) -> None:
        async with self._db.read() as db:
            there = select(InwardNumber.id).where(InwardNumber.unit_id == ask.principal.unit_id, InwardNumber.number == dialed)
            if (await db.execute(there)).first() is None:
                raise Refusal("wrong_dial", "{number} is no number of this centre.", number=dialed[:40])
