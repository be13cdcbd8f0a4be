"""Finished calls into the books: each once, with the people who took part, whatever is replayed or heard twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, bindparam, select

from crm_core.days import day_of
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Base
from crm_core.kernel.ids import id_at
from crm_core.numbers import NumberRules, read
from cti.events import CallBooked, CallEnded, CallFact, Direction, EntryFact, EntryOutcome
from cti.links import Link, Links, write_links
from cti.pbx_events import OfferResult
from cti.services.books import Books, Page, insert_rows
from cti.services.hearing import hear
from cti.services.lines import topic
from cti.services.seats import Seats
from cti.storage import Call, CallLeg, CallLink, Offer, QueueEntry, Segment, Transfer

log = structlog.get_logger(__name__)
LEGS_OF_S: Final = 7200.0


class CallBooks:
    """Listens for calls that ended and writes them down."""

    def __init__(
        self, bus: Bus, books: Books, clock: Clock, new_id: Callable[[], int], seats: Seats, links: Links, *, zones: Callable[[int], str],
        rules: Callable[[int], NumberRules], limits: Mapping[tuple[int, str], tuple[int, int]],
    ) -> None:  # fmt: skip
        self._bus, self._books, self._clock, self._new_id = bus, books, clock, new_id
        self._seats, self._links, self._zones, self._rules, self._limits = seats, links, zones, rules, limits
        hear(bus, CallEnded, lambda event: self.put(event.fact))

    def put(self, fact: CallFact) -> None:
        """Write a finished call; CallBooked follows when it stands in the database."""
        at = next((t for t in (fact.started_at, fact.ended_at) if t is not None), self._clock.now())
        zone = self._zones(fact.unit_id)
        day = day_of(at, zone)
        rows = Rows(
            fact, day, zone, lambda ext, at: self._seats.who_sat(fact.pbx_id, ext, at), self._limits, self._rules(fact.unit_id)
        )
        customer_id = self._links.customer_of(fact.call_id)
        tables = rows.all()
        link = Link(
            id=self._new_id(),
            unit_id=fact.unit_id,
            call_id=fact.call_id,
            thing_id=customer_id or 0,
            at=fact.started_at,
            made_by="number",
        )
        users = tuple(sorted(u for u in rows.talked() | rows.asked() if u is not None))
        booked = CallBooked(
            unit_id=fact.unit_id, pbx_id=fact.pbx_id, at=fact.ended_at, call_id=fact.call_id, fact=fact, day=day, user_ids=users
        )

        # A start reads the journal on from where the oldest open call began, and with it the ends of others that are booked already.
        legs = tuple(leg.pbx_leg_id for leg in fact.legs) if self._seats.replaying(fact.pbx_id) else ()
        booking = Booking(key=(fact.pbx_id, fact.epoch, fact.pbx_call_id), tables=tables, legs=legs, at=at)

        def write(page: Page) -> None:
            page.together(_book, booking)
            if customer_id is not None:
                page.together(write_links, link)

        self._books.put(write, lambda: self._bus.publish(topic(booked), booked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A call to be written. None of `legs` may stand in another call: then this is but a part of that one, told again."""

    key: tuple[int, str, str]
    tables: list[tuple[type[Base], list[dict[str, Any]]]]
    legs: tuple[str, ...]
    at: float


_THERE: Final = select(Call.pbx_call_id).where(
    Call.pbx_id == bindparam("pbx"), Call.epoch == bindparam("boot"), Call.pbx_call_id.in_(bindparam("names", expanding=True))
)


def _book(db: Connection, calls: list[Booking]) -> None:
    """Write calls with all their rows, those left out that stand there already: a call told again is told for nothing."""
    new = {booking.key: booking for booking in reversed(calls)}
    boots: dict[tuple[int, str], list[str]] = {}
    for pbx_id, epoch, name in new:
        boots.setdefault((pbx_id, epoch), []).append(name)
    for (pbx_id, epoch), names in boots.items():
        for first in range(0, len(names), 500):
            of_boot = {"pbx": pbx_id, "boot": epoch, "names": names[first : first + 500]}
            for name in db.execute(_THERE, of_boot).scalars():
                new.pop((pbx_id, epoch, name))
    gathered: dict[type[Base], list[dict[str, Any]]] = {}
    for booking in new.values():
        if booking.legs and _in_another(db, booking):
            continue
        for table, rows in booking.tables:
            gathered.setdefault(table, []).extend(rows)
    for table, rows in gathered.items():
        insert_rows(db, table, rows)


def _in_another(db: Connection, booking: Booking) -> bool:
    pbx_id, epoch, _ = booking.key
    lately = CallLeg.id >= id_at(booking.at - LEGS_OF_S)  # identifiers follow time, so that old legs need not be looked through
    same = (lately, CallLeg.pbx_leg_id.in_(booking.legs), Call.pbx_id == pbx_id, Call.epoch == epoch)
    return db.execute(select(CallLeg.id).join(Call, Call.id == CallLeg.call_id).where(*same).limit(1)).first() is not None


