"""Offers: which seat is being rung for whom, by a queue or by somebody who dialled it, and how each ringing ended.

Knows nothing of bridges. A queue's offer is known by its own word; a seat that rings without one is offered a call directly.
"""

from __future__ import annotations

from typing import Final

from cti.domain.call import Call, Entry, Offer, span
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegPhase
from cti.domain.waits import Waits
from cti.events import CallOffered, EntryOutcome, OfferEnded
from cti.pbx_events import OfferAnswered, OfferMissed, OfferResult, OfferStarted

_REJECTED: Final = frozenset({17, 21})
_ELSEWHERE: Final = frozenset({23, 26})  # 23: the phone sent its call on to another
_NO_FAULT: Final = frozenset({0, 16, 18, 19, 31})


class Offers:
    """Keeps the offers of a floor."""

    def __init__(self, floor: Floor, waits: Waits) -> None:
        self._floor = floor
        self._waits = waits

    def offered(self, leg: Leg, event: OfferStarted) -> None:
        entry = self._waits.entry(leg, event.queue)
        known = self._floor.offers.get(event.offer_leg) or self._direct(leg.call, event.extension) or self._through(event.offer_leg)
        if known is not None:
            self._learn(known, event, leg, entry)
            return
        rung = self._floor.legs.get(event.offer_leg)
        if self._floor.is_gone(event.offer_leg):
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

    def _learn(self, offer: Offer, event: OfferStarted, asker: Leg, entry: Entry | None) -> None:
        """The offer was told before: by its end, or as a direct one, since the queue spoke late."""
        if event.offer_leg not in self._floor.offers:
            offer.pipe, self._floor.offers[event.offer_leg] = event.offer_leg, offer
        if offer.started_at is not None and event.at is not None:
            offer.started_at = min(offer.started_at, event.at)
        offer.queue, offer.asked_by = event.queue, asker
        if offer.entry is None and entry is not None:
            offer.entry = entry
            entry.offers.append(offer)

    def _direct(self, call: Call, extension: str) -> Offer | None:
        """The open offer to this seat that is not known to be a queue's, made by a pipe inside the PBX."""
        for offer in call.offers:
            piped = offer.asked_by is None or not offer.asked_by.is_real
            if offer.result is None and offer.extension == extension and not offer.queue and piped:
                return offer
        return None

    def _through(self, name: str) -> Offer | None:
        """The offer to the seat behind a pipe inside the PBX, made before the queue named the pipe."""
        pipe = self._floor.legs.get(name)
        if pipe is None or pipe.is_real or not pipe.pair:
            return None
        return next((leg.offer for leg in pipe.call.legs if leg.dialed_by == pipe.pair and leg.offer is not None), None)

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
        offer = self._begun(leg, event)
        if offer is not None and offer.result is None:
            self.finish(offer, OfferResult.ANSWERED, event.at)
        self._waits.answered(leg, event.queue, event.at)
        for segment in leg.segments:
            taker = segment.other(leg).offer
            if taker is not None and taker is offer and not segment.queue:
                segment.queue = event.queue  # the two were joined before the queue said so

    def leg_ended(self, leg: Leg, at: float | None) -> None:
        """A phone rings no more: it was answered, or it was not."""
        if leg.offer is not None and leg.offer.result is None:
            self.finish(leg.offer, self._why_missed(leg, leg.offer), at)

    def direct_answered(self, leg: Leg, at: float | None) -> None:
        """A phone that no queue rang was picked up."""
        if leg.offer is not None and not leg.offer.queue and leg.offer.result is None:
            self.finish(leg.offer, OfferResult.ANSWERED, at)

    def missed(self, leg: Leg, event: OfferMissed) -> None:
        offer = self._begun(leg, event)
        if offer is not None and offer.result is None:
            offer.missed, offer.ended_at = True, event.at
            rung = self._floor.legs.get(event.offer_leg)
            if rung is not None and not rung.alive:
                self.finish(offer, self._why_missed(rung, offer), event.at)

    def _begun(self, leg: Leg, event: OfferAnswered | OfferMissed) -> Offer | None:
        """The offer whose end is told; it is begun here if its beginning is told later, or if another seat took the call."""
        taker = self._taker(event.offer_leg)
        name = event.offer_leg if taker is None else taker.pbx_leg
        extension = event.extension if taker is None else taker.extension
        if name not in self._floor.offers or taker is not None:
            self.offered(leg, OfferStarted(leg=event.leg, offer_leg=name, queue=event.queue, extension=extension, at=event.at))
        return self._floor.offers.get(name)

    def _taker(self, offer_leg: str) -> Leg | None:
        """The seat that took an offer made to another: it picked it up, or was sent it by the other's phone. None if nobody did."""
        if offer_leg in self._floor.offers:
            return None
        leg = self._floor.legs.get(offer_leg)
        if leg is None or leg.is_seat:
            return leg
        behind = [other for other in leg.call.legs if other.is_seat and other.dialed_by and other.dialed_by == leg.pair]
        taken = [other for other in behind if other.answered]
        return taken[0] if taken else behind[0] if len(behind) == 1 else None

    def seat_talks(self, leg: Leg, at: float | None) -> None:
        """The seat hears its party, so it took the offer, whatever else was or wasn't said."""
        offer = leg.offer
        if offer is None:
            return
        if offer.result is None:
            self.finish(offer, OfferResult.ANSWERED, at)
        if offer.entry is not None:
            self._waits.answered(offer.entry.leg, offer.queue, at)

    def finish(self, offer: Offer, result: OfferResult, at: float | None) -> None:
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
        """The open offer to this seat whose own leg is a pipe inside the PBX that leads here, or one not told of yet."""
        for offer in leg.call.offers:
            pipe = self._floor.legs.get(offer.offer_leg)
            if offer.result is None and offer.extension == leg.extension and (pipe is None or not pipe.is_real):
                return offer
        return None

    def _why_missed(self, leg: Leg, offer: Offer) -> OfferResult:
        asker, entry = offer.asked_by, offer.entry
        if leg.answered and not offer.queue:
            return OfferResult.ANSWERED
        if leg.cause in _REJECTED:
            return OfferResult.REJECTED
        if leg.cause in _ELSEWHERE:
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
        other is not leg and other.dialed_by == leg.dialed_by and other.talked and other.is_seat for other in leg.call.legs
    )
