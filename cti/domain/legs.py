"""Legs come, ring, are answered and go; with the last of them the call is finished.

The first and last word on a call are said here. What a leg's coming and going means for lines, offers and talk is asked of those
who keep them.
"""

from __future__ import annotations

from collections.abc import Callable

from cti.domain.call import Call, older
from cti.domain.fact import fact_of
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegTrigger, legible
from cti.domain.offers import Offers
from cti.domain.talk import Talk
from cti.domain.waits import Waits
from cti.events import CallEnded, SeatLeftCall
from cti.pbx_events import (
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHungUpBy,
    LegJoined,
    LegNamed,
    LegRinging,
    LegStarted,
    PbxEvent,
)


class Legs:
    """Keeps the legs of a floor. `apply` is how an event put aside for a leg is played once the leg is known."""

    def __init__(self, floor: Floor, waits: Waits, offers: Offers, talk: Talk, apply: Callable[[PbxEvent], None]) -> None:
        self._floor, self._waits, self._offers, self._talk, self._apply = floor, waits, offers, talk, apply

    def started(self, event: LegStarted) -> None:
        floor = self._floor
        known = floor.legs.get(event.leg)
        if known is not None:
            known.dialed = known.dialed or event.dialed
            if floor.unheard and older(event.at, known.started_at):
                self._began_earlier(known, event.at)
            return
        if floor.is_gone(event.leg):
            return
        call = floor.call_for(event.call, event.leg, event.at)
        number, name, dialed = legible(event.number), legible(event.name), legible(event.dialed)
        leg = Leg(floor.new_id(), event.leg, call, event.endpoint, number, name, dialed, event.inward, event.at)
        floor.place(leg)
        if call.started_at is None or (event.at is not None and event.at < call.started_at):
            call.started_at = event.at
        self._offers.attach(leg)
        for early in floor.early(event.leg):
            self._apply(early)
        self._tell_when_clear(call, event)

    def _began_earlier(self, leg: Leg, at: float | None) -> None:
        """The books have the very moment; what was heard of it came a little later, maybe later than what they tell next."""
        leg.started_at = at
        if older(at, leg.call.started_at):
            leg.call.started_at = at

    def _tell_when_clear(self, call: Call, event: PbxEvent) -> None:
        """A call is told as soon as its direction is sure; the PBX may name its later legs before the first."""
        if call.told:
            return
        head = call.head
        numbered = head is not None and (head.is_seat or head.inward or head.number)
        if numbered and call.pbx_call in self._floor.legs and call.decide_direction() is not None:
            self._floor.tell_start(call, event.at)

    def named(self, leg: Leg, event: LegNamed) -> None:
        """A number set later, when the caller is sent on, is what those outside shall see; who called stays as it was."""
        if older(event.at, leg.named_at) or (leg.busy_at is not None and not older(event.at, leg.busy_at)):
            return
        leg.named_at = event.at
        leg.number, leg.name = legible(event.number), legible(event.name)

    def dialed(self, leg: Leg, event: LegDialed) -> None:
        if leg.dialed_by is None:
            leg.dialed_by = event.by
            if not leg.inward and not leg.is_seat and event.dialed:
                leg.number = legible(event.dialed)
            self._tell_when_clear(leg.call, event)
        self._offers.rung(leg, event.at)

    def ringing(self, leg: Leg, event: LegRinging) -> None:
        leg.rang = True
        if leg.rang_at is None:
            leg.rang_at = event.at
        if leg.move(LegTrigger.RANG):
            self._offers.rung(leg, event.at)

    def answered(self, leg: Leg, event: LegAnswered) -> None:
        leg.answered = True
        if leg.answered_at is None:
            leg.answered_at = event.at
        if leg.move(LegTrigger.ANSWERED):
            self._offers.direct_answered(leg, event.at)

    def joined(self, leg: Leg, event: LegJoined) -> None:
        self._waits.life_after(leg, event.at)
        leg.busy(event.at)
        if leg.parked_at is not None and not older(event.at, leg.parked_at):
            leg.taken_up = True
        self._talk.joined(leg, event)

    def hung_up(self, leg: Leg, _event: LegHungUpBy) -> None:
        if leg.alive and not [segment for segment in leg.segments if segment.other(leg).hung_up]:
            leg.hung_up = True

    def left(self, leg: Leg, at: float | None) -> None:
        """The party handed everything over and hung up: the PBX may keep its leg until the transfer is settled, the seat is free."""
        if leg.alive and leg.hung_up and not leg.left and leg.is_seat:
            leg.left = True
            self._floor.unseat(leg)
            self._seat_left(leg, at)

    def ended(self, leg: Leg, event: LegEnded) -> None:
        self.over(leg, event.at, event.cause)

    def over(self, leg: Leg, at: float | None, cause: int | None) -> None:
        """The leg is gone. `at` and `cause` are None where nobody saw it go."""
        if not leg.alive:
            return
        leg.cause, leg.ended_at = cause, at
        self._talk.ended(leg, at)
        leg.move(LegTrigger.ENDED)
        self._waits.leg_ended(leg, at)
        self._offers.leg_ended(leg, at)
        if leg.is_seat and not leg.left:
            self._floor.unseat(leg)
            self._seat_left(leg, at)
        for other in leg.call.legs:
            if other.alive:
                return
        self._finish(leg.call, at)

    def _seat_left(self, leg: Leg, at: float | None) -> None:
        took_part = talked = False
        for other in leg.call.legs:
            if other.extension == leg.extension:
                if other.alive and not other.left:
                    return
                took_part = took_part or other.inward or other.answered
                talked = talked or other.talked
        if not took_part:
            return
        heard = [segment.other(leg) for segment in leg.call.segments if leg in (segment.a, segment.b)]
        by_other = bool(heard) and heard[-1].hung_up
        self._floor.tell(
            leg.call,
            SeatLeftCall,
            at,
            extension=leg.extension,
            queue=leg.offer.queue if leg.offer is not None else "",
            talked=talked,
            hung_up_by_seat=True if leg.hung_up else False if by_other else None,
        )

    def _finish(self, call: Call, at: float | None, *, unobserved: bool = False) -> None:
        floor = self._floor
        floor.forget(call)
        if call.head is None:
            return  # the PBX talked to itself
        unseen = unobserved or any(leg.cause is None for leg in call.legs)
        fact = fact_of(call, unit_id=floor.unit_id, pbx_id=floor.pbx_id, epoch=floor.epoch, ended_at=at, unobserved=unseen)
        floor.tell(call, CallEnded, at, fact=fact)
        call.let_go()
