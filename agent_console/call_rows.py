"""A call as one person's desk shows it: made from what happened and from what is known of the other side, with that person's eyes.

It keeps nothing and tells nobody. `direction` is seen from the desk: a call that the seat itself makes is outbound there, inside too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crm_core.customers import show_name, show_number, thing_of
from crm_core.kernel.access import Principal, may
from crm_core.matches import Match
from crm_core.places import Places
from cti.domain.live import SeatCall
from cti.events import CallAnswered, CallerKnown, CallHeld, CallOffered, CallResumed, CallStarted, Direction
from cti.links import Links
from cti.services.seats import Seats

Row = dict[str, Any]


class CallRows:
    """Makes the rows of the desks' calls."""

    def __init__(self, links: Links, seats: Seats, places: Places, titles: Callable[[int, str], str]) -> None:
        self._links, self._seats, self._places, self._titles = links, seats, places, titles

    def offered(self, person: Principal, event: CallOffered, now: float) -> Row:
        """A seat's phone rings: somebody calls, or the PBX is about to call for the agent."""
        row = new_row("ringing", event.at or now, event.direction.value)
        row["queue"], row["queue_title"] = event.queue, self._titles(event.pbx_id, event.queue)
        row["waited_s"] = event.waited_s
        if event.direction is Direction.OUTBOUND:
            row["number"] = show_number(person, self._links.dialled.get(event.call_id, ""))
        else:
            row["number"], row["name"] = show_number(person, event.caller), show_name(person, event.caller_name)
        return self._with_known(person, row, event.call_id)

    def dials(self, person: Principal, event: CallStarted, now: float) -> Row:
        """A seat's own phone calls somebody."""
        row = new_row("ringing", event.at or now, Direction.OUTBOUND.value)
        self._add_called(person, row, event.pbx_id, event.direction, event.dialed)
        return self._with_known(person, row, event.call_id)

    def talk(self, person: Principal, event: CallAnswered | CallHeld | CallResumed, extension: str) -> Row:
        """A call that did not ring here: found after a break, or dialled while nobody told us."""
        part = self.part(event.pbx_id, extension, event.call_id)
        row = new_row("talking", None, "")
        if part is not None and part.direction is not None:
            own = part.direction is Direction.OUTBOUND or (part.direction is Direction.INTERNAL and part.caller == extension)
            row["direction"] = Direction.OUTBOUND.value if own else part.direction.value
            if own:
                self._add_called(person, row, event.pbx_id, part.direction, part.dialed)
            else:
                row["number"], row["name"] = show_number(person, part.caller), show_name(person, part.caller_name)
        return self._with_known(person, row, event.call_id)

    def add_known(self, person: Principal, row: Row, known: CallerKnown) -> None:
        """Who the other side may be."""
        row["looked_up"] = True
        if row["number_kind"] == "internal" and row["direction"] == Direction.OUTBOUND.value:
            return  # what is known is the seat's own extension
        if known.kind == "internal":
            self._add_colleague(row, known.pbx_id, known.shown)
            return
        row["number_kind"], row["number"] = known.kind, show_number(person, known.shown)
        if known.kind == "outside":
            for lang, suffix in (("zh", ""), ("en", "_en")):
                row[f"place{suffix}"] = self._places.place(known.key, lang)
                row[f"carrier{suffix}"] = self._places.carrier(known.key, lang)
        row["matches"] = [_match(m) for m in known.matches if may(person, "see", _thing(m))]
        if not row["customer_id"]:
            customers = {m["customer_id"] for m in row["matches"]}
            row["customer_id"] = next(iter(customers)) if len(customers) == 1 else ""

    def part(self, pbx_id: int, extension: str, call_id: int) -> SeatCall | None:
        """What the board says of a seat's part in a call, None where it has none."""
        line = self._seats.lines.get(pbx_id)
        parts = line.board.at_extension(extension) if line is not None else ()
        return next((part for part in parts if part.call_id == call_id), None)

    def _with_known(self, person: Principal, row: Row, call_id: int) -> Row:
        row["customer_id"] = str(self._links.chosen.get(call_id) or "")
        known = self._links.known.get(call_id)
        if known is not None:
            self.add_known(person, row, known)
        return row

    def _add_called(self, person: Principal, row: Row, pbx_id: int, direction: Direction, dialed: str) -> None:
        if direction is Direction.INTERNAL:
            self._add_colleague(row, pbx_id, dialed)
        else:
            row["number"] = show_number(person, dialed)

    def _add_colleague(self, row: Row, pbx_id: int, extension: str) -> None:
        """An extension of ours, and who sits there, where somebody does."""
        sitting = self._seats.at(pbx_id, extension)
        row["number_kind"], row["number"] = "internal", extension
        row["name"] = sitting.user_name if sitting is not None else row["name"]


def new_row(phase: str, since: float | None, direction: str) -> Row:
    """A call of which nothing else is known."""
    return {
        "phase": phase, "since": ms(since), "direction": direction, "number": "", "number_kind": "outside", "place": "", "carrier": "", "name": "",
        "queue": "", "queue_title": "", "waited_s": None, "matches": [], "customer_id": "", "looked_up": False, "answered_at": None,
        "ended_at": None, "notes": "",
    }  # fmt: skip


def ms(at: float | None) -> int | None:
    """Seconds as the screens' milliseconds."""
    return None if at is None else round(at * 1000)


def _match(m: Match) -> Row:
    return {
        "customer_id": str(m.customer_id), "contact_id": str(m.contact_id or ""), "name": m.contact or m.customer,
        "company": m.customer if m.kind == "company" else "", "level": m.level, "contact_title": m.title,
    }  # fmt: skip


def _thing(m: Match) -> Any:
    return thing_of({"unit_id": m.unit_id, "owner_id": m.owner_id, "team_id": m.team_id})
