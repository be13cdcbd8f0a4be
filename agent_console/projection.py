"""The desk feed: what one agent's screen shows, kept as rows from what happened. No I/O: it listens to the bus and changes feeds.

A ringing call is told the moment the caller's customers are known, or 50 ms after the ring began, whichever is first; the card
follows. What a call's event means for the seat is told in the same message, so that a desk never shows the one without the other. A person sees only what their rights allow: the rows are made with their eyes. How many wait in a queue is told to the desks of
its agents now and then and a few at a time, since in a large centre it changes more often than anybody can look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent_console.call_rows import CallRows, Row, ms
from crm_core.kernel.access import Principal
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.gather import Gather
from crm_core.places import Places
from cti.events import (
    CallAnswered,
    CallerKnown,
    CallEvent,
    CallHeld,
    CallLeftQueue,
    CallLinked,
    CallOffered,
    CallQueued,
    CallResumed,
    CallStarted,
    Direction,
    OfferEnded,
    SeatChanged,
    SeatLeftCall,
)
from cti.links import Links
from cti.pbx_events import OfferResult
from cti.services.hearing import hear
from cti.services.seats import Seats

POP_DEADLINE_S = 0.05
QUEUES_S = 0.25
DESKS_AT_ONCE, BREATH_S = 8, 0.03
TABLES = ("seat", "calls", "queues", "day")


@dataclass(slots=True)
class OnDesk:
    """A call on somebody's desk."""

    row: Row
    told: bool = False
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Desks:
    """All desks of this process."""

    def __init__(
        self,
        bus: Bus,
        feeds: Feeds,
        seats: Seats,
        links: Links,
        clock: Clock,
        places: Places,
        *,
        principal: Callable[[int], Principal | None],
        titles: Callable[[int, str], str],
        pbx_up: Callable[[int], bool],
        waiting: Callable[[int, str], dict[str, Any]],
    ) -> None:
        self._feeds, self._seats, self._clock = feeds, seats, clock
        self._principal, self._pbx_up, self._waiting = principal, pbx_up, waiting
        self._rows = CallRows(links, seats, places, titles)
        self._calls: dict[int, dict[int, OnDesk]] = {}
        self._desks_of: dict[int, set[int]] = {}
        self._open: dict[tuple[int, int], Feed] = {}
        self._queues: Gather[tuple[int, str]] = Gather(self._tell_followers, wait_s=QUEUES_S, at_once=1000, breath_s=QUEUES_S)
        self._desks: Gather[tuple[int, int]] = Gather(self._tell_queues, wait_s=0, at_once=DESKS_AT_ONCE, breath_s=BREATH_S)
        feeds.on_first(self._followed)
        self._listen(bus)

    def _listen(self, bus: Bus) -> None:
        hear(bus, SeatChanged, self._seat)
        hear(bus, CallOffered, self._offered)
        hear(bus, CallStarted, self._started)
        hear(bus, CallerKnown, self._known)
        hear(bus, OfferEnded, self._offer_ended)
        hear(bus, CallAnswered, self._talks)
        hear(bus, CallResumed, self._talks)
        hear(bus, CallHeld, lambda event: self._phase(event, "held"))
        hear(bus, SeatLeftCall, self._left)
        hear(bus, CallLinked, self._linked)
        hear(bus, CallQueued, self._waits)
        hear(bus, CallLeftQueue, self._waits)

    @staticmethod
    def address(unit_id: int, user_id: int) -> FeedAddress:
        """Where a person's desk feed lives."""
        return FeedAddress(unit_id, "desk", str(user_id))

    def feed(self, unit_id: int, user_id: int) -> Feed:
        """The desk feed of a person, filled from what is known when it is new."""
        feed = self._open.get((unit_id, user_id))
        if feed is None:
            feed = self._open[(unit_id, user_id)] = self._feeds.open(self.address(unit_id, user_id))
            feed.change("desk.opened", [("seat", "me", self._seat_row(user_id)), *self._queue_rows(unit_id, user_id)])
        return feed

    def _queue_rows(self, unit_id: int, user_id: int) -> list[tuple[str, str, dict[str, Any]]]:
        s = self._seats.of_user(user_id)
        return [("queues", name, self._waiting(unit_id, name)) for name, _ in s.queues] if s is not None else []

    def _tell_followers(self, queues: list[tuple[int, str]]) -> None:
        if self._desks.waiting:  # the desks are still being told of the last time
            self._queues.add(queues)
            return
        for unit_id in {unit_id for unit_id, _ in queues}:
            changed = {name for unit, name in queues if unit == unit_id}
            for s in self._seats.all(unit_id):
                feed = self._open.get((unit_id, s.user_id))
                if feed is not None and (feed.joined or feed.mirror) and any(name in changed for name, _ in s.queues):
                    self._desks.add([(unit_id, s.user_id)])

    def _tell_queues(self, desks: list[tuple[int, int]]) -> None:
        for unit_id, user_id in desks:
            self.feed(unit_id, user_id).change("queues.changed", self._queue_rows(unit_id, user_id))

    def _followed(self, address: FeedAddress) -> None:
        """Somebody opens a desk that nobody looked at: its queues may have changed meanwhile."""
        if address.name == "desk":
            self._tell_queues([(address.unit_id, int(address.key))])

    # ---------------------------------------------------------------------------------------------------------------- seat

    def _seat(self, event: SeatChanged) -> None:
        feed = self.feed(event.unit_id, event.user_id)
        drop = []
        mine = self._calls.get(event.user_id, {})
        if event.call_id is None or event.state in ("ready", "paused", "signed_out", "unreachable"):
            gone = [call_id for call_id in mine if call_id != event.call_id and not self._dials(event, call_id)]
            drop = [("calls", str(call_id)) for call_id in gone]
            for call_id in gone:
                self._forget(event.user_id, call_id)
        put = [("seat", "me", self._seat_row(event.user_id))]
        sitting = self._seats.of_user(event.user_id)
        if sitting is not None and not all(feed.has("queues", name) for name, _ in sitting.queues):
            put += self._queue_rows(event.unit_id, event.user_id)
        held = mine.get(event.call_id) if event.call_id is not None else None
        if held is not None and held.told and event.state == "wrap_up":
            held.row["phase"] = "wrap_up"
            held.row["ended_at"] = held.row["ended_at"] or ms(event.since)
            put.append(("calls", str(event.call_id), held.row))
        feed.change(event.WIRE, put, drop)

    def _dials(self, event: SeatChanged, call_id: int) -> bool:
        """The seat is still calling somebody who has not answered, which is no state of a seat."""
        return event.state != "signed_out" and self._rows.part(event.pbx_id, event.extension, call_id) is not None

    def _seat_row(self, user_id: int) -> dict[str, Any]:
        s = self._seats.of_user(user_id)
        if s is None:
            return {"state": "signed_out", "since": None, "reason": "", "next": "", "next_reason": "", "seat_id": "", "extension": "",
                    "seat_name": "", "wrap_up_ends": None, "phone": "", "pbx_up": True}  # fmt: skip
        return {
            "state": s.state.value, "since": ms(s.since), "reason": s.reason, "next": s.intent.next_state, "next_reason": s.intent.next_reason,
            "seat_id": str(s.seat_id), "extension": s.extension, "seat_name": s.seat_name, "wrap_up_ends": ms(s.wrap_up_ends),
            "phone": s.phone, "pbx_up": self._pbx_up(s.pbx_id),
        }  # fmt: skip

    def refresh_seat(self, unit_id: int, user_id: int) -> None:
        """Something beside the state changed: the link to the PBX."""
        self.feed(unit_id, user_id).change("seat.changed", [("seat", "me", self._seat_row(user_id))])

    # --------------------------------------------------------------------------------------------------------------- calls

    def _person(self, event: CallEvent, extension: str) -> Principal | None:
        s = self._seats.at(event.pbx_id, extension)
        return None if s is None else self._principal(s.user_id)

    def _offered(self, event: CallOffered) -> None:
        person = self._person(event, event.extension)
        if person is not None:
            self._ring(event, person, self._rows.offered(person, event, self._clock.now()))

    def _started(self, event: CallStarted) -> None:
        """A seat's own phone calls somebody: whom, stands on its desk before they answer."""
        if event.direction is Direction.INBOUND or self._rows.part(event.pbx_id, event.caller, event.call_id) is None:
            return
        person = self._person(event, event.caller)
        if person is not None and event.dialed:
            self._ring(event, person, self._rows.dials(person, event, self._clock.now()))

    def _waits(self, event: CallQueued | CallLeftQueue) -> None:
        self._queues.add([(event.unit_id, event.queue)])

    def _ring(self, event: CallOffered | CallStarted, person: Principal, row: Row) -> None:
        held = self._lay(person.user_id, event.call_id, row)
        if row["looked_up"]:
            self._tell("call.offered", person, event.call_id)
        else:
            held.timer = asyncio.get_running_loop().call_later(POP_DEADLINE_S, self._tell, "call.offered", person, event.call_id)

    def _known(self, event: CallerKnown) -> None:
        for person, held in self._with_call(event.call_id):
            self._rows.add_known(person, held.row, event)
            self._tell("call.offered" if not held.told else event.WIRE, person, event.call_id)

    def _tell(self, wire: str, person: Principal, call_id: int) -> None:
        held = self._calls.get(person.user_id, {}).get(call_id)
        if held is None:
            return
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        held.told = True
        put = [("seat", "me", self._seat_row(person.user_id)), ("calls", str(call_id), held.row)]
        self.feed(person.unit_id, person.user_id).change(wire, put)

    def _talks(self, event: CallAnswered | CallResumed) -> None:
        self._phase(event, "talking")

    def _phase(self, event: CallAnswered | CallHeld | CallResumed, phase: str) -> None:
        person = self._person(event, event.extension)
        if person is None:
            return
        held = self._calls.get(person.user_id, {}).get(event.call_id)
        if held is None:
            held = self._lay(person.user_id, event.call_id, self._rows.talk(person, event, event.extension))
        row = held.row
        row["phase"], row["since"] = phase, ms(event.at or self._clock.now())
        if phase == "talking" and row["answered_at"] is None:
            row["answered_at"] = row["since"]
        self._tell(event.WIRE, person, event.call_id)

    def agree(self, pbx_id: int, calls_of: Callable[[str], set[int]]) -> None:
        """After a start or a break: no desk of this PBX shows a call that its seat is not in (`calls_of` an extension)."""
        for s in [s for s in self._seats.all() if s.pbx_id == pbx_id]:
            mine = self._calls.get(s.user_id, {})
            gone = [call_id for call_id in mine if call_id not in calls_of(s.extension) and call_id != s.wrap_up_call]
            for call_id in gone:
                self._forget(s.user_id, call_id)
            self.feed(s.unit_id, s.user_id).change(
                "desk.agreed", [("seat", "me", self._seat_row(s.user_id))], [("calls", str(c)) for c in gone]
            )

    def _left(self, event: SeatLeftCall) -> None:
        person = self._person(event, event.extension)
        if person is None:
            return
        held = self._calls.get(person.user_id, {}).get(event.call_id)
        if held is not None:
            held.row["ended_at"] = ms(event.at or self._clock.now())
            s = self._seats.of_user(person.user_id)
            if s is None or s.wrap_up_call != event.call_id:
                self._gone(event, event.extension)

    def _offer_ended(self, event: OfferEnded) -> None:
        if event.result is not OfferResult.ANSWERED:
            self._gone(event, event.extension)

    def _gone(self, event: CallEvent, extension: str) -> None:
        person = self._person(event, extension)
        if person is None:
            return
        mine = self._calls.get(person.user_id, {})
        if event.call_id in mine and mine[event.call_id].row["phase"] != "wrap_up":
            self._forget(person.user_id, event.call_id)
            seat = ("seat", "me", self._seat_row(person.user_id))
            self.feed(person.unit_id, person.user_id).change(event.WIRE, [seat], [("calls", str(event.call_id))])

    def _lay(self, user_id: int, call_id: int, row: Row) -> OnDesk:
        """Put a call on somebody's desk."""
        held = self._calls.setdefault(user_id, {})[call_id] = OnDesk(row)
        self._desks_of.setdefault(call_id, set()).add(user_id)
        return held

    def _forget(self, user_id: int, call_id: int) -> None:
        held = self._calls[user_id].pop(call_id)
        if held.timer is not None:
            held.timer.cancel()
        with_it = self._desks_of.get(call_id, set())
        with_it.discard(user_id)
        if not with_it:
            self._desks_of.pop(call_id, None)

    def _with_call(self, call_id: int) -> list[tuple[Principal, OnDesk]]:
        """Everybody who has the call on their desk."""
        people = ((self._principal(user_id), self._calls[user_id][call_id]) for user_id in self._desks_of.get(call_id, ()))
        return [(person, held) for person, held in people if person is not None]

    def _linked(self, event: CallLinked) -> None:
        for person, held in self._with_call(event.call_id):
            held.row["customer_id"] = str(event.customer_id)
            self._tell(event.WIRE, person, event.call_id)

    def note(self, person: Principal, call_id: int, text: str) -> None:
        """The agent's notes were saved: their other tabs see them."""
        held = self._calls.get(person.user_id, {}).get(call_id)
        if held is not None:
            held.row["notes"] = text
            self._tell("call.noted", person, call_id)

    def call_row(self, user_id: int, call_id: int) -> dict[str, Any] | None:
        """A call on a person's desk, None if it is not there."""
        held = self._calls.get(user_id, {}).get(call_id)
        return None if held is None else held.row
