"""What the product says happened: domain events, in the past tense.

They come out of the call board and the seats, carry our own 64-bit identifiers, and are what feeds, the call journal, recordings
and links listen to. `at` is UTC seconds since the Unix epoch by the PBX's clock (None: unknown, never a guess). Every event names
its business unit and PBX. `WIRE` is the name on the bus, in webhooks and in journals; `VERSION` changes when a field changes meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from crm_core.matches import Match
from cti.pbx_events import OfferResult, TransferKind


class Direction(StrEnum):
    """Where a call came from, seen from the centre."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a call ended (house glossary: Call.outcome)."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    FAILED = "failed"
    ENDED_IN_MENU = "ended_in_menu"
    VOICEMAIL = "voicemail"
    CALLBACK_REQUESTED = "callback_requested"
    CLOSED = "closed"


class EntryOutcome(StrEnum):
    """How a wait in a queue ended (house glossary: QueueEntry.outcome)."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    TIMED_OUT = "timed_out"
    OVERFLOWED = "overflowed"
    CALLBACK = "callback"
    LEFT_BY_KEY = "left_by_key"
    REFUSED = "refused"


class DomainEvent(Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened in the centre."""

    WIRE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1

    unit_id: int
    pbx_id: int
    at: float | None


class CallEvent(DomainEvent, frozen=True, kw_only=True, gc=False):
    """Something that happened to a call."""

    call_id: int


class CallStarted(CallEvent, frozen=True, kw_only=True, gc=False):
    """A call exists. `caller` is the calling number as the PBX sent it, "" = withheld; `dialed` the number called."""

    WIRE: ClassVar[str] = "call.started"
    direction: Direction
    caller: str
    caller_name: str
    dialed: str


class CallQueued(CallEvent, frozen=True, kw_only=True, gc=False):
    """The call began to wait in a queue."""

    WIRE: ClassVar[str] = "call.queued"
    entry_id: int
    queue: str
    position: int


class CallLeftQueue(CallEvent, frozen=True, kw_only=True, gc=False):
    """The wait is over."""

    WIRE: ClassVar[str] = "call.left_queue"
    entry_id: int
    queue: str
    outcome: EntryOutcome
    wait_s: float | None


class CallOffered(CallEvent, frozen=True, kw_only=True, gc=False):
    """A seat's phone is being rung for this call: the moment of the screen-pop."""

    WIRE: ClassVar[str] = "call.offered"
    offer_id: int
    extension: str
    queue: str  # "" for a direct call
    caller: str
    caller_name: str
    direction: Direction
    waited_s: float | None


class OfferEnded(CallEvent, frozen=True, kw_only=True, gc=False):
    """The ringing of one seat is over."""

    WIRE: ClassVar[str] = "call.offer_ended"
    offer_id: int
    extension: str
    queue: str
    result: OfferResult
    rang_s: float | None


class CallAnswered(CallEvent, frozen=True, kw_only=True, gc=False):
    """A seat and the other party hear one another."""

    WIRE: ClassVar[str] = "call.answered"
    extension: str
    queue: str


class CallHeld(CallEvent, frozen=True, kw_only=True, gc=False):
    """The seat put the other party on hold."""

    WIRE: ClassVar[str] = "call.held"
    extension: str


class CallResumed(CallEvent, frozen=True, kw_only=True, gc=False):
    """The seat took the other party back."""

    WIRE: ClassVar[str] = "call.resumed"
    extension: str


class CallTransferred(CallEvent, frozen=True, kw_only=True, gc=False):
    """The call was passed on."""

    WIRE: ClassVar[str] = "call.transferred"
    kind: TransferKind
    by: str
    to: str
    done: bool


class CallMerged(CallEvent, frozen=True, kw_only=True, gc=False):
    """Two calls became one conversation: this one goes on as part of `into` and gets no CallEnded of its own."""

    WIRE: ClassVar[str] = "call.merged"
    into: int


class SeatLeftCall(CallEvent, frozen=True, kw_only=True, gc=False):
    """A seat's part in the call is over; `hung_up_by_seat` tells who ended it, None where unknown."""

    WIRE: ClassVar[str] = "call.seat_left"
    extension: str
    queue: str
    talked: bool
    hung_up_by_seat: bool | None


class RecordingBegan(CallEvent, frozen=True, kw_only=True, gc=False):
    """The call is being recorded into `file` (the PBX's name)."""

    WIRE: ClassVar[str] = "call.recording_began"
    file: str


# -------------------------------------------------------------------------------------------------- the finished call


