"""One party's connection in a call, while it lives.

A record and its machine, no rules of the call around it. Times are the PBX's clock in seconds, None where it did not say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from unicodedata import category

from cti.pbx_events import Endpoint, Party

if TYPE_CHECKING:
    from cti.domain.call import Call, Entry, Offer, Segment


class LegPhase(StrEnum):
    """Leg states of the glossary."""

    DIALING = "dialing"
    RINGING = "ringing"
    CONNECTED = "connected"
    HELD = "held"
    ENDED = "ended"


class LegTrigger(StrEnum):
    """What moves a leg."""

    RANG = "rang"
    ANSWERED = "answered"
    HELD = "held"
    RESUMED = "resumed"
    ENDED = "ended"


_UNFIT: Final = frozenset({"Cc", "Cs"})

# What is not in the table changes nothing: the event came twice, late, or out of order.
LEG: Final[dict[tuple[LegPhase, LegTrigger], LegPhase]] = {
    (LegPhase.DIALING, LegTrigger.RANG): LegPhase.RINGING,
    (LegPhase.DIALING, LegTrigger.ANSWERED): LegPhase.CONNECTED,
    (LegPhase.RINGING, LegTrigger.ANSWERED): LegPhase.CONNECTED,
    (LegPhase.CONNECTED, LegTrigger.HELD): LegPhase.HELD,
    (LegPhase.HELD, LegTrigger.RESUMED): LegPhase.CONNECTED,
    (LegPhase.DIALING, LegTrigger.ENDED): LegPhase.ENDED,
    (LegPhase.RINGING, LegTrigger.ENDED): LegPhase.ENDED,
    (LegPhase.CONNECTED, LegTrigger.ENDED): LegPhase.ENDED,
    (LegPhase.HELD, LegTrigger.ENDED): LegPhase.ENDED,
}


def legible(text: str) -> str:
    """What a party's name or number says, without what no page, file or database takes: control characters, halves of characters."""
    if text.isprintable():
        return text
    return "".join(letter for letter in text if category(letter) not in _UNFIT)


@dataclass(slots=True, eq=False)
class Leg:
    """A leg as far as it is known. `dialed_by` names the leg it was called for, "" = the PBX by itself, None = not told."""

    leg_id: int
    pbx_leg: str
    call: Call
    endpoint: Endpoint
    number: str
    name: str
    dialed: str
    inward: bool
    started_at: float | None
    phase: LegPhase = LegPhase.DIALING
    dialed_by: str | None = None
    pair: str = ""
    bridge: str = ""
    moved_at: float | None = None  # last time it entered or left a bridge
    been: dict[str, float | None] = field(default_factory=dict)  # bridges it left, and when
    held_at: float | None = None  # last time its hold changed
    named_at: float | None = None  # last time its number was set
    busy_at: float | None = None  # first time it waited in a line or heard anybody
    parked_at: float | None = None  # last time it was put aside
    taken_up: bool = False  # it heard somebody since
    rang_at: float | None = None
    answered_at: float | None = None
    rang: bool = False  # also where nobody said when
    answered: bool = False
    ended_at: float | None = None
    hung_up: bool = False  # its party asked for the end before anybody else
    cause: int | None = None
    talked: bool = False
    left: bool = False  # its party is gone, though the PBX still keeps the leg
    missing_since: float | None = None
    is_seat: bool = field(init=False)  # its party is a seat's phone
    is_real: bool = field(init=False)  # its party is a person or may be one; not the PBX itself
    extension: str = field(init=False)  # of the seat, "" for anyone else
    offer: Offer | None = None
    entry: Entry | None = None  # the wait it is in now
    segments: list[Segment] = field(default_factory=list)  # open ones

    @property
    def alive(self) -> bool:
        """Not known to have ended."""
        return self.phase is not LegPhase.ENDED

    def __post_init__(self) -> None:
        self.is_seat = self.endpoint.party is Party.SEAT
        self.is_real = self.endpoint.party is not Party.SYSTEM
        self.extension = self.endpoint.name if self.is_seat else ""

    @property
    def spoken_name(self) -> str:
        """How others call this party: a seat by extension, an outside one by number."""
        return self.endpoint.name if self.is_seat or not self.is_real else self.number or self.endpoint.name

    @property
    def parked(self) -> bool:
        """Put aside, and heard by nobody since."""
        return self.alive and self.parked_at is not None and not self.bridge and not self.taken_up

    def busy(self, at: float | None) -> None:
        """It waits or hears somebody, from now at the latest."""
        if self.busy_at is None or (at is not None and at < self.busy_at):
            self.busy_at = at

    def same_party(self, other: Leg) -> bool:
        """Whether one party stands at the ends of both."""
        return self is other or (self.is_seat and other.is_seat and self.endpoint.name == other.endpoint.name)

    def move(self, trigger: LegTrigger) -> bool:
        """Take a step of the machine; False if the trigger means nothing now."""
        following = LEG.get((self.phase, trigger))
        if following is None:
            return False
        self.phase = following
        return True
