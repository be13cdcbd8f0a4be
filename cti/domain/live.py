"""The present moment, for screens and seats: which calls live, who waits, what each extension is in.

Read-only pictures of the board's memory, made when asked for; nothing here is told as an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cti.domain.call import Call
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegPhase
from cti.events import Direction
from cti.pbx_events import MemberSeen


class CallPhase(StrEnum):
    """How far a live call has come."""

    DIALING = "dialing"  # begun: nobody rings, waits or talks
    WAITING = "waiting"  # in a queue, no seat rings
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCall:
    """A call alive now. `queue` is where it waits or last waited; `extensions` are the seats rung or talking."""

    call_id: int
    phase: CallPhase
    direction: Direction | None
    caller: str
    caller_name: str
    dialed: str
    queue: str
    extensions: tuple[str, ...]
    started_at: float | None
    answered_at: float | None
    recording_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWait:
    """One waiting call. `since` is the PBX's clock."""

    entry_id: int
    call_id: int
    queue: str
    position: int
    since: float | None
    caller: str
    caller_name: str
    offered_to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatCall:
    """A seat's part in a live call. `phase` is RINGING, CONNECTED (it hears its party), HELD, or DIALING (up or calling, but it
    hears nobody yet). `since` is when that phase began, as far as known; `leg` the PBX's name of the seat's leg, for commands.
    """

    call_id: int
    leg: str
    phase: LegPhase
    since: float | None
    direction: Direction | None
    caller: str
    caller_name: str
    dialed: str
    queue: str
    offer_id: int | None


class Live:
    """What can be asked of a board."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    @property
    def epoch(self) -> str:
        """The PBX's boot the board is about, "" before it is known."""
        return self._floor.epoch

    @property
    def heard_at(self) -> float | None:
        """The latest moment the PBX told us of, by its own clock."""
        return self._floor.heard_at

    def reached(self, epoch: str, position: str) -> None:
        """The stream of the PBX's events has been taken in up to there: calls that begin from now on stand behind it."""
        self._floor.here = epoch, position

    @property
    def needed_from(self) -> tuple[str, str]:
        """Boot and position from which the stream must be read to know all that is known now of the calls alive; positions only grow."""
        return next(iter(self._floor.since.values()), self._floor.here)

    @property
    def rings(self) -> bool:
        """Whether any seat is being offered a call."""
        return any(offer.result is None for offer in self._floor.offers.values())

    def standing(self) -> dict[str, bool | None]:
        """The legs alive, each with whether it is answered (None for the PBX's own): what a PBX can be asked to confirm."""
        return {name: leg.answered if leg.is_real else None for name, leg in self._floor.legs.items() if _here(leg)}

    def calls(self) -> list[LiveCall]:
        """All calls alive, oldest first."""
        seen = dict.fromkeys(self._floor.calls.values())
        return [_live_call(call) for call in seen if any(_here(leg) for leg in call.legs) and call.head is not None]

    def call(self, call_id: int) -> LiveCall | None:
        """One call alive."""
        return next((call for call in self.calls() if call.call_id == call_id), None)

    def legs_of(self, call_id: int) -> list[str]:
        """The PBX's names of the call's live legs, oldest first: what a command can be given to."""
        for call in dict.fromkeys(self._floor.calls.values()):
            if call.call_id == call_id:
                return [leg.pbx_leg for leg in call.legs if _here(leg)]
        return []

    def waiting(self, queue: str | None = None) -> list[LiveWait]:
        """Who waits, in the order of the line; in all queues if none is named."""
        lines = self._floor.waits.items() if queue is None else [(queue, self._floor.waits.get(queue, {}))]
        waits = [
            LiveWait(
                entry_id=entry.entry_id,
                call_id=entry.call.call_id,
                queue=name,
                position=entry.position,
                since=entry.joined_at,
                caller=entry.call.caller,
                caller_name=entry.call.caller_name,
                offered_to=tuple(offer.extension for offer in entry.offers if offer.result is None),
            )
            for name, line in lines
            for entry in line.values()
            if _here(entry.leg)
        ]
        return sorted(waits, key=lambda wait: (wait.queue, wait.since or 0.0, wait.entry_id))

    def at_extension(self, extension: str) -> tuple[SeatCall, ...]:
        """Every live call this seat is in, the one it talks in first."""
        parts = [_seat_call(leg) for leg in self._floor.seats.get(extension, ()) if _here(leg)]
        order = (LegPhase.CONNECTED, LegPhase.HELD, LegPhase.RINGING, LegPhase.DIALING)
        return tuple(sorted(parts, key=lambda part: order.index(part.phase)))

    def busy_extensions(self) -> frozenset[str]:
        """The seats that are in any live call."""
        return frozenset(extension for extension, legs in self._floor.seats.items() if any(_here(leg) for leg in legs))

    def registered(self, extension: str) -> bool | None:
        """Whether the seat's phone can be rung; None if the PBX never said."""
        return self._floor.phones.get(extension)

    def member(self, queue: str, extension: str) -> MemberSeen | None:
        """How the queue sees one of its members, None if it is none."""
        return self._floor.members.get((queue, extension))

    def members(self) -> tuple[MemberSeen, ...]:
        """All members of all queues."""
        return tuple(self._floor.members.values())


def _here(leg: Leg) -> bool:
    return leg.alive and not leg.left and leg.missing_since is None


def _live_call(call: Call) -> LiveCall:
    seats = [leg.extension for leg in call.legs if leg.is_seat and _here(leg)]
    return LiveCall(
        call_id=call.call_id,
        phase=_phase(call),
        direction=call.direction or call.decide_direction(),
        caller=call.caller,
        caller_name=call.caller_name,
        dialed=call.dialed,
        queue=call.entries[-1].queue if call.entries else "",
        extensions=tuple(dict.fromkeys(seats)),
        started_at=call.started_at,
        answered_at=call.answered_at,
        recording_file=call.recordings[0] if call.recordings else "",
    )


def _phase(call: Call) -> CallPhase:
    talking = [segment for segment in call.segments if segment.open]
    if talking:
        held = all(LegPhase.HELD in (segment.a.phase, segment.b.phase) for segment in talking)
        return CallPhase.HELD if held else CallPhase.TALKING
    if any(leg.phase is LegPhase.RINGING and not leg.inward for leg in call.legs):
        return CallPhase.RINGING
    if any(leg.parked for leg in call.legs):
        return CallPhase.HELD
    return CallPhase.DIALING if call.waiting is None else CallPhase.WAITING


def _seat_call(leg: Leg) -> SeatCall:
    call, offer = leg.call, leg.offer
    rings = offer is not None and offer.result is None
    phase, since = LegPhase.DIALING, leg.started_at
    hears = [segment for segment in leg.segments if not segment.apart and segment.held_since is None]
    if hears:
        phase, since = LegPhase.CONNECTED, hears[-1].started_at
    elif leg.phase is LegPhase.HELD or leg.segments:
        phase, since = LegPhase.HELD, leg.held_at
    elif not leg.inward and (leg.phase is LegPhase.RINGING or (rings and leg.phase is LegPhase.DIALING)):
        phase, since = LegPhase.RINGING, offer.started_at if offer is not None else leg.rang_at
    return SeatCall(
        call_id=call.call_id,
        leg=leg.pbx_leg,
        phase=phase,
        since=since,
        direction=call.direction or call.decide_direction(),
        caller=call.caller,
        caller_name=call.caller_name,
        dialed=call.dialed,
        queue=offer.queue if offer is not None else "",
        offer_id=offer.offer_id if offer is not None else None,
    )
