"""Streams of many calls at once, as the bytes that an Asterisk sends: a clean one, and one with everything an account may be told.

A call of the clean stream has 24 events, one of the noisy stream 84: the music, the states of devices and members, and beside them
what the dialplan does and how the sound fares. No two calls share a name. Made in memory before anything is measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from config.bench import call_script as script

END: Final = b"\r\n\r\n"
CLEAN_EVENTS: Final = 24
NOISY_EVENTS: Final = 84
BEGUN_AT: Final = 1_795_309_400.0
RATE: Final = 30.0  # calls a second
PIECE: Final = 262_144  # as much as asyncio, and the product from its journal, reads at a time where more is waiting
_LEFT_OUT: Final = frozenset(
    b"DeviceStateChange QueueMemberStatus MusicOnHoldStart MusicOnHoldStop NewConnectedLine".split()
)  # of the clean stream
_PARTS: Final = ("arrives", "offered", "rings", "answered", "sounds", "sounds", "ended")
_NOISY: Final = {
    "arrives": script.ARRIVES + script.STEPS,
    "offered": script.OFFERED,
    "rings": script.RINGS,
    "answered": script.ANSWERED + script.TAKEN,
    "sounds": script.SOUND,
    "ended": script.ENDED + script.CLOSED,
}


def _clean(part: bytes) -> bytes:
    """The part without what the clean stream leaves out."""
    return b"".join(block + END for block in part.split(END)[:-1] if name_of(block) not in _LEFT_OUT)


def name_of(block: bytes) -> bytes:
    """An event's name."""
    return block.partition(b"\r\n")[0].removeprefix(b"Event: ")


_CLEAN: Final = {
    "arrives": _clean(script.ARRIVES),
    "offered": _clean(script.OFFERED),
    "rings": _clean(script.RINGS),
    "answered": _clean(script.ANSWERED),
    "sounds": b"",
    "ended": _clean(script.ENDED),
}


def stream(calls: int, *, noisy: bool) -> list[bytes]:
    """Whole messages in pieces of about PIECE bytes, in order of time."""
    parts = _NOISY if noisy else _CLEAN
    said: list[tuple[float, int, str, dict[bytes, object]]] = []
    for number, values in enumerate(_calls(calls)):
        for name, at in zip(_PARTS, values.pop(b"times"), strict=True):  # type: ignore[call-overload]
            said.append((at, number, name, values))
    said.sort(key=lambda one: one[:2])
    return list(_pieces(script.fill(parts[name], {**values, b"at": at}) for at, _, name, values in said))


def _calls(count: int) -> Iterator[dict[bytes, object]]:
    """What differs from call to call, and the moments of its parts."""
    rng = random.Random(1)  # noqa: S311 - arrivals, not secrets
    at = BEGUN_AT
    for n in range(count):
        at += rng.expovariate(RATE)
        offered, ring_s, talk_s = at + 0.0015, rng.uniform(2, 8), rng.uniform(10, 20)
        answered = offered + ring_s
        yield {
            b"times": (at, offered, offered + 0.001, answered, answered + 5, answered + 10, answered + talk_s),
            b"call": f"bench-{BEGUN_AT:.0f}.{2 * n}".encode(), b"leg": f"bench-{BEGUN_AT:.0f}.{2 * n + 1}".encode(), b"tail": f"{n:08x}".encode(),
            b"seat": str(1000 + n % 3000).encode(), b"queue": str(5000 + n % 12).encode(), b"number": f"138{n * 7919 % 10**8:08}".encode(),
            b"name": f"Caller {n}".encode(), b"dialed": b"057188000001", b"bridge": f"{n:08x}-0000-4000-8000-{n:012x}".encode(),
        }  # fmt: skip


def _pieces(said: Iterator[bytes]) -> Iterator[bytes]:
    piece = b""
    for part in said:
        piece += part
        if len(piece) >= PIECE:
            yield piece
            piece = b""
    if piece:
        yield piece
