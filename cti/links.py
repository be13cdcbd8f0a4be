"""Where calls meet customers: who a call's outside party may be, and which customer a finished call belongs to.

The look-up begins when the call does, so that it is mostly over before a seat rings. It never delays anything: what it finds is
published as CallerKnown, at once where the answer is at hand and else whenever it is there. Of a call that the PBX makes for somebody at a seat it is told beforehand whom it calls,
since the PBX says so only when it dials; no other number is believed to be one of our own extensions than that of an internal call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, delete, select

from crm_core.entities.people import Customer
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.lookup import NumberLookup
from crm_core.matches import Match
from crm_core.numbers import Number, NumberRules, read
from cti.events import CallAnswered, CallEnded, CallerKnown, CallEvent, CallLinked, CallOffered, CallStarted, Direction
from cti.services.books import change_rows, insert_rows
from cti.services.hearing import hear
from cti.services.lines import topic
from cti.storage import CallLink

log = structlog.get_logger(__name__)
CUSTOMER = "customer"
KEPT_S = 600.0
"""So long after a call's end it is known whom it was with, for those who look at it then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom somebody at a seat wants to be connected with: a number of a customer."""

    number: str
    customer_id: int


class Links:
    """Knows the callers of the calls that are alive."""

    def __init__(
        self,
        bus: Bus,
        lookup: NumberLookup,
        database: Database,
        clock: Clock,
        new_id: Callable[[], int],
        rules: Callable[[int], NumberRules],
    ) -> None:
        self._bus, self._lookup, self._db, self._clock, self._new_id, self._rules = bus, lookup, database, clock, new_id, rules
        self.known: dict[int, CallerKnown] = {}
        self.chosen: dict[int, int] = {}
        self.dialled: dict[int, str] = {}  # for a seat, as people write it
        self._begun: set[int] = set()
        self._wanted: dict[tuple[int, str], Wanted] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        hear(bus, CallStarted, self._started)
        hear(bus, CallOffered, self._offered)
        hear(bus, CallAnswered, self._called_for)
        hear(bus, CallEnded, lambda event: self._forget_later(event.call_id))

    def expect(self, pbx_id: int, extension: str, wanted: Wanted | None) -> None:
        """The PBX is about to ring this seat and to call for it; None: it won't after all."""
        self._wanted.pop((pbx_id, extension), None)
        if wanted is not None:
            self._wanted[(pbx_id, extension)] = wanted

    def _started(self, event: CallStarted) -> None:
        if event.direction is not Direction.OUTBOUND:
            self._begin(event, event.caller, event.direction)
        elif event.dialed:
            self._begin(event, event.dialed, event.direction)

    def _offered(self, event: CallOffered) -> None:
        if event.direction is Direction.OUTBOUND:
            self._called_for(event)
        else:
            self._begin(event, event.caller, event.direction)

    def _forget_later(self, call_id: int) -> None:
        asyncio.get_running_loop().call_later(KEPT_S, self._forget, call_id)

    def _forget(self, call_id: int) -> None:
        self.known.pop(call_id, None)
        self.chosen.pop(call_id, None)
        self.dialled.pop(call_id, None)
        self._begun.discard(call_id)

    def _called_for(self, event: CallOffered | CallAnswered) -> None:
        """The PBX rings a seat to call for it, or the seat's phone took that without ringing."""
        if event.call_id in self._begun:
            return
        wanted = self._wanted.pop((event.pbx_id, event.extension), None)
        if wanted is not None:
            self.dialled[event.call_id] = read(wanted.number, self._rules(event.unit_id)).national
            self.chosen[event.call_id] = wanted.customer_id
            self._begin(event, wanted.number, Direction.OUTBOUND)
        elif isinstance(event, CallOffered):
            self._begin(event, "", Direction.OUTBOUND)

    def _begin(self, event: CallEvent, raw: str, direction: Direction) -> None:
        if event.call_id in self._begun:
            return
        self._begun.add(event.call_id)
        number = _of_that_side(read(raw, self._rules(event.unit_id)), direction)
        empty = CallerKnown(
            unit_id=event.unit_id, pbx_id=event.pbx_id, at=event.at, call_id=event.call_id, key=number.key, kind=number.kind,
            shown=number.national, matches=(),
        )  # fmt: skip
        if number.kind in ("withheld", "internal"):
            self._tell(empty)
        elif (found := self._found_now(empty)) is not None:
            self._tell(_with(empty, found))
        else:
            self._spawn(self._find(empty))

    def _found_now(self, empty: CallerKnown) -> Sequence[Match] | None:
        try:
            return self._lookup.find_now(empty.unit_id, empty.key)
        except Exception as error:
            log.warning("a caller could not be looked up", call_id=empty.call_id, why=type(error).__name__)
            return ()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find(self, empty: CallerKnown) -> None:
        try:
            matches: Sequence[Match] = await self._lookup.find(empty.unit_id, empty.key)
        except Exception as error:
            log.warning("a caller could not be looked up", call_id=empty.call_id, why=type(error).__name__)
            matches = ()
        self._tell(_with(empty, matches))

    def _tell(self, event: CallerKnown) -> None:
        self.known[event.call_id] = event
        self._bus.publish(topic(event), event)

    def customer_of(self, call_id: int) -> int | None:
        """The customer a call is with: chosen by the agent, else the only one with that number."""
        if call_id in self.chosen:
            return self.chosen[call_id]
        known = self.known.get(call_id)
        customers = {m.customer_id for m in known.matches} if known else set()
        return next(iter(customers)) if len(customers) == 1 else None

    async def look_again(self, call_id: int) -> None:
        """Somebody changed a customer's numbers: find this call's caller anew."""
        known = self.known.get(call_id)
        if known is not None and known.kind not in ("withheld", "internal"):
            await self._find(known)

    async def choose(self, unit_id: int, pbx_id: int, call_id: int, customer_id: int, user_id: int) -> None:
        """An agent says whom the call is with; also for a call that is over. Replaces what the number said."""
        self.chosen[call_id] = customer_id
        now = self._clock.now()
        link = Link(id=self._new_id(), unit_id=unit_id, call_id=call_id, thing_id=customer_id, at=now, made_by="agent")

        def write(db: Connection) -> None:
            db.execute(delete(CallLink).where(CallLink.call_id == call_id, CallLink.kind == CUSTOMER))
            write_links(db, [link])

        await self._db.write(write)
        event = CallLinked(unit_id=unit_id, pbx_id=pbx_id, at=now, call_id=call_id, customer_id=customer_id, user_id=user_id)
        self._bus.publish(topic(event), event)


