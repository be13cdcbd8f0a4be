"""What a call is meant to do, said in advance; and a mix of such calls, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

CALLER, SEAT, PBX = "caller", "seat", "pbx"
ANSWER, REJECT, IGNORE = "answer", "reject", "ignore"
TALK, HOLD, PASS_ON = "talk", "hold", "pass on"


@dataclass(frozen=True, slots=True)
class Ring:
    """What a rung phone does after so long."""

    does: str
    after_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a conversation. Passing on is to an idle seat, blind, and at once; that seat's phone answers after `for_s`."""

    does: str
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One call.

    The last of `rings` holds for all further phones. `ends` is who hangs up a conversation. `presses`: what the caller wants when the
    queue gave up on it ("callback"), "" where the PBX then hangs up. `notes`: the dialplan says a word of its own when somebody gave
    up, as the one of the recorded streams does. A seat left "" is any idle one. `uniqueid` names the first channel.
    """

    kind: str
    number: str
    name: str = ""
    dialed: str = ""
    queue: str = ""
    patience_s: float = 3600.0
    rings: tuple[Ring, ...] = (Ring(ANSWER),)
    parts: tuple[Part, ...] = (Part(TALK, 1.0),)
    ends: str = CALLER
    presses: str = ""
    notes: bool = False
    seat: str = ""
    to_seat: str = ""
    uniqueid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How calls are drawn: `queues` have members, `empty` has none. Lengths are stretched by `length`."""

    queues: tuple[str, ...]
    empty: str
    length: float = 1.0


KINDS: Final = {
    "answered": 34, "answered, seat ends": 10, "hold": 9, "passed on": 7, "abandoned waiting": 8, "abandoned ringing": 6,
    "nobody answers, then another": 6, "rejected, then another": 6, "internal": 5, "outgoing": 4, "outgoing, busy": 3, "timed out": 2,
}  # fmt: skip


def draw(mix: Mix, rng: random.Random) -> Iterator[Plan]:
    """Calls without end."""
    names, weights = list(KINDS), list(KINDS.values())
    serial = 0
    while True:
        serial += 1
        kind = rng.choices(names, weights)[0]
        base = Plan(
            kind=kind, number=f"139{rng.randrange(10**8):08}", name=f"Caller {serial}", dialed="057188000001",
            queue=rng.choice(mix.queues), patience_s=rng.uniform(12, 20), rings=(Ring(ANSWER, rng.uniform(0.05, 0.6)),),
            parts=(Part(TALK, rng.uniform(0.2, 2.2) * mix.length),), ends=CALLER,
        )  # fmt: skip
        yield replace(base, **_own(kind, base, mix, rng))


def _own(kind: str, base: Plan, mix: Mix, rng: random.Random) -> dict[str, Any]:
    """What this kind has of its own."""
    match kind:
        case "answered, seat ends":
            return {"ends": SEAT}
        case "hold":
            return {"parts": (Part(TALK, 0.4), Part(HOLD, rng.uniform(0.3, 1.0)), Part(TALK, rng.uniform(0.2, 0.8)))}
        case "passed on":
            return {"parts": (Part(TALK, 0.4), Part(PASS_ON, 0.3), Part(TALK, rng.uniform(0.3, 1.2)))}
        case "abandoned waiting":
            return {"queue": mix.empty, "patience_s": rng.uniform(0.2, 2.5)}
        case "abandoned ringing":
            return {"rings": (Ring(IGNORE),), "patience_s": rng.uniform(0.2, 0.9)}
        case "nobody answers, then another":
            return {"rings": (Ring(IGNORE), Ring(ANSWER, 0.2))}
        case "rejected, then another":
            return {"rings": (Ring(REJECT, rng.uniform(0.1, 0.5)), Ring(ANSWER, 0.2))}
        case "internal":
            return {"queue": "", "ends": rng.choice((CALLER, SEAT))}
        case "outgoing":
            return {"queue": "", "number": f"0571{rng.randrange(10**8):08}", "ends": rng.choice((CALLER, SEAT))}
        case "outgoing, busy":
            return {"queue": "", "number": f"0571{rng.randrange(10**8):08}", "rings": (Ring(REJECT, 0.3),)}
        case "timed out":
            return {"queue": mix.empty}
    return {}
