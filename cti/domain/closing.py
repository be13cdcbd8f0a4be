"""The finished call: what it all amounts to, and the fact that goes into the books.

Pure reading of a call whose last leg has ended (or is held for ended); nothing is told from here and no event is looked at.
"""

from __future__ import annotations

from typing import Final

from cti.domain.call import AT_ONCE_S, JOINT_S, Call, Entry, Offer, Segment, Transfer, span
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
from cti.pbx_events import OfferResult, Party, Refusal, TransferKind

COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"

_BUSY: Final = frozenset({17})
_REJECTED: Final = frozenset({21})
_CANCELLED: Final = 127  # what a phone that gives up while the other rings is said to end with; trouble between networks, too
_UNANSWERED: Final = frozenset({0, 16, 18, 19, 31, 32})
# How a call ended whose last queue refused it: the line was engaged, it was outside hours, or there was nobody to answer.
_REFUSED: Final = {Refusal.FULL: Outcome.BUSY, Refusal.CLOSED: Outcome.CLOSED, Refusal.NOBODY: Outcome.NO_ANSWER}
# A wait that ends like this flows over if another follows.
_LET_GO: Final = frozenset({EntryOutcome.TIMED_OUT, EntryOutcome.LEFT_BY_KEY})
_WENT: Final = frozenset({EntryOutcome.ABANDONED, EntryOutcome.LEFT_BY_KEY, EntryOutcome.CALLBACK})
# Notes of the dialplan that say how a call ended that nobody answered.
CALLBACK_NOTE: Final = "CallbackRequest"
VOICEMAIL_NOTE: Final = "Voicemail"


def settle_waits(call: Call) -> None:
    """Give every wait and offer its last word, now that it is known what the caller's leg did afterwards."""
    _gather_offers(call)
    for place, entry in enumerate(call.entries):
        leg, gap = entry.leg, span(entry.left_at, entry.leg.ended_at)
        if entry.outcome is None:
            entry.outcome = EntryOutcome.ABANDONED
        # whoever is gone at once, without a cause from the dialplan, did not time out
        at_once = leg.cause == 0 and (gap is None or gap <= AT_ONCE_S)
        if entry.outcome is EntryOutcome.TIMED_OUT and at_once:
            entry.outcome = EntryOutcome.ABANDONED
        if entry.outcome is EntryOutcome.LEFT_BY_KEY and _noted(call, CALLBACK_NOTE):
            entry.outcome = EntryOutcome.CALLBACK
        if entry.outcome in _LET_GO and any(later.leg is leg for later in call.entries[place + 1 :]):
            entry.outcome = EntryOutcome.OVERFLOWED
        for offer in entry.offers:
            if entry.outcome in _WENT and offer.result is OfferResult.NO_ANSWER and not offer.missed:
                offer.result = OfferResult.CALLER_LEFT
            elif entry.outcome is not EntryOutcome.ANSWERED and offer.result is OfferResult.ANSWERED_ELSEWHERE:
                offer.result = OfferResult.NO_ANSWER  # it was sent on, and nobody answered there either
    for offer in call.offers:
        if offer.result is None:
            offer.result = OfferResult.CALLER_LEFT


def _gather_offers(call: Call) -> None:
    """Put the offers that were told before their wait to that wait."""
    for offer in call.offers:
        if offer.queue and offer.entry is None:
            waits = [entry for entry in call.entries if entry.queue == offer.queue and entry.leg is offer.asked_by]
            if waits:
                offer.entry = waits[-1]
                waits[-1].offers.append(offer)
    for entry in call.entries:
        entry.offers.sort(key=lambda offer: offer.started_at or 0.0)


def outcome_of(call: Call) -> Outcome:
    """How the call ended, by the glossary's table."""
    if call.listens or any(segment.seat is not None for segment in call.segments):
        return Outcome.ANSWERED
    if _noted(call, CALLBACK_NOTE):
        return Outcome.CALLBACK_REQUESTED
    if _noted(call, VOICEMAIL_NOTE):
        return Outcome.VOICEMAIL
    if call.entries:
        last = call.entries[-1]
        if last.refusal is not None:
            return _REFUSED[last.refusal]
        return Outcome.ABANDONED if last.outcome is EntryOutcome.ABANDONED else Outcome.NO_ANSWER
    return _unqueued_outcome(call)


def _unqueued_outcome(call: Call) -> Outcome:
    head = call.head
    called = [leg for leg in call.legs if leg.is_real and not leg.inward and not _own_leg(leg, call)]
    if not called:
        if head is not None and head.endpoint.party is Party.TRUNK and head.inward:
            return Outcome.ENDED_IN_MENU if head.answered else Outcome.FAILED
        return Outcome.FAILED if call.direction is Direction.OUTBOUND else Outcome.ENDED_IN_MENU
    if any(leg.answered for leg in called):
        return Outcome.ANSWERED
    return _refusal(called[-1])


def _own_leg(leg: Leg, call: Call) -> bool:
    """The seat's own phone in click-to-dial: being rung, it is yet the one that calls."""
    return leg is call.head and leg.is_seat


def _refusal(leg: Leg) -> Outcome:
    if leg.cause in _BUSY:
        return Outcome.BUSY
    if leg.cause in _REJECTED:
        return Outcome.REJECTED
    if leg.cause == _CANCELLED and leg.rang:
        return Outcome.NO_ANSWER
    return Outcome.NO_ANSWER if leg.cause is None or leg.cause in _UNANSWERED else Outcome.FAILED


def _noted(call: Call, kind: str) -> bool:
    return any(note == kind for note, _ in call.notes)


def settle_transfers(call: Call) -> None:
    """Say of every passing-on whether its party then reached somebody else."""
    for transfer in call.transfers:
        asked = transfer.returned_from
        if asked is not None:
            transfer.result = FAILED if not asked.answered and asked.cause not in (None, 0, 16) else CANCELLED
        elif transfer.result is None:
            transfer.result = COMPLETED if transfer.done and _arrived(call, transfer) else FAILED


def _arrived(call: Call, transfer: Transfer) -> bool:
    party = transfer.party
    if party is None:
        return True
    for segment in call.segments:
        if party in (segment.a, segment.b) and not segment.other(party).same_party(transfer.by):
            lasts = segment.ended_at is None or transfer.at is None or segment.ended_at > transfer.at
            if lasts:
                return True
    if transfer.kind is TransferKind.ATTENDED:
        return False
    return any(entry.leg is party and not _before(entry.joined_at, transfer.at) for entry in call.entries)


def _before(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


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
        legs=tuple(_leg_fact(leg) for leg in call.legs if leg.is_real),
        entries=tuple(_entry_fact(entry) for entry in call.entries),
        segments=tuple(_segment_fact(segment) for segment in _in_order(call)),
        transfers=tuple(_transfer_fact(transfer) for transfer in call.transfers),
        unobserved=unobserved,
    )


def _in_order(call: Call) -> list[Segment]:
    """The segments by their start; those that began together by the age of their legs."""
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
        party=leg.endpoint.party.value,
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
        offers=tuple(_offer_fact(offer) for offer in entry.offers),
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