class Rows:
    """One finished call as rows of its tables."""

    def __init__(
        self, fact: CallFact, day: str, zone: str, who: Callable[[str, float | None], int | None], limits: Mapping[tuple[int, str], tuple[int, int]], rules: NumberRules
    ) -> None:  # fmt: skip
        self._f, self._who, self._limits, self._rules = fact, who, limits, rules
        self._base: dict[str, Any] = {"unit_id": fact.unit_id, "pbx_id": fact.pbx_id}
        self._counted: dict[str, Any] = {**self._base, "call_id": fact.call_id, "day": day, "zone": zone}

    def talked(self) -> set[int | None]:
        """Everybody who talked at a seat."""
        return {self._who(s.extension, s.started_at) for s in self._f.segments if s.extension}

    def asked(self) -> set[int | None]:
        """Everybody whose seat was rung."""
        return {self._who(o.extension, o.started_at) for e in self._f.entries for o in e.offers}

    def all(self) -> list[tuple[type[Base], list[dict[str, Any]]]]:
        """Every table with its rows."""
        of_call = {**self._base, "call_id": self._f.call_id}
        transfers = [
            {**of_call, "id": self._f.legs[0].leg_id + n + 1 if self._f.legs else self._f.call_id + n + 1, "kind": t.kind.value, "by": t.by[:60], "to": t.to[:60],
             "result": t.result, "at": t.at}
            for n, t in enumerate(self._f.transfers)
        ]  # fmt: skip
        return [
            (Call, [self._call()]),
            (CallLeg, [self._leg(of_call, leg) for leg in self._f.legs]),
            (QueueEntry, [self._entry(e) for e in self._f.entries]),
            (Offer, [self._offer(e, o) for e in self._f.entries for o in e.offers]),
            (Segment, [self._segment(s) for s in self._f.segments]),
            (Transfer, transfers),
        ]

    def _call(self) -> dict[str, Any]:
        f = self._f
        outside = f.dialed if f.direction is Direction.OUTBOUND else f.caller
        last = f.segments[-1] if f.segments else None
        return {
            "id": f.call_id, "unit_id": f.unit_id, "pbx_id": f.pbx_id, "epoch": f.epoch, "pbx_call_id": f.pbx_call_id,
            "direction": f.direction.value, "caller": f.caller[:60], "caller_name": f.caller_name[:120],
            "caller_key": read(outside, self._rules).key, "dialed": f.dialed[:60], "started_at": f.started_at, "answered_at": f.answered_at,
            "ended_at": f.ended_at, "outcome": f.outcome.value, "queue": f.entries[0].queue if f.entries else "",
            "user_id": self._who(last.extension, last.started_at) if last and last.extension else None, "talk_s": sum(s.talk_s for s in f.segments),
            "unobserved": f.unobserved, "rebuilt": f.rebuilt, "day": self._counted["day"], "zone": self._counted["zone"],
        }  # fmt: skip

    def _leg(self, of_call: dict[str, Any], leg: Any) -> dict[str, Any]:
        return {
            **of_call, "id": leg.leg_id, "pbx_leg_id": leg.pbx_leg_id[:80], "party": leg.party, "endpoint": leg.endpoint[:60],
            "number": leg.number[:60], "user_id": self._who(leg.endpoint, leg.started_at) if leg.party == "seat" else None, "started_at": leg.started_at,
            "rang_at": leg.rang_at, "answered_at": leg.answered_at, "ended_at": leg.ended_at, "hangup_cause": leg.hangup_cause,
        }  # fmt: skip

    def _entry(self, e: EntryFact) -> dict[str, Any]:
        threshold, short = self._limits.get((self._f.pbx_id, e.queue), (20, 5))
        winner = next((o.extension for o in e.offers if o.result is OfferResult.ANSWERED), "")
        answered = e.outcome is EntryOutcome.ANSWERED
        return {
            **self._counted, "id": e.entry_id, "queue": e.queue, "joined_at": e.joined_at, "left_at": e.left_at, "wait_s": e.wait_s,
            "outcome": e.outcome.value, "sl_threshold_s": threshold, "short_abandon_s": short,
            "user_id": self._who(winner, e.left_at) if answered and winner else None,
        }  # fmt: skip

    def _offer(self, e: EntryFact, o: Any) -> dict[str, Any]:
        return {
            **self._counted, "id": o.offer_id, "entry_id": e.entry_id, "queue": e.queue, "extension": o.extension[:12],
            "user_id": self._who(o.extension, o.started_at), "started_at": o.started_at, "ended_at": o.ended_at, "result": o.result.value,
        }  # fmt: skip

    def _segment(self, s: Any) -> dict[str, Any]:
        return {
            **self._counted, "id": s.segment_id, "leg_a": s.leg_a, "leg_b": s.leg_b, "queue": s.queue, "extension": s.extension[:12],
            "user_id": self._who(s.extension, s.started_at) if s.extension else None, "started_at": s.started_at, "ended_at": s.ended_at,
            "talk_s": s.talk_s, "hold_s": s.hold_s,
        }  # fmt: skip


__all__ = ["CallBooks", "CallLink"]