class LegFact(Struct, frozen=True, kw_only=True, gc=False):
    """One party's connection, finished."""

    leg_id: int
    pbx_leg_id: str
    party: str
    endpoint: str
    number: str
    started_at: float | None
    rang_at: float | None
    answered_at: float | None
    ended_at: float | None
    hangup_cause: int | None
    rang: bool = False  # also where nobody said when
    answered: bool = False


class OfferFact(Struct, frozen=True, kw_only=True, gc=False):
    """One seat rung for one queue entry, finished."""

    offer_id: int
    extension: str
    started_at: float | None
    ended_at: float | None
    result: OfferResult


class EntryFact(Struct, frozen=True, kw_only=True, gc=False):
    """One wait in a queue, finished. `wait_s` counts from joining to the answer, or to leaving."""

    entry_id: int
    queue: str
    joined_at: float | None
    left_at: float | None
    wait_s: float | None
    outcome: EntryOutcome
    offers: tuple[OfferFact, ...]


class SegmentFact(Struct, frozen=True, kw_only=True, gc=False):
    """Who talked with whom from when to when, and how long of it on hold. Seconds."""

    segment_id: int
    leg_a: int
    leg_b: int
    extension: str  # the seat in it, "" if none
    queue: str
    started_at: float | None
    ended_at: float | None
    talk_s: float
    hold_s: float


class TransferFact(Struct, frozen=True, kw_only=True, gc=False):
    """One passing-on."""

    kind: TransferKind
    by: str
    to: str
    result: str  # completed, failed, cancelled
    at: float | None


class CallFact(Struct, frozen=True, kw_only=True, gc=False):
    """A finished call with all its parts: what goes into the books, once."""

    unit_id: int
    pbx_id: int
    epoch: str
    pbx_call_id: str
    call_id: int
    direction: Direction
    caller: str
    caller_name: str
    dialed: str
    started_at: float | None
    answered_at: float | None
    ended_at: float | None
    outcome: Outcome
    recording_file: str
    legs: tuple[LegFact, ...]
    entries: tuple[EntryFact, ...]
    segments: tuple[SegmentFact, ...]
    transfers: tuple[TransferFact, ...]
    rebuilt: bool = False  # a part of it was not heard, but read in the PBX's books
    unobserved: bool = False  # ended while nobody listened; its times may be incomplete


class CallEnded(CallEvent, frozen=True, kw_only=True, gc=False):
    """The call is over; `fact` is everything that is known of it."""

    WIRE: ClassVar[str] = "call.ended"
    fact: CallFact


# --------------------------------------------------------------------------------------------------------- phones, links


class PhoneRegistered(DomainEvent, frozen=True, kw_only=True, gc=False):
    """The phone of an extension can be rung."""

    WIRE: ClassVar[str] = "phone.registered"
    extension: str


class PhoneLost(DomainEvent, frozen=True, kw_only=True, gc=False):
    """The phone of an extension can't be rung."""

    WIRE: ClassVar[str] = "phone.lost"
    extension: str


class PbxLinkChanged(DomainEvent, frozen=True, kw_only=True, gc=False):
    """The control link to the PBX came up or went down."""

    WIRE: ClassVar[str] = "pbx.link"
    up: bool
    why: str


# ----------------------------------------------------------------------------------------------- seats, callers, the books


class SeatChanged(DomainEvent, frozen=True, kw_only=True, gc=False):
    """A seat went into another state, or something beside its state changed (next state, end of wrap-up). `since` is UTC seconds."""

    WIRE: ClassVar[str] = "seat.changed"
    user_id: int
    seat_id: int
    extension: str
    phone: str
    state: str
    since: float | None
    reason: str
    next_state: str
    next_reason: str
    wrap_up_ends: float | None
    call_id: int | None


class CallerKnown(CallEvent, frozen=True, kw_only=True, gc=False):
    """Who a call's outside party may be. `key` and `kind` as in crm_core.numbers; several matches leave the choice to the agent."""

    WIRE: ClassVar[str] = "call.caller_known"
    key: str
    kind: str
    shown: str
    matches: tuple[Match, ...]


class CallLinked(CallEvent, frozen=True, kw_only=True, gc=False):
    """An agent said whom the call is with."""

    WIRE: ClassVar[str] = "call.linked"
    customer_id: int
    user_id: int


class CallBooked(CallEvent, frozen=True, kw_only=True, gc=False):
    """A finished call stands in the database, with the people who took part in it."""

    WIRE: ClassVar[str] = "call.booked"
    fact: CallFact
    day: str
    user_ids: tuple[int, ...]


class WrapUpBooked(CallEvent, frozen=True, kw_only=True, gc=False):
    """A wrap-up is over and stands in the database."""

    WIRE: ClassVar[str] = "call.wrap_up_booked"
    user_id: int
    day: str
