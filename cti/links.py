"""Where calls meet customers: who a call's outside party may be, and which customer a finished call belongs to.

The look-up begins when the call does, so that it is mostly over before a seat rings. It never delays anything: what it finds is
published as CallerKnown whenever it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass

import structlog
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from crm_core.entities.people import Customer
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database, table_of
from crm_core.lookup import NumberLookup
from crm_core.matches import Match
from crm_core.numbers import NumberRules, read
from cti.events import CallEnded, CallerKnown, CallLinked, CallOffered, CallStarted, Direction
from cti.services.lines import topic
from cti.storage import CallLink

log = structlog.get_logger(__name__)
CUSTOMER = "customer"


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
        self._tasks: set[asyncio.Task[None]] = set()
        bus.subscribe("unit.*.pbx.*.call", self._hear)

    def _hear(self, _topic: str, event: object) -> None:
        if isinstance(event, CallStarted) or (isinstance(event, CallOffered) and event.call_id not in self.known):
            self._begin(event)
        elif isinstance(event, CallEnded):
            asyncio.get_running_loop().call_later(600, self._forget, event.call_id)

    def _forget(self, call_id: int) -> None:
        self.known.pop(call_id, None)
        self.chosen.pop(call_id, None)

    def _begin(self, event: CallStarted | CallOffered) -> None:
        raw = event.dialed if isinstance(event, CallStarted) and event.direction is Direction.OUTBOUND else event.caller
        number = read(raw, self._rules(event.unit_id))
        empty = CallerKnown(
            unit_id=event.unit_id, pbx_id=event.pbx_id, at=event.at, call_id=event.call_id, key=number.key, kind=number.kind,
            shown=number.national, matches=(),
        )  # fmt: skip
        if number.kind in ("withheld", "internal"):
            self._tell(empty)
        elif event.call_id not in self.known:
            self._spawn(self._find(empty))

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
        self._tell(
            CallerKnown(
                unit_id=empty.unit_id, pbx_id=empty.pbx_id, at=empty.at, call_id=empty.call_id, key=empty.key, kind=empty.kind,
                shown=empty.shown, matches=tuple(matches),
            )
        )  # fmt: skip

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A call belongs to a customer, said by its number or by an agent (`made_by`)."""

    id: int
    unit_id: int
    call_id: int
    thing_id: int
    at: float | None
    made_by: str


def write_links(db: Connection, links: list[Link]) -> None:
    """Hang calls on customers' timelines, those left out that hang somewhere already: an agent may have said otherwise."""
    new = {link.call_id: link for link in links}
    calls = list(new)
    for first in range(0, len(calls), 500):
        there = select(CallLink.call_id).where(CallLink.kind == CUSTOMER, CallLink.call_id.in_(calls[first : first + 500]))
        for row in db.execute(there):
            new.pop(row.call_id, None)
    if new:
        db.execute(insert(table_of(CallLink)), [{"kind": CUSTOMER, **asdict(link)} for link in new.values()])
    table = table_of(Customer)
    touched = {link.thing_id: link.at for link in links}
    statement = update(table).where(table.c.id == bindparam("of")).values(last_contact_at=bindparam("seen"))
    db.execute(statement, [{"of": customer_id, "seen": at} for customer_id, at in touched.items()])
