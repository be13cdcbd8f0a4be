"""The rows of seats: sessions (who sat where), state intervals, and the wrap-up that belongs to a call. Writes in the background."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.days import day_of
from crm_core.entities.org import Audit
from crm_core.kernel.bus import Bus
from cti.domain.seat import SeatState
from cti.events import WrapUpBooked
from cti.services.books import Books
from cti.services.lines import topic
from cti.services.sitting import Sitting
from cti.storage import SeatSession, Segment
from cti.storage import SeatState as SeatStateRow


class SeatBooks:
    """Writes what happens at seats."""

    def __init__(self, books: Books, bus: Bus, new_id: Callable[[], int]) -> None:
        self._books, self._bus, self._new_id = books, bus, new_id

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

        async def write(db: AsyncConnection) -> None:
            await db.execute(insert(SeatSession).values(row))
            await db.execute(insert(Audit).values(audit))

        self._books.put(write)

    def keep(self, s: Sitting, **more: object) -> None:
        """What the agent intends changed."""
        values: dict[str, object] = {
            "pause_reason": s.intent.pause_reason, "next_state": s.intent.next_state, "next_reason": s.intent.next_reason,
            "wrap_up_call": s.wrap_up_call, "wrap_up_from": s.wrap_up_from, "wrap_up_ends": s.wrap_up_ends, **more,
        }  # fmt: skip
        session_id = s.session_id

        async def write(db: AsyncConnection) -> None:
            await db.execute(update(SeatSession).where(SeatSession.id == session_id).values(**values))

        self._books.put(write)

    def begin_interval(self, s: Sitting, since: float) -> None:
        """The seat went into another state: the interval before ends where the new one begins."""
        session_id = s.session_id
        row: dict[str, object] | None = None
        if s.state is not SeatState.SIGNED_OUT:
            row = {
                "id": self._new_id(), "unit_id": s.unit_id, "pbx_id": s.pbx_id, "session_id": s.session_id, "user_id": s.user_id,
                "state": s.state.value, "reason": s.reason, "call_id": s.call_id, "from_at": since, "day": day_of(since, s.zone), "zone": s.zone,
            }  # fmt: skip

        async def write(db: AsyncConnection) -> None:
            open_rows = (SeatStateRow.session_id == session_id, SeatStateRow.to_at.is_(None))
            await db.execute(update(SeatStateRow).where(*open_rows).values(to_at=since))
            if row is not None:
                await db.execute(insert(SeatStateRow).values(row))

        self._books.put(write)

    def book_wrap_up(self, s: Sitting, call_id: int, began: float, ended: float) -> None:
        """A wrap-up is over: its length belongs to the last talk of that call; WrapUpBooked follows when it stands in the database."""
        day = day_of(began, s.zone)
        event = WrapUpBooked(unit_id=s.unit_id, pbx_id=s.pbx_id, at=ended, call_id=call_id, user_id=s.user_id, day=day)

        async def write(db: AsyncConnection) -> None:
            last = (
                select(Segment.id)
                .where(Segment.call_id == call_id, Segment.user_id == s.user_id)
                .order_by(Segment.started_at.desc(), Segment.id.desc())
                .limit(1)
                .scalar_subquery()
            )
            await db.execute(update(Segment).where(Segment.id == last).values(acw_s=max(ended - began, 0.0)))

        self._books.put(write, lambda: self._bus.publish(topic(event), event))
