"""The rows of seats: sessions (who sat where), state intervals, and the wrap-up that belongs to a call. Writes in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from crm_core.days import day_of
from crm_core.entities.org import Audit
from crm_core.kernel.bus import Bus
from crm_core.kernel.db import table_of
from cti.domain.seat import SeatState
from cti.events import CallBooked, WrapUpBooked
from cti.services.books import Books, Page
from cti.services.hearing import hear
from cti.services.lines import topic
from cti.services.sitting import Sitting
from cti.storage import SeatSession, Segment
from cti.storage import SeatState as SeatStateRow


class SeatBooks:
    """Writes what happens at seats."""

    def __init__(self, books: Books, bus: Bus, new_id: Callable[[], int]) -> None:
        self._books, self._bus, self._new_id = books, bus, new_id
        self._early: dict[int, list[tuple[WrapUp, WrapUpBooked]]] = {}  # of calls that go on
        hear(bus, CallBooked, self._booked)

    def open_session(self, s: Sitting, address: str) -> None:
        """Somebody sat down."""
        row = {
            "id": s.session_id, "unit_id": s.unit_id, "pbx_id": s.pbx_id, "user_id": s.user_id, "seat_id": s.seat_id,
            "extension": s.extension, "phone": s.phone, "secret": s.secret if s.phone == "browser" else "", "address": address,
            "signed_in_at": s.signed_in_at, "pause_reason": s.intent.pause_reason,
        }  # fmt: skip
        audit = {
            "id": self._new_id(), "unit_id": s.unit_id, "at": s.signed_in_at, "user_id": s.user_id, "action": "seat_sign_in", "kind": "seat",
            "thing_id": s.seat_id, "detail": s.extension,
        }  # fmt: skip

        def write(page: Page) -> None:
            page.insert(SeatSession, row)
            page.insert(Audit, audit)

        self._books.put(write)

    def keep(self, s: Sitting, **more: object) -> None:
        """What the agent intends changed."""
        values: dict[str, object] = {
            "pause_reason": s.intent.pause_reason, "next_state": s.intent.next_state, "next_reason": s.intent.next_reason,
            "wrap_up_call": s.wrap_up_call, "wrap_up_from": s.wrap_up_from, "wrap_up_ends": s.wrap_up_ends, **more,
        }  # fmt: skip
        session_id = s.session_id

        self._books.put(lambda page: page.change(SeatSession, session_id, **values))

    def begin_interval(self, s: Sitting, since: float) -> None:
        """The seat went into another state: the interval before ends where the new one begins."""
        before, s.interval_id = s.interval_id, None
        row: dict[str, object] | None = None
        if s.state is not SeatState.SIGNED_OUT:
            s.interval_id = self._new_id()
            row = {
                "id": s.interval_id, "unit_id": s.unit_id, "pbx_id": s.pbx_id, "session_id": s.session_id, "user_id": s.user_id,
                "state": s.state.value, "reason": s.reason, "call_id": s.call_id, "from_at": since, "day": day_of(since, s.zone), "zone": s.zone,
            }  # fmt: skip

        def write(page: Page) -> None:
            if before is not None:
                page.change(SeatStateRow, before, to_at=since)
            if row is not None:
                page.insert(SeatStateRow, dict(row))

        self._books.put(write)

    def book_wrap_up(self, s: Sitting, call_id: int, began: float, ended: float) -> None:
        """A wrap-up is over: its length belongs to the last talk of that call; WrapUpBooked follows when it stands in the database.

        A call that was passed on may still go on: then it waits until that is booked.
        """
        event = WrapUpBooked(
            unit_id=s.unit_id, pbx_id=s.pbx_id, at=ended, call_id=call_id, user_id=s.user_id, day=day_of(began, s.zone)
        )
        self._put_wrap_up(WrapUp(call_id, s.user_id, max(ended - began, 0.0)), event)

    def _put_wrap_up(self, wrap_up: WrapUp, event: WrapUpBooked) -> None:
        def written() -> None:
            if wrap_up.stands or wrap_up.tries > 1:
                self._bus.publish(topic(event), event)
            else:
                self._early.setdefault(wrap_up.call_id, []).append((wrap_up, event))

        self._books.put(lambda page: page.together(_write_wrap_ups, wrap_up, last=True), written)

    def _booked(self, event: CallBooked) -> None:
        for wrap_up, what in self._early.pop(event.call_id, ()):
            wrap_up.tries += 1
            self._put_wrap_up(wrap_up, what)


@dataclass(slots=True)
class WrapUp:
    """Seconds of wrap-up of a person after a call; `stands` once a talk was found to write it to."""

    call_id: int
    user_id: int
    acw_s: float
    stands: bool = False
    tries: int = 1


_SEGMENTS: Final = table_of(Segment)
_LAST_TALK: Final = (
    select(_SEGMENTS.c.id)
    .where(_SEGMENTS.c.call_id == bindparam("call"), _SEGMENTS.c.user_id == bindparam("person"))
    .order_by(_SEGMENTS.c.started_at.desc(), _SEGMENTS.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_WRITE_WRAP_UP: Final = update(_SEGMENTS).where(_SEGMENTS.c.id == _LAST_TALK).values(acw_s=bindparam("seconds"))


def _write_wrap_ups(db: Connection, ended: list[WrapUp]) -> None:
    """Each belongs to the last talk of that person in that call."""
    for one in ended:
        values = {"call": one.call_id, "person": one.user_id, "seconds": one.acw_s}
        one.stands = db.execute(_WRITE_WRAP_UP, values).rowcount > 0
