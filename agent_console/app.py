"""The agent's console: the desk page, and the commands an agent gives. A command asks; what happened comes back by the feed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy import func, insert, select, update

from agent_console.projection import Desks
from agent_console.sip_proxy import SipProxy
from crm_core.customers import Customers
from crm_core.kernel.access import Principal, Scope, Thing, may, reach
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import Conflict, NotAllowed, NotFound, Unavailable
from crm_core.web.api import Routes
from crm_core.web.ask import Ask, read_id
from crm_core.web.pages import Pages
from cti.links import Links, Wanted
from cti.ports import Capability, PbxRefused
from cti.services.seats import Seats
from cti.storage import Call, CallNote, PauseReason, SeatSession, Segment

NOTE_MAX = 20_000
REASON_MAX = 20


class SeatSignIn(msgspec.Struct, forbid_unknown_fields=True):
    """Where to sit, and how to begin: ready, or paused with a reason."""

    seat_id: str
    state: str = "ready"
    reason: str = ""
    phone: str = "browser"
    take_over: bool = False


class SeatWish(msgspec.Struct, forbid_unknown_fields=True):
    """Ready, or paused with a reason; while busy it is the next state."""

    state: str
    reason: str = ""


class PhoneOut(msgspec.Struct):
    """What the browser phone registers with. The secret is good for this sitting only."""

    extension: str
    secret: str
    realm: str
    path: str


class SeatOut(msgspec.Struct):
    """A seat and who sits there."""

    id: str
    extension: str
    name: str
    phone: str
    taken_by: str


class SeatList(msgspec.Struct):
    """All seats of the unit."""

    seats: list[SeatOut]


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """The whole text of one's notes on a call."""

    text: str


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a call is with."""

    customer_id: str


class Dial(msgspec.Struct, forbid_unknown_fields=True):
    """A number to dial, by the identifier of the customer's contact point."""

    contact_point_id: str


