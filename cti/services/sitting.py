"""Somebody at a seat: what is known of them and of their seat at this moment. Memory only; the rows are `seat_books`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cti.domain.seat import Facts, Intent, SeatState


@dataclass(slots=True, kw_only=True)
class Sitting:
    """Somebody at a seat, now."""

    session_id: int
    unit_id: int
    pbx_id: int
    user_id: int
    seat_id: int
    extension: str
    seat_name: str
    user_name: str
    team_id: int | None
    phone: str
    secret: str
    zone: str
    queues: tuple[tuple[str, int], ...]
    signed_in_at: float
    intent: Intent = field(default_factory=Intent)
    facts: Facts = field(default_factory=Facts)
    state: SeatState = SeatState.SIGNED_OUT
    since: float | None = None
    interval_id: int | None = None  # of the row of this state's interval
    reason: str = ""
    call_id: int | None = None
    wrap_up_call: int | None = None
    wrap_up_from: float | None = None
    wrap_up_ends: float | None = None
    wished: tuple[bool, str] | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
