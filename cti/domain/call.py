"""A call while it lives, and what hangs on it: waits, offers, segments, transfers.

Records and the plain questions they can answer about themselves; how events change them is told in the board's modules.
Times are the PBX's clock in seconds, None where it did not say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cti.domain.leg import Leg
from cti.events import Direction, EntryOutcome
from cti.pbx_events import OfferResult, Party, Refusal, TransferKind

# What one party does within this time of the PBX's doing something is the cause of it, or its effect; no separate act.
AT_ONCE_S: Final = 0.5
# So long it may take the PBX to put one leg or pipe into another's place: who hears whom meanwhile means nothing.
JOINT_S: Final = 0.1


def span(start: float | None, end: float | None) -> float | None:
    """Seconds from start to end, never negative; None if either is unknown."""
    if start is None or end is None:
        return None
    return end - start if end > start else 0.0


def older(at: float | None, than: float | None) -> bool:
    """Whether something happened before something else; False if either is unknown."""
    return at is not None and than is not None and at < than


def near(one: float | None, other: float | None) -> bool:
    """Whether two things happened at once, or may have."""
    return one is None or other is None or abs(one - other) <= AT_ONCE_S


@dataclass(slots=True, eq=False)
class Offer:
    """One seat being rung. `offer_leg` is the PBX's name of its leg, which may come to be known later than the offer.

    `pipe` is the leg that the queue named where it rings the seat through a pipe inside the PBX and said so late.
    """

    offer_id: int
    call: Call
    extension: str
    queue: str
    offer_leg: str
    asked_by: Leg | None
    started_at: float | None
    entry: Entry | None = None
    missed: bool = False
    ended_at: float | None = None
    result: OfferResult | None = None
    pipe: str = ""


@dataclass(slots=True, eq=False)
class Entry:
    """One wait in a queue. `outcome` is None while it waits, and until it is clear why the wait ended."""

    entry_id: int
    call: Call
    leg: Leg  # who waits now
    queue: str
    position: int
    joined_at: float | None
    left_at: float | None = None
    left: bool = False
    abandoned: bool = False
    outcome: EntryOutcome | None = None
    refusal: Refusal | None = None
    joiner: Leg = field(init=False)  # who came; another may take its place
    offers: list[Offer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.joiner = self.leg

    @property
    def waiting(self) -> bool:
        """Still in the line."""
        return not self.left and self.outcome is None


@dataclass(slots=True, eq=False)
class Segment:
    """Two legs that hear one another. `apart`: the one went to consult somebody while this one waits on hold."""

    segment_id: int
    a: Leg
    b: Leg
    queue: str
    started_at: float | None
    ended_at: float | None = None
    known_until: float | None = None  # the last moment it was known to go on, where nobody saw its end
    open: bool = True
    apart: bool = False
    apart_at: float | None = None
    hold_s: float = 0.0
    held_since: float | None = None

    def other(self, leg: Leg) -> Leg:
        """The one this leg hears."""
        return self.b if leg is self.a else self.a

    @property
    def seat(self) -> Leg | None:
        """The seat in it; of two seats the one that was called."""
        if self.b.is_seat:
            return self.b
        return self.a if self.a.is_seat else None


@dataclass(slots=True, eq=False)
class Transfer:
    """One passing-on; `result` is None until the call's end shows what became of it.

    `returned_from` is whom the seat had consulted before it took its party back.
    """

    kind: TransferKind
    by: Leg
    party: Leg | None
    to: str
    done: bool
    at: float | None
    result: str | None = None
    returned_from: Leg | None = None


@dataclass(slots=True, eq=False)
class Call:
    """One conversation. `aliases` are all the names by which the PBX counts legs to it."""

    call_id: int
    pbx_call: str
    started_at: float | None
    aliases: set[str] = field(default_factory=set)
    legs: list[Leg] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    notes: list[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)  # calls that became part of this one
    rebuilt: bool = False  # a part of it was not heard, but read in the PBX's books
    listens: bool = False  # a supervisor's ear, no conversation
    direction: Direction | None = None
    told: bool = False
    answered_at: float | None = None
    head: Leg | None = None  # the party it began with: the earliest leg that isn't the PBX's own

    def take_in(self, leg: Leg) -> None:
        """Count a leg to this call, in the order in which legs began: after the one it is named after, however the clock was set."""
        leg.call = self
        place, born = len(self.legs), leg.started_at
        if leg.pbx_leg == self.pbx_call:
            place = 0
        first = 1 if self.legs and self.legs[0].pbx_leg == self.pbx_call else 0
        while born is not None and place > first and (self.legs[place - 1].started_at or 0.0) > born:
            place -= 1
        self.legs.insert(place, leg)
        if leg.is_real and (self.head is None or place < self.legs.index(self.head)):
            self.head = leg

    def let_go(self) -> None:
        """The call is booked: let go of its parts, which point back at it, so that memory is free at once."""
        self.head = None
        for entry in self.entries:
            entry.offers.clear()
        for leg in self.legs:
            leg.offer = leg.entry = None
        for offer in self.offers:
            offer.entry = None
        for parts in (self.legs, self.entries, self.offers, self.segments, self.transfers):
            parts.clear()

    @property
    def waiting(self) -> Entry | None:
        """The wait the call is in, if any."""
        return next((entry for entry in self.entries if entry.waiting), None)

    def decide_direction(self, *, at_end: bool = False) -> Direction | None:
        """Where the call goes, as far as its legs tell; `at_end` forces an answer."""
        head = self.head
        if head is None:
            return None
        if self.listens:
            return Direction.INTERNAL
        if head.endpoint.party is Party.TRUNK:
            return Direction.INBOUND if head.inward else Direction.OUTBOUND
        others = [leg for leg in self.legs if leg is not head and leg.is_real]
        if any(leg.endpoint.party is Party.TRUNK for leg in others):
            return Direction.OUTBOUND
        if any(leg.extension != head.extension for leg in others) or self.entries:
            return Direction.INTERNAL
        if not head.inward:
            return Direction.OUTBOUND  # the PBX rings a seat on its own: click-to-dial
        if at_end:
            return Direction.OUTBOUND if len(head.dialed) > 6 else Direction.INTERNAL
        return None

    @property
    def caller(self) -> str:
        """The calling number as the PBX sent it; "" = withheld, or the PBX itself called."""
        head = self.head
        return "" if head is None or (not head.is_seat and not head.inward) else head.number

    @property
    def caller_name(self) -> str:
        """The caller's name as the PBX sent it."""
        head = self.head
        return "" if head is None or (not head.is_seat and not head.inward) else head.name

    @property
    def dialed(self) -> str:
        """The number called."""
        head = self.head
        if head is None:
            return ""
        if not head.is_seat and not head.inward:
            return head.number
        if head.dialed:
            return head.dialed
        return next((leg.spoken_name for leg in self.legs if leg is not head and leg.is_real), "")