class AgentWeb:
    """The handlers of the agent's console."""

    def __init__(
        self, pages: Pages, database: Database, clock: Clock, new_id: Callable[[], int], seats: Seats, links: Links, desks: Desks, customers: Customers,
        sip: SipProxy, realm: Callable[[int], str], day: Callable[[int, int], Awaitable[dict[str, Any]]],
    ) -> None:  # fmt: skip
        self._pages, self._db, self._clock, self._new_id = pages, database, clock, new_id
        self._seats, self._links, self._desks, self._customers, self._sip = seats, links, desks, customers, sip
        self._realm, self._day = realm, day

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        seat = ("seat", "use")
        routes.page("/", self.desk, right=None, summary="The desk; people without one go to what they may see")
        routes.page("/sip", self._sip.serve, right=seat, summary="The browser phone's SIP WebSocket")
        routes.api("GET", "/seats", self.seats_api, right=seat, summary="Seats and who sits there", gives=SeatList)
        routes.api("POST", "/seat/sign-in", self.sign_in, right=seat, summary="Sit down", takes=SeatSignIn)
        routes.api("POST", "/seat/sign-out", self.sign_out, right=seat, summary="Get up")
        routes.api("POST", "/seat/state", self.state, right=seat, summary="Ready or paused, now or next", takes=SeatWish)
        routes.api("POST", "/seat/finish", self.finish, right=seat, summary="End the wrap-up")
        routes.api("GET", "/phone", self.phone, right=seat, summary="What the browser phone registers with", gives=PhoneOut)
        routes.api("POST", "/dial", self.dial, right=("number", "dial"), summary="Call a customer's number", takes=Dial)
        routes.api("POST", "/calls/{id}/hang-up", self.hang_up, right=("call", "control"), summary="Hang up the own call")
        routes.api("PUT", "/calls/{id}/notes", self.note, right=("call", "note"), summary="Keep one's notes on a call", takes=Note)
        routes.api(
            "PUT", "/calls/{id}/customer", self.choose, right=("call", "note"), summary="Say whom a call is with", takes=Choice
        )

    # --------------------------------------------------------------------------------------------------------------- pages

    async def desk(self, ask: Ask) -> web.StreamResponse:
        """The desk."""
        person = ask.principal
        if reach(person, "use", "seat") is Scope.NONE:
            return web.Response(status=303, headers={"Location": "/floor" if reach(person, "see", "floor") else "/calls"})
        feed = self._desks.feed(person.unit_id, person.user_id)
        feed.change("figures.changed", [("day", "me", await self._day(person.unit_id, person.user_id))])
        seats = [
            {"id": str(s.id), "extension": s.extension, "name": s.name, "phone": s.phone, "taken_by": t.user_name if t else ""}
            for s, t in await self._seats.free_seats(person)
        ]
        return self._pages.render(
            ask, "desk.html", feeds={"desk": {"cursor": feed.cursor, "state": feed.state}}, seats=seats, pause_reasons=await self._reasons(ask),
            last_seat=await self._last_seat(person),
        )  # fmt: skip

    async def _reasons(self, ask: Ask) -> list[dict[str, Any]]:
        async with self._db.read() as db:
            rows = await db.execute(
                select(PauseReason.__table__).where(PauseReason.unit_id == ask.principal.unit_id).order_by(PauseReason.position)
            )
            return [
                {"code": r["code"], "title": r["title_en"] if ask.lang == "en" else r["title"], "limit_s": r["limit_s"]}
                for r in rows.mappings()
            ]

    async def _last_seat(self, person: Principal) -> str:
        async with self._db.read() as db:
            newest = (
                select(SeatSession.seat_id)
                .where(SeatSession.user_id == person.user_id)
                .order_by(SeatSession.signed_in_at.desc())
                .limit(1)
            )
            found = (await db.execute(newest)).scalar()
        return str(found) if found else ""

    # ---------------------------------------------------------------------------------------------------------------- seat

    async def seats_api(self, ask: Ask) -> SeatList:
        """Seats and who sits there."""
        return SeatList(
            [
                SeatOut(str(s.id), s.extension, s.name, s.phone, t.user_name if t else "")
                for s, t in await self._seats.free_seats(ask.principal)
            ]
        )

    async def sign_in(self, ask: Ask) -> None:
        """Sit down."""
        wish = await ask.body(SeatSignIn)
        await self._seats.sign_in(
            ask.principal, read_id(wish.seat_id, "seat_id"), state=_state(wish.state), reason=_kept(wish.reason, REASON_MAX), take_over=wish.take_over, address=ask.address,
        )  # fmt: skip

    async def sign_out(self, ask: Ask) -> None:
        """Get up."""
        await self._seats.sign_out(ask.principal.user_id)

    async def state(self, ask: Ask) -> None:
        """Ready or paused."""
        wish = await ask.body(SeatWish)
        self._seats.want(ask.principal.user_id, _state(wish.state), _kept(wish.reason, REASON_MAX))

    async def finish(self, ask: Ask) -> None:
        """End the wrap-up."""
        self._seats.finish(ask.principal.user_id)

    async def phone(self, ask: Ask) -> PhoneOut:
        """What the browser phone registers with."""
        s = self._seats.of_user(ask.principal.user_id)
        if s is None or s.phone != "browser":
            raise Conflict("not_seated", "You are not signed in to a seat.")
        return PhoneOut(extension=s.extension, secret=s.secret, realm=self._realm(s.pbx_id), path="/sip")

    # --------------------------------------------------------------------------------------------------------------- calls

    async def dial(self, ask: Ask) -> None:
        """Ring the own seat, then the customer's number."""
        wish = await ask.body(Dial)
        s = self._seats.of_user(ask.principal.user_id)
        if s is None:
            raise Conflict("not_seated", "You are not signed in to a seat.")
        line = self._seats.lines[s.pbx_id]
        if not line.driver.capabilities & Capability.ORIGINATE:
            raise Conflict("cannot_dial", "This phone system can't dial for you. Dial on the phone.")
        customer_id, key = await self._customers.dialable(ask.principal, read_id(wish.contact_point_id, "contact_point_id"))
        self._links.expect(s.pbx_id, s.extension, Wanted(number=key, customer_id=customer_id))
        try:
            await line.driver.originate(
                extension=s.extension, number=key.removeprefix("+"), caller_id=s.extension, leg=f"lingxi-{self._new_id()}"
            )
        except PbxRefused as refusal:
            self._links.expect(s.pbx_id, s.extension, None)
            raise Unavailable("pbx_refused", "The phone system refused: {why}", why=refusal.sentence) from refusal

    async def hang_up(self, ask: Ask) -> None:
        """Hang up the call on the own desk."""
        call_id = ask.number("id")
        s = self._seats.of_user(ask.principal.user_id)
        if s is None or self._desks.call_row(ask.principal.user_id, call_id) is None:
            raise NotFound("no_such_call", "This call is over, or not yours.")
        line = self._seats.lines[s.pbx_id]
        leg = next((part.leg for part in line.board.at_extension(s.extension) if part.call_id == call_id), None)
        if leg is None:
            raise NotFound("no_such_call", "This call is over, or not yours.")
        try:
            await line.driver.hang_up(leg)
        except PbxRefused as refusal:
            raise Unavailable("pbx_refused", "The phone system refused: {why}", why=refusal.sentence) from refusal

    async def note(self, ask: Ask) -> None:
        """Keep the text; the last one saved counts."""
        call_id, note = ask.number("id"), await ask.body(Note)
        person = ask.principal
        await self._must_own(person, call_id)
        text = _kept(note.text, NOTE_MAX)
        now = self._clock.now()
        async with self._db.begin() as db:
            there = await db.execute(
                update(CallNote)
                .where(CallNote.call_id == call_id, CallNote.user_id == person.user_id)
                .values(text=text, changed_at=now)
            )
            if there.rowcount == 0:
                row = {
                    "id": self._new_id(),
                    "unit_id": person.unit_id,
                    "call_id": call_id,
                    "user_id": person.user_id,
                    "text": text,
                    "changed_at": now,
                }
                await db.execute(insert(CallNote).values(row))
        self._desks.note(person, call_id, text)

    async def choose(self, ask: Ask) -> None:
        """Say whom a call is with."""
        call_id, choice = ask.number("id"), await ask.body(Choice)
        await self.link(ask.principal, read_id(choice.customer_id, "customer_id"), call_id)

    async def link(self, person: Principal, customer_id: int, call_id: int) -> None:
        """Hang a call of one's own on a customer one may see."""
        pbx_id = await self._must_own(person, call_id)
        await self._customers.exists(person, customer_id)
        await self._links.choose(person.unit_id, pbx_id, call_id, customer_id, person.user_id)

    async def link_new(self, person: Principal, customer_id: int, call_id: int) -> None:
        """A customer was made out of a call: hang the call on it, and show the card."""
        await self.link(person, customer_id, call_id)
        await self._links.look_again(call_id)

    async def number_of_call(self, person: Principal, call_id: int) -> str:
        """The outside number of a call of one's own, whole: for a new customer, never for the screen."""
        await self._must_own(person, call_id)
        known = self._links.known.get(call_id)
        if known is not None:
            return known.key if known.kind in ("outside", "odd") else ""
        async with self._db.read() as db:
            return str((await db.execute(select(Call.caller_key).where(Call.id == call_id))).scalar() or "")

    async def _must_own(self, person: Principal, call_id: int) -> int:
        """The PBX of a call on the person's desk, or of a past one they had. Raises NotFound."""
        s = self._seats.of_user(person.user_id)
        if s is not None and self._desks.call_row(person.user_id, call_id) is not None:
            return s.pbx_id
        async with self._db.read() as db:
            row = (await db.execute(select(Call.pbx_id, Call.unit_id).where(Call.id == call_id))).one_or_none()
            if row is None:
                raise NotFound("no_such_call", "This call is over, or not yours.")
            mine = select(func.count()).select_from(Segment).where(Segment.call_id == call_id, Segment.user_id == person.user_id)
            own = (await db.execute(mine)).scalar_one() > 0
        if not may(person, "note", Thing(kind="call", unit_id=row.unit_id, owner_id=person.user_id if own else None)):
            raise NotAllowed("not_allowed", "You may not do this.")
        return int(row.pbx_id)


def _kept(text: str, longest: int) -> str:
    """A text from outside without what no database takes."""
    return text.replace("\x00", "")[:longest]


def _state(state: str) -> str:
    return "paused" if state == "paused" else "ready"
