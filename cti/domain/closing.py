"""The finished call: what it all amounts to.

Gives each part its last word once a call's last leg has ended (or is held for ended); nothing is told from here and no event is
looked at. How it is put into the books is `fact`'s business.
"""

from __future__ import annotations

from typing import Final

from cti.domain.call import AT_ONCE_S, Call, Transfer, span
from cti.domain.leg import Leg
from cti.events import Direction, EntryOutcome, Outcome
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
        if len(entry.offers) > 1:
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
