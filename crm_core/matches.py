"""What a look-up of a number finds. A plain value: it travels in events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A customer, and the contact there, that a number belongs to. Not yet filtered by anybody's rights."""

    customer_id: int
    contact_id: int | None
    customer: str
    kind: str
    level: str
    owner_id: int | None
    team_id: int | None
    unit_id: int
    contact: str
    title: str
    contact_point_id: int
