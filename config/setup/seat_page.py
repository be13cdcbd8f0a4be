"""The page of docs/reference on the states of a seat, written from the table itself."""

from __future__ import annotations

from itertools import product

from cti.domain.seat import BUSY, STATES, Facts, Intent, Phase, SeatState, Trigger, state_of, step, wants_calls

_HEAD = """# Seat states

Made from the table in `cti/domain/seat.py` by `make docs`. A seat's state is what its agent intends, which is ours and stands in the
database, combined with what the PBX reports. The table is read from the top; the first line that holds is the state.

| | state | decided by | because |
| --- | --- | --- | --- |
"""
_MEMBER = """
## When the PBX may offer a call

A member of a queue is open for calls in exactly these cases; in all others it is paused in the PBX.

| state | phone | call |
| --- | --- | --- |
"""
_STEPS = """
## What moves the agent's half

{busy}: a wish made in one of these waits as the next state and is taken when the work in hand is done. Below, `ready` and `paused` are
what the agent wants, `→` what comes next.

| from | {heads} |
| --- |{rules}
"""
_STARTS = {
    "ready, idle": (Intent(signed_in=True), Phase.NONE),
    "paused, idle": (Intent(signed_in=True, pause_reason="lunch"), Phase.NONE),
    "ready, in a call": (Intent(signed_in=True), Phase.TALKING),
    "ready, in a call, → paused": (Intent(signed_in=True, next_state="paused", next_reason="rest"), Phase.TALKING),
    "ready, wrap-up": (Intent(signed_in=True, wrap_up=True), Phase.NONE),
    "ready, wrap-up, → paused": (Intent(signed_in=True, wrap_up=True, next_state="paused", next_reason="rest"), Phase.NONE),
}


def seat_page() -> str:
    """The table, who may be offered calls, and the steps."""
    lines = [f"| {n} | `{line.state}` | {line.owner} | {line.because} |" for n, line in enumerate(STATES, 1)]
    heads = " | ".join(f"`{trigger}`" for trigger in Trigger)
    steps = [
        f"| {name} | "
        + " | ".join(_words(step(intent, Facts(registered=True, phase=phase), trigger, "rest")) for trigger in Trigger)
        + " |"
        for name, (intent, phase) in _STARTS.items()
    ]
    busy = ", ".join(f"`{state}`" for state in SeatState if state in BUSY)
    head = _STEPS.format(busy=busy, heads=heads, rules=" --- |" * len(Trigger)).rstrip("\n")
    return _HEAD + "\n".join(lines) + "\n" + _MEMBER + "\n".join(_open()) + "\n" + head + "\n" + "\n".join(steps) + "\n"


def _open() -> list[str]:
    found = []
    for registered, phase in product((True, None, False), Phase):
        facts = Facts(registered=registered, phase=phase)
        if wants_calls(Intent(signed_in=True), facts):
            phone = {True: "registered", None: "nothing said of it yet", False: "lost"}[registered]
            found.append(f"| `{state_of(Intent(signed_in=True), facts)}` | {phone} | {phase} |")
    return found


def _words(intent: Intent) -> str:
    if not intent.signed_in:
        return "signed out"
    words = ["paused" if intent.pause_reason else "ready", "wrap-up" if intent.wrap_up else ""]
    return ", ".join(word for word in (*words, f"→ {intent.next_state}" if intent.next_state else "") if word)
