"""The fact that goes into the books: a finished call in plain, frozen words.

Copies what the call's own records say once `closing` has settled them; it concludes nothing but what stands beside what.
"""

from __future__ import annotations

from cti.domain.call import JOINT_S, Call, Entry, Offer, Segment, Transfer, span
from cti.domain.closing import FAILED, outcome_of, settle_transfers, settle_waits
from cti.domain.leg import Leg
from cti.events import (
    CallFact,
    Direction,
    EntryFact,
    EntryOutcome,
    LegFact,
    OfferFact,
    Outcome,
    SegmentFact,
    TransferFact,
)
from cti.pbx_events import OfferResult


def fact_of(call: Call, *, unit_id: int, pbx_id: int, epoch: str, ended_at: float | None, unobserved: bool) -> CallFact:
    """The call as it goes into the books. Settles what was open."""
    settle_waits(call)
    settle_transfers(call)
    call.direction = call.decide_direction(at_end=True) or Direction.INTERNAL
    outcome = outcome_of(call)
    return CallFact(
        unit_id=unit_id,
        pbx_id=pbx_id,
        epoch=epoch,
        pbx_call_id=call.pbx_call,
        call_id=call.call_id,
        direction=call.direction,
        caller=call.caller,
        caller_name=call.caller_name,
        dialed=call.dialed,
        started_at=call.started_at,
        answered_at=call.answered_at if call.answered_at is not None or outcome is not Outcome.ANSWERED else _picked_up(call),
        ended_at=ended_at,
        outcome=outcome,
        rebuilt=call.rebuilt,
        recording_file=call.recordings[0] if call.recordings else "",
        legs=tuple([_leg_fact(leg) for leg in call.legs if leg.is_real]),
        entries=tuple([_entry_fact(entry) for entry in call.entries]),
        segments=tuple([_segment_fact(segment) for segment in _in_order(call)]),
        transfers=tuple([_transfer_fact(transfer) for transfer in call.transfers]),
        unobserved=unobserved,
    )


def _in_order(call: Call) -> list[Segment]:
    """The segments by their start; those that began together by the age of their legs."""
    if len(call.segments) < 2:
        return call.segments
    place = {leg: number for number, leg in enumerate(call.legs)}
    segments = [one for one in call.segments if not _in_passing(one, call)]
    return sorted(segments, key=lambda one: (one.started_at or 0.0, place[one.a], place[one.b]))


def _in_passing(segment: Segment, call: Call) -> bool:
    """Two who were joined for a moment while the PBX put one into another's place: both talk with others, not with one another."""
    lasted = span(segment.started_at, segment.ended_at)
    if lasted is None or lasted > JOINT_S:
        return False
    others = [one for one in call.segments if one is not segment and (span(one.started_at, one.known_until) or 0.0) > JOINT_S]
    return all(any(leg in (one.a, one.b) for one in others) for leg in (segment.a, segment.b))


def _picked_up(call: Call) -> float | None:
    moments = [leg.answered_at for leg in call.legs if leg.is_real and not leg.inward and leg.answered_at is not None]
    return min(moments, default=None)


def _leg_fact(leg: Leg) -> LegFact:
    return LegFact(
        leg_id=leg.leg_id,
        pbx_leg_id=leg.pbx_leg,
        party=str(leg.endpoint.party),
        endpoint=leg.endpoint.name,
        number=leg.number,
        started_at=leg.started_at,
        rang_at=leg.rang_at,
        answered_at=leg.answered_at,
        rang=leg.rang,
        answered=leg.answered,
        ended_at=leg.ended_at,
        hangup_cause=leg.cause,
    )


def _entry_fact(entry: Entry) -> EntryFact:
    return EntryFact(
        entry_id=entry.entry_id,
        queue=entry.queue,
        joined_at=entry.joined_at,
        left_at=entry.left_at,
        wait_s=span(entry.joined_at, entry.left_at),
        outcome=entry.outcome or EntryOutcome.ABANDONED,
        offers=tuple([_offer_fact(offer) for offer in entry.offers]),
    )


def _offer_fact(offer: Offer) -> OfferFact:
    return OfferFact(
        offer_id=offer.offer_id,
        extension=offer.extension,
        started_at=offer.started_at,
        ended_at=offer.ended_at,
        result=offer.result or OfferResult.CALLER_LEFT,
    )


def _segment_fact(segment: Segment) -> SegmentFact:
    lasted = span(segment.started_at, segment.known_until) or 0.0
    seat = segment.seat
    return SegmentFact(
        segment_id=segment.segment_id,
        leg_a=segment.a.leg_id,
        leg_b=segment.b.leg_id,
        extension="" if seat is None else seat.extension,
        queue=segment.queue,
        started_at=segment.started_at,
        ended_at=segment.ended_at,
        talk_s=max(0.0, lasted - segment.hold_s),
        hold_s=segment.hold_s,
    )


def _transfer_fact(transfer: Transfer) -> TransferFact:
    return TransferFact(
        kind=transfer.kind,
        by=transfer.by.spoken_name,
        to=transfer.to,
        result=transfer.result or FAILED,
        at=transfer.at,
    )