def _with(known: CallerKnown, matches: Sequence[Match]) -> CallerKnown:
    return msgspec.structs.replace(known, matches=tuple(matches))


def _of_that_side(number: Number, direction: Direction) -> Number:
    """Only who calls inside is a colleague: anybody outside may send four digits as their number."""
    if direction is Direction.INTERNAL:
        return replace(number, kind="internal") if number.kind == "odd" else number
    return replace(number, kind="odd") if number.kind == "internal" else number


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A call belongs to a customer, said by its number or by an agent (`made_by`)."""

    id: int
    unit_id: int
    call_id: int
    thing_id: int
    at: float | None
    made_by: str


# By the call alone: a database that has no statistics yet might think that the kind says more.
_THERE: Final = select(CallLink.call_id, CallLink.kind).where(CallLink.call_id.in_(bindparam("calls", expanding=True)))


def write_links(db: Connection, links: list[Link]) -> None:
    """Hang calls on customers' timelines, those left out that hang somewhere already: an agent may have said otherwise."""
    new = {link.call_id: link for link in links}
    calls = list(new)
    for first in range(0, len(calls), 500):
        for row in db.execute(_THERE, {"calls": calls[first : first + 500]}):
            if row.kind == CUSTOMER:
                new.pop(row.call_id, None)
    insert_rows(db, CallLink, [{"kind": CUSTOMER, **asdict(link)} for link in new.values()])
    touched = {link.thing_id: link.at for link in links}
    change_rows(db, Customer, {customer_id: {"last_contact_at": at} for customer_id, at in touched.items()})
