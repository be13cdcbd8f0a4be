"""Waits and offers: who waits in which line, which seat is being rung, and how each of both ended.

Knows nothing of bridges. A wait's end is told as soon as it can be; the finished call's facts have the last word, since a PBX
says "abandoned" of a time-out too and only what the caller's leg does next tells the two apart.
"""

from __future__ import annotations

from typing import Final

from cti.domain.call import Call, Entry, Offer, span
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegPhase
from cti.events import CallLeftQueue, CallOffered, CallQueued, EntryOutcome, OfferEnded
from cti.pbx_events import (
    OfferAnswered,
    OfferMissed,
    OfferResult,
    OfferStarted,
    Party,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
)

_REJECTED: Final = frozenset({17, 21})
_ELSEWHERE: Final = 26
_NO_FAULT: Final = frozenset({0, 16, 18, 19, 31})


class Queueing:
    """Keeps the waits and offers of a floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    # ----------------------------------------------------------------------------------------------------------- waits

    def joined(self, leg: Leg, event: QueueJoined) -> None:
        for entry in leg.call.entries:
            if entry.leg is leg and entry.queue == event.queue and (entry.waiting or _same(entry.joined_at, event.at)):
                return
        self.open(leg, event.queue, event.position, event.at, event.at)

    def open(self, leg: Leg, queue: str, position: int, joined_at: float | None, at: float | None) -> Entry:
        """Let a leg wait. A wait that ended before without an answer flowed over into this one."""
        for before in leg.call.entries:
            if before.leg is leg and before.outcome in (EntryOutcome.TIMED_OUT, EntryOutcome.LEFT_BY_KEY):
                before.outcome = EntryOutcome.OVERFLOWED
        entry = Entry(self._floor.new_id(), leg.call, leg, queue, position, joined_at)
        leg.entry = entry
        leg.call.entries.append(entry)
        self._floor.waits.setdefault(queue, {})[entry.entry_id] = entry
        self._floor.tell(leg.call, CallQueued, at, entry_id=entry.entry_id, queue=queue, position=position)
        return entry

    def abandoned(self, leg: Leg, event: QueueAbandoned) -> None:
        entry = self._entry(leg, event.queue)
        if entry is None:
            return
        entry.abandoned = True
        if entry.left and entry.outcome is None:
            self.finish(entry, self._why_left(entry), event.at)

    def left(self, leg: Leg, event: QueueLeft) -> None:
        entry = self._entry(leg, event.queue)
        if entry is None or entry.left:
            return
        entry.left, entry.left_at = True, event.at
        self._unlist(entry)
        if entry.abandoned or leg.hung_up:
            self.finish(entry, self._why_left(entry), event.at)

    def leg_ended(self, leg: Leg, at: float | None) -> None:
        """Whoever waits no more because it is gone has abandoned; whoever was rung no more has answered or not."""
        for entry in leg.call.entries:
            if entry.leg is leg and entry.outcome is None:
                let_out = entry.left and not entry.abandoned and not leg.hung_up
                self.finish(entry, EntryOutcome.LEFT_BY_KEY if let_out else EntryOutcome.ABANDONED, at)
        if leg.offer is not None and leg.offer.result is None:
            self.finish_offer(leg.offer, self._why_missed(leg, leg.offer), at)

    def life_after(self, leg: Leg, at: float | None) -> None:
        """The leg goes on after it left the line without a word why: it was let out by a key."""
        entry = leg.entry
        if entry is not None and entry.left and entry.outcome is None:
            self.finish(entry, EntryOutcome.LEFT_BY_KEY, at)

    def _why_left(self, entry: Entry) -> EntryOutcome:
        gone = entry.leg.hung_up or not entry.leg.alive
        return EntryOutcome.ABANDONED if gone else EntryOutcome.TIMED_OUT

    def _entry(self, leg: Leg, queue: str) -> Entry | None:
        for entry in reversed(leg.call.entries):
            if entry.leg is leg and entry.queue == queue:
                return None if entry.outcome is not None else entry
        return None

    def finish(self, entry: Entry, outcome: EntryOutcome, at: float | None) -> None:
        """The wait is over."""
        entry.outcome = outcome
        entry.left = True
        if entry.left_at is None:
            entry.left_at = at
        if entry.leg.entry is entry:
            entry.leg.entry = None
        self._unlist(entry)
        wait_s = span(entry.joined_at, entry.left_at)
        self._floor.tell(entry.call, CallLeftQueue, at, entry_id=entry.entry_id, queue=entry.queue, outcome=outcome, wait_s=wait_s)

    def _unlist(self, entry: Entry) -> None:
        line = self._floor.waits.get(entry.queue)
        if line is not None and line.pop(entry.entry_id, None) is not None and not line:
            del self._floor.waits[entry.queue]

    # ---------------------------------------------------------------------------------------------------------- offers

    def offered(self, leg: Leg, event: OfferStarted) -> None:
        if event.offer_leg in self._floor.offers or self._floor.is_gone(event.offer_leg):
            return
        rung = self._floor.legs.get(event.offer_leg)
        entry = self._entry(leg, event.queue)
        if rung is not None and rung.offer is not None:  # told before as a direct one, since the queue spoke late
            rung.offer.queue, rung.offer.entry = event.queue, rung.offer.entry or entry
            return
        if rung is not None and not rung.alive:
            return
        offer = self._open_offer(leg.call, event.extension, event.queue, event.offer_leg, leg, event.at)
        if entry is not None:
            offer.entry = entry
            entry.offers.append(offer)
        if rung is not None:
            rung.offer = offer
        waited_s = None if entry is None else span(entry.joined_at, event.at)
        self._tell_offer(offer, event.at, waited_s)

    def rung(self, leg: Leg, at: float | None) -> None:
        """A seat's phone rings. Unless a queue does it (and says so itself), this is an offer of its own."""
        if not leg.is_seat or leg.inward or leg.offer is not None or leg.phase is not LegPhase.RINGING:
            return
        asker = self._floor.legs.get(leg.dialed_by) if leg.dialed_by else None
        behind = self._offer_behind(leg)
        if behind is not None:
            leg.offer = behind
            return
        waits = leg.call.waiting if leg.dialed_by is None else asker.entry if asker is not None else None
        if waits is not None and waits.waiting:
            return
        leg.offer = self._open_offer(leg.call, leg.extension, "", leg.pbx_leg, asker, at)
        self._tell_offer(leg.offer, at, None)

    def attach(self, leg: Leg) -> None:
        """A leg was heard of: the offer that named it before gets it."""
        offer = self._floor.offers.get(leg.pbx_leg)
        if offer is not None:
            leg.offer = offer

    def answered(self, leg: Leg, event: OfferAnswered) -> None:
        entry = self._entry(leg, event.queue)
        offer = self._floor.offers.get(event.offer_leg)
        if offer is not None and offer.result is None:
            self.finish_offer(offer, OfferResult.ANSWERED, event.at)
        if entry is not None:
            self.finish(entry, EntryOutcome.ANSWERED, event.at)

    def direct_answered(self, leg: Leg, at: float | None) -> None:
        """A phone that no queue rang was picked up."""
        if leg.offer is not None and leg.offer.entry is None and leg.offer.result is None:
            self.finish_offer(leg.offer, OfferResult.ANSWERED, at)

    def missed(self, leg: Leg, event: OfferMissed) -> None:
        offer = self._floor.offers.get(event.offer_leg)
        if offer is not None and offer.result is None:
            offer.missed, offer.ended_at = True, event.at
            rung = self._floor.legs.get(event.offer_leg)
            if rung is not None and not rung.alive:
                self.finish_offer(offer, self._why_missed(rung, offer), event.at)

    def seat_talks(self, leg: Leg, at: float | None) -> None:
        """The seat hears its party, so it took the offer, whatever else was or wasn't said."""
        offer = leg.offer
        if offer is None:
            return
        if offer.result is None:
            self.finish_offer(offer, OfferResult.ANSWERED, at)
        if offer.entry is not None and offer.entry.outcome is None:
            self.finish(offer.entry, EntryOutcome.ANSWERED, at)

    def finish_offer(self, offer: Offer, result: OfferResult, at: float | None) -> None:
        """The ringing is over."""
        rung = self._floor.legs.get(offer.offer_leg)
        offer.result = result
        if offer.ended_at is None:
            taken = result is OfferResult.ANSWERED and rung is not None
            offer.ended_at = (rung.answered_at if taken and rung is not None else None) or at
        self._floor.tell(
            offer.call,
            OfferEnded,
            at,
            offer_id=offer.offer_id,
            extension=offer.extension,
            queue=offer.queue,
            result=result,
            rang_s=span(offer.started_at, offer.ended_at),
        )

    def _open_offer(self, call: Call, extension: str, queue: str, offer_leg: str, asker: Leg | None, at: float | None) -> Offer:
        offer = Offer(self._floor.new_id(), call, extension, queue, offer_leg, asker, at)
        call.offers.append(offer)
        self._floor.offers[offer_leg] = offer
        return offer

    def _tell_offer(self, offer: Offer, at: float | None, waited_s: float | None) -> None:
        call = offer.call
        if not call.told:
            self._floor.tell_start(call, at)
        self._floor.tell(
            call,
            CallOffered,
            at,
            offer_id=offer.offer_id,
            extension=offer.extension,
            queue=offer.queue,
            caller=call.caller,
            caller_name=call.caller_name,
            direction=call.direction,
            waited_s=waited_s,
        )

    def _offer_behind(self, leg: Leg) -> Offer | None:
        """The open offer to this seat whose own leg is a pipe inside the PBX that leads here."""
        for offer in leg.call.offers:
            pipe = self._floor.legs.get(offer.offer_leg)
            if offer.result is None and offer.extension == leg.extension and pipe is not None and not pipe.is_real:
                return offer
        return None

    def _why_missed(self, leg: Leg, offer: Offer) -> OfferResult:
        asker, entry = offer.asked_by, offer.entry
        if leg.answered_at is not None and entry is None:
            return OfferResult.ANSWERED
        if leg.cause in _REJECTED:
            return OfferResult.REJECTED
        if leg.cause == _ELSEWHERE:
            return OfferResult.ANSWERED_ELSEWHERE
        if offer.missed:
            return OfferResult.NO_ANSWER
        if (entry is not None and entry.outcome is EntryOutcome.ANSWERED) or _taken_elsewhere(leg, offer):
            return OfferResult.ANSWERED_ELSEWHERE
        if asker is not None and (asker.hung_up or not asker.alive):
            return OfferResult.CALLER_LEFT
        if leg.cause is not None and leg.cause not in _NO_FAULT:
            return OfferResult.FAILED
        return OfferResult.NO_ANSWER


def _taken_elsewhere(leg: Leg, offer: Offer) -> bool:
    """A sister leg that rang at the same time for the same party talks."""
    return bool(leg.dialed_by) and any(
        other is not leg and other.dialed_by == leg.dialed_by and other.talked and other.endpoint.party is Party.SEAT
        for other in leg.call.legs
    )


def _same(one: float | None, other: float | None) -> bool:
    return one is not None and one == other
