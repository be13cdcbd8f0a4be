"""The seat's state: one table that combines what the agent intends (ours) with what the PBX reports (the PBX's). Pure.

`STATES` is read from the top, the first line that holds is the state; its second column says who owns that line. `step` moves
the intent. Nothing here keeps time: when a wrap-up ends is decided outside and told as a trigger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class SeatState(StrEnum):
    """The eight states (house glossary)."""

    SIGNED_OUT = "signed_out"
    READY = "ready"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"
    UNREACHABLE = "unreachable"


class Phase(StrEnum):
    """What the PBX says the seat's phone is doing."""

    NONE = "none"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"


class Owner(StrEnum):
    """Who decides a line of the table."""

    AGENT = "the agent"
    PBX = "the PBX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Our half: what the agent wants. `pause_reason` "" means wants calls; `next_state` is taken when the work in hand is done."""

    signed_in: bool = False
    pause_reason: str = ""
    next_state: str = ""
    next_reason: str = ""
    wrap_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The PBX's half. `registered` is None until the PBX has said anything of the phone."""

    registered: bool | None = None
    phase: Phase = Phase.NONE


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    state: SeatState
    owner: Owner
    holds: Callable[[Intent, Facts], bool]
    because: str


STATES: tuple[Line, ...] = (
    Line(SeatState.SIGNED_OUT, Owner.AGENT, lambda i, f: not i.signed_in, "nobody is signed in here"),
    Line(SeatState.HELD, Owner.PBX, lambda i, f: f.phase is Phase.HELD, "the other party is on hold"),
    Line(SeatState.TALKING, Owner.PBX, lambda i, f: f.phase is Phase.TALKING, "the phone is in a call"),
    Line(SeatState.RINGING, Owner.PBX, lambda i, f: f.phase is Phase.RINGING, "the phone rings"),
    Line(SeatState.WRAP_UP, Owner.AGENT, lambda i, f: i.wrap_up, "the last call is not wrapped up"),
    Line(SeatState.UNREACHABLE, Owner.PBX, lambda i, f: f.registered is False, "the phone is not registered"),
    Line(SeatState.PAUSED, Owner.AGENT, lambda i, f: bool(i.pause_reason), "the agent is paused"),
    Line(SeatState.READY, Owner.AGENT, lambda i, f: True, "the agent wants calls"),
)


def state_of(intent: Intent, facts: Facts) -> SeatState:
    """The seat's state."""
    for line in STATES:
        if line.holds(intent, facts):
            return line.state
    raise AssertionError("the last line always holds")


def wants_calls(intent: Intent, facts: Facts) -> bool:
    """Whether the PBX may offer the seat a call of a queue: it stays so while one rings, and no longer from the answer on."""
    return takes_calls(state_of(intent, facts), intent)


def takes_calls(state: SeatState, intent: Intent) -> bool:
    """`wants_calls` of a seat whose state is known."""
    return (state is SeatState.READY or state is SeatState.RINGING) and not intent.pause_reason and not intent.wrap_up


class Trigger(StrEnum):
    """What moves the intent."""

    WANT_READY = "want_ready"
    WANT_PAUSE = "want_pause"
    CALL_OVER = "call_over"  # with work to do after it
    CALL_GONE = "call_gone"  # without
    WRAP_UP_OVER = "wrap_up_over"
    SIGN_OUT = "sign_out"


BUSY = frozenset({SeatState.RINGING, SeatState.TALKING, SeatState.HELD, SeatState.WRAP_UP})


def step(intent: Intent, facts: Facts, trigger: Trigger, reason: str = "") -> Intent:
    """The intent after a trigger. A wish while busy becomes the next state; the end of the work makes it true."""
    busy = state_of(intent, facts) in BUSY
    match trigger:
        case Trigger.WANT_READY:
            return replace(intent, next_state="ready", next_reason="") if busy else replace(intent, pause_reason="")
        case Trigger.WANT_PAUSE:
            if busy:
                return replace(intent, next_state="paused", next_reason=reason)
            return replace(intent, pause_reason=reason)
        case Trigger.CALL_OVER:
            return replace(intent, wrap_up=True)
        case Trigger.CALL_GONE:
            return intent if intent.wrap_up else _take_next(intent)
        case Trigger.WRAP_UP_OVER:
            return _take_next(replace(intent, wrap_up=False))
        case Trigger.SIGN_OUT:
            return Intent()


def _take_next(intent: Intent) -> Intent:
    if not intent.next_state:
        return intent
    reason = intent.next_reason if intent.next_state == "paused" else ""
    return replace(intent, pause_reason=reason, next_state="", next_reason="")
