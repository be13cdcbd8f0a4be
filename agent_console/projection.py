"""The desk feed: what one agent's screen shows, kept as rows from what happened. No I/O: it listens to the bus and changes feeds.

A ringing call is told the moment the caller's customers are known, or 50 ms after the ring began, whichever is first; the card
follows. A person sees only what their rights allow: the rows are made with their eyes. How many wait in a queue is told to the desks of
its agents now and then and a few at a time, since in a large centre it changes more often than anybody can look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm_core.customers import show_name, show_number, thing_of
from crm_core.kernel.access import Principal, may
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.gather import Gather
from crm_core.matches import Match
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
    OfferEnded,
    SeatChanged,
    SeatLeftCall,
)
from cti.links import Links
from cti.pbx_events import OfferResult
from cti.services.seats import Seats

POP_DEADLINE_S = 0.05
QUEUES_S = 0.25
DESKS_AT_ONCE, BREATH_S = 8, 0.015
TABLES = ("seat", "calls", "queues", "day")


@dataclass(slots=True)
class OnDesk:
    """A call on somebody's desk."""

    row: dict[str, Any]
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
        self._feeds, self._seats, self._links, self._clock, self._places = feeds, seats, links, clock, places
        self._principal, self._titles, self._pbx_up, self._waiting = principal, titles, pbx_up, waiting
        self._calls: dict[int, dict[int, OnDesk]] = {}
        self._desks_of: dict[int, set[int]] = {}
        self._open: dict[tuple[int, int], Feed] = {}
        self._queues: Gather[tuple[int, str]] = Gather(self._tell_followers, wait_s=QUEUES_S, at_once=1000, breath_s=QUEUES_S)
        self._desks: Gather[tuple[int, int]] = Gather(self._tell_queues, wait_s=0, at_once=DESKS_AT_ONCE, breath_s=BREATH_S)
        feeds.on_first(self._followed)
        bus.subscribe("unit.*.pbx.*.seat.changed", self._seat)
        bus.subscribe("unit.*.pbx.*.call", self._call)

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

    def _seat(self, _topic: str, event: object) -> None:
        if not isinstance(event, SeatChanged):
            return
        feed = self.feed(event.unit_id, event.user_id)
        drop = []
        mine = self._calls.get(event.user_id, {})
        if event.call_id is None or event.state in ("ready", "paused", "signed_out", "unreachable"):
            gone = [call_id for call_id in mine if call_id != event.call_id]
            drop = [("calls", str(call_id)) for call_id in gone]
            for call_id in gone:
                self._forget(event.user_id, call_id)
        put = [("seat", "me", self._seat_row(event.user_id))]
        sitting, drawn = self._seats.of_user(event.user_id), feed.keys("queues")
        if sitting is not None and any(name not in drawn for name, _ in sitting.queues):
            put += self._queue_rows(event.unit_id, event.user_id)
        held = mine.get(event.call_id) if event.call_id is not None else None
        if held is not None and held.told and event.state == "wrap_up":
            held.row["phase"] = "wrap_up"
            held.row["ended_at"] = held.row["ended_at"] or _ms(event.since)
            put.append(("calls", str(event.call_id), dict(held.row)))
        feed.change(event.WIRE, put, drop)

    def _seat_row(self, user_id: int) -> dict[str, Any]:
        s = self._seats.of_user(user_id)
        if s is None:
            return {"state": "signed_out", "since": None, "reason": "", "next": "", "next_reason": "", "seat_id": "", "extension": "",
                    "seat_name": "", "wrap_up_ends": None, "phone": "", "pbx_up": True}  # fmt: skip
        return {
            "state": s.state.value, "since": _ms(s.since), "reason": s.reason, "next": s.intent.next_state, "next_reason": s.intent.next_reason,
            "seat_id": str(s.seat_id), "extension": s.extension, "seat_name": s.seat_name, "wrap_up_ends": _ms(s.wrap_up_ends),
            "phone": s.phone, "pbx_up": self._pbx_up(s.pbx_id),
        }  # fmt: skip

    def refresh_seat(self, unit_id: int, user_id: int) -> None:
        """Something beside the state changed: the link to the PBX."""
        self.feed(unit_id, user_id).change("seat.changed", [("seat", "me", self._seat_row(user_id))])

    # --------------------------------------------------------------------------------------------------------------- calls

    def _call(self, _topic: str, event: object) -> None:
        match event:
            case CallOffered():
                self._offered(event)
            case CallerKnown():
                self._known(event)
            case OfferEnded() if event.result is not OfferResult.ANSWERED:
                self._gone(event, event.extension)
            case CallAnswered():
                self._phase(event, event.extension, "talking")
            case CallHeld():
                self._phase(event, event.extension, "held")
            case CallResumed():
                self._phase(event, event.extension, "talking")
            case SeatLeftCall():
                self._left(event)
            case CallLinked():
                self._linked(event)
            case CallQueued() | CallLeftQueue():
                self._queues.add([(event.unit_id, event.queue)])

    def _person(self, event: CallEvent, extension: str) -> Principal | None:
        s = self._seats.at(event.pbx_id, extension)
        return None if s is None else self._principal(s.user_id)

    def _offered(self, event: CallOffered) -> None:
        person = self._person(event, event.extension)
        if person is None:
            return
        now = self._clock.now()
        row: dict[str, Any] = {
            "phase": "ringing", "since": _ms(event.at or now), "direction": event.direction.value, "number": "", "number_kind": "outside",
            "place": "", "carrier": "", "name": show_name(person, event.caller_name), "queue": event.queue, "queue_title": self._titles(event.pbx_id, event.queue),
            "waited_s": event.waited_s, "matches": [], "customer_id": "", "looked_up": False, "answered_at": None, "ended_at": None, "notes": "",
        }  # fmt: skip
        held = self._lay(person.user_id, event.call_id, row)
        known = self._links.known.get(event.call_id)
        if known is not None:
            self._add_caller(person, row, known)
            self._tell(event.WIRE, person, event.call_id)
        else:
            self._add_number(person, row, event.caller)
            held.timer = asyncio.get_running_loop().call_later(POP_DEADLINE_S, self._tell, event.WIRE, person, event.call_id)

    def _add_number(self, person: Principal, row: dict[str, Any], raw: str) -> None:
        row["number"] = show_number(person, raw)

    def _add_caller(self, person: Principal, row: dict[str, Any], known: CallerKnown) -> None:
        row["number_kind"] = known.kind
        row["number"] = known.shown if known.kind == "internal" else show_number(person, known.shown)
        if known.kind == "outside":
            for lang, suffix in (("zh", ""), ("en", "_en")):
                row[f"place{suffix}"] = self._places.place(known.key, lang)
                row[f"carrier{suffix}"] = self._places.carrier(known.key, lang)
        row["matches"] = [_match(m) for m in known.matches if may(person, "see", _thing(m))]
        row["looked_up"] = True
        if not row["customer_id"]:
            customers = {m["customer_id"] for m in row["matches"]}
            row["customer_id"] = next(iter(customers)) if len(customers) == 1 else ""

    def _known(self, event: CallerKnown) -> None:
        for person, held in self._with_call(event.call_id):
            self._add_caller(person, held.row, event)
            self._tell("call.offered" if not held.told else event.WIRE, person, event.call_id)

    def _tell(self, wire: str, person: Principal, call_id: int) -> None:
        held = self._calls.get(person.user_id, {}).get(call_id)
        if held is None:
            return
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        held.told = True
        self.feed(person.unit_id, person.user_id).change(wire, [("calls", str(call_id), dict(held.row))])

    def _phase(self, event: CallAnswered | CallHeld | CallResumed, extension: str, phase: str) -> None:
        person = self._person(event, extension)
        if person is None:
            return
        held = self._calls.get(person.user_id, {}).get(event.call_id)
        if held is None:
            held = self._lay(person.user_id, event.call_id, self._row_of_talk(person, event, extension))
        row = held.row
        row["phase"], row["since"] = phase, _ms(event.at or self._clock.now())
        if phase == "talking" and row["answered_at"] is None:
            row["answered_at"] = row["since"]
        self._tell(event.WIRE, person, event.call_id)

    def _row_of_talk(self, person: Principal, event: CallEvent, extension: str) -> dict[str, Any]:
        """A call that was not offered here: dialled by the agent, or found after a break."""
        row: dict[str, Any] = {
            "phase": "talking", "since": None, "direction": "", "number": "", "number_kind": "outside", "place": "", "carrier": "", "name": "",
            "queue": "", "queue_title": "", "waited_s": None, "matches": [], "customer_id": "", "looked_up": False, "answered_at": None,
            "ended_at": None, "notes": "",
        }  # fmt: skip
        known = self._links.known.get(event.call_id)
        if known is not None:
            self._add_caller(person, row, known)
        return row

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
            held.row["ended_at"] = _ms(event.at or self._clock.now())
            s = self._seats.of_user(person.user_id)
            if s is None or s.wrap_up_call != event.call_id:
                self._gone(event, event.extension)

    def _gone(self, event: CallEvent, extension: str) -> None:
        person = self._person(event, extension)
        if person is None:
            return
        mine = self._calls.get(person.user_id, {})
        if event.call_id in mine and mine[event.call_id].row["phase"] != "wrap_up":
            self._forget(person.user_id, event.call_id)
            self.feed(person.unit_id, person.user_id).change(event.WIRE, [], [("calls", str(event.call_id))])

    def _lay(self, user_id: int, call_id: int, row: dict[str, Any]) -> OnDesk:
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


def _match(m: Match) -> dict[str, Any]:
    return {
        "customer_id": str(m.customer_id), "contact_id": str(m.contact_id or ""), "name": m.contact or m.customer,
        "company": m.customer if m.kind == "company" else "", "level": m.level, "contact_title": m.title,
    }  # fmt: skip


def _thing(m: Match) -> Any:
    return thing_of({"unit_id": m.unit_id, "owner_id": m.owner_id, "team_id": m.team_id})


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
