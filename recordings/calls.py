"""Past calls as people see them: lists, the rows behind a figure, one call with everything of it, a customer's timeline.

Reads the books only. Who may see which call is decided here, once, for pages, API, timeline and player alike: one's own calls are
those in which one talked, was rung, or wrote notes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.customers import show_number
from crm_core.entities.org import User
from crm_core.entities.people import Customer
from crm_core.kernel.access import Principal, Scope, Thing, may, reach
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotAllowed, NotFound
from crm_core.numbers import NumberRules, read
from crm_core.ports import Ref, TimelineEntry
from cti.figures.day import rows_behind
from cti.storage import Call, CallLeg, CallLink, CallNote, Offer, QueueEntry, Segment, Transfer
from recordings.storage import Recording

PAGE = 50
CUSTOMER = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """What a list of calls is narrowed to. `figure`: exactly the rows which that figure counts."""

    day: str = ""
    figure: str = ""
    queue: str = ""
    agent: int | None = None
    direction: str = ""
    outcome: str = ""
    recording: str = ""  # "missing": should have one and has none
    words: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    """One page of calls."""

    rows: list[dict[str, Any]]
    count: int
    page: int
    pages: int


class Calls:
    """The books of finished calls, through the eyes of whoever asks."""

    kind = "call"

    def __init__(
        self, database: Database, rules: Callable[[int], NumberRules], titles: Callable[[int, str], str] = lambda _, name: name
    ) -> None:
        self._db, self._rules, self._titles = database, rules, titles

    # --------------------------------------------------------------------------------------------------------------- rights

    def _visible(self, principal: Principal) -> ColumnElement[bool]:
        scope = reach(principal, "see", "call")
        if scope is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        if scope is Scope.ALL:
            return Call.id.is_not(None)
        in_unit = Call.unit_id == principal.unit_id
        if scope >= Scope.UNIT:
            return in_unit
        if scope is Scope.OWN:
            return and_(in_unit, self._part_of((principal.user_id,)))
        team = select(User.id).where(User.unit_id == principal.unit_id, User.team_id == principal.team_id)
        return and_(in_unit, self._part_of(team))

    @staticmethod
    def _part_of(people: Any) -> ColumnElement[bool]:
        talked = exists().where(Segment.call_id == Call.id, Segment.user_id.in_(people))
        rung = exists().where(Offer.call_id == Call.id, Offer.user_id.in_(people))
        wrote = exists().where(CallNote.call_id == Call.id, CallNote.user_id.in_(people))
        return or_(talked, rung, wrote)

    async def must_see(self, principal: Principal, call_id: int, db: AsyncConnection) -> dict[str, Any]:
        """The call's row. Raises NotFound, also for one the person may not see."""
        found = (
            (await db.execute(select(Call.__table__).where(Call.id == call_id, self._visible(principal)))).mappings().one_or_none()
        )
        if found is None:
            raise NotFound("no_such_call", "There is no such call, or you may not see it.")
        return dict(found)

    async def may_listen(self, principal: Principal, call_id: int) -> dict[str, Any]:
        """The recording of a call for its player. Raises NotFound, NotAllowed."""
        async with self._db.read() as db:
            await self.must_see(principal, call_id, db)
            row = (await db.execute(select(Recording.__table__).where(Recording.call_id == call_id))).mappings().one_or_none()
            if row is None or row["state"] != "stored":
                raise NotFound("no_recording", "This call has no recording.")
            people = (await db.execute(select(Segment.user_id).where(Segment.call_id == call_id))).scalars().all()
        for owner in {principal.user_id if principal.user_id in people else None, *people}:
            if may(principal, "listen", Thing(kind="recording", unit_id=row["unit_id"], owner_id=owner)):
                return dict(row)
        raise NotAllowed("not_allowed", "You may not listen to this recording.")

    # --------------------------------------------------------------------------------------------------------------- lists

    async def page(self, principal: Principal, query: CallQuery) -> CallPage:
        """One page of calls, newest first. For a figure: one line a counted row, so that the list is as long as the figure."""
        async with self._db.read() as db:
            if query.figure:
                return await self._behind(db, principal, query)
            where = [self._visible(principal), *self._filters(principal, query)]
            count = (await db.execute(select(func.count()).select_from(Call).where(*where))).scalar_one()
            ids = (
                await db.execute(
                    select(Call.id)
                    .where(*where)
                    .order_by(Call.started_at.desc(), Call.id.desc())
                    .limit(PAGE)
                    .offset((query.page - 1) * PAGE)
                )
            ).scalars()
            rows = await self._rows(db, principal, list(ids))
        return CallPage(rows=rows, count=count, page=query.page, pages=_pages(count))

    async def _behind(self, db: AsyncConnection, principal: Principal, query: CallQuery) -> CallPage:
        try:
            statement = rows_behind(query.figure, principal.unit_id, query.day, query.queue, query.agent)
        except KeyError as error:
            raise NotFound("no_such_figure", "There is no such figure.") from error
        if reach(principal, "see", "figure") < Scope.UNIT and query.agent != principal.user_id:
            raise NotAllowed("not_allowed", "You may not do this.")
        part = statement.subquery()
        seen = select(part).join(Call, Call.id == part.c.call_id).where(self._visible(principal))
        count = (await db.execute(select(func.count()).select_from(seen.subquery()))).scalar_one()
        found = (await db.execute(seen.order_by(part.c.id.desc()).limit(PAGE).offset((query.page - 1) * PAGE))).all()
        by_call = {row["id"]: row for row in await self._rows(db, principal, [r.call_id for r in found])}
        rows = [{**by_call[r.call_id], "row_id": r.id} for r in found]
        return CallPage(rows=rows, count=count, page=query.page, pages=_pages(count))

    def _filters(self, principal: Principal, query: CallQuery) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = []
        if query.day:
            where.append(Call.day == query.day)
        if query.queue:
            where.append(exists().where(QueueEntry.call_id == Call.id, QueueEntry.queue == query.queue))
        if query.agent is not None:
            where.append(self._part_of((query.agent,)))
        if query.direction:
            where.append(Call.direction == query.direction)
        if query.outcome:
            where.append(Call.outcome == query.outcome)
        if query.recording == "missing":
            where.append(exists().where(Recording.call_id == Call.id, Recording.state == "missing"))
        if query.words:
            where.append(self._matching(principal, query.words))
        return where

    def _matching(self, principal: Principal, words: str) -> ColumnElement[bool]:
        key = read(words, self._rules(principal.unit_id)).key
        named = select(CallLink.call_id).join(Customer, Customer.id == CallLink.thing_id).where(CallLink.kind == CUSTOMER)
        like = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return or_(
            Call.caller_key == (key or "-"),
            Call.number == words,
            Call.id.in_(named.where(Customer.name.ilike(f"%{like}%", escape="\\"))),
        )

    async def _rows(self, db: AsyncConnection, principal: Principal, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Rows for a list, in the order of `ids`."""
        joined = (
            select(
                Call.__table__, User.name.label("agent"), Customer.name.label("customer"), Customer.id.label("customer_id"),
                Recording.state.label("recording"), Recording.duration_s.label("recording_s"),
            )
            .outerjoin(User, User.id == Call.user_id)
            .outerjoin(CallLink, and_(CallLink.call_id == Call.id, CallLink.kind == CUSTOMER))
            .outerjoin(Customer, Customer.id == CallLink.thing_id)
            .outerjoin(Recording, Recording.call_id == Call.id)
            .where(Call.id.in_(set(ids)))
        )  # fmt: skip
        found = {row["id"]: self.shown(principal, dict(row)) for row in (await db.execute(joined)).mappings()}
        return [found[i] for i in ids if i in found]

    def shown(self, principal: Principal, row: dict[str, Any]) -> dict[str, Any]:
        """A call's row with its outside number as this person may see it, and no other copy of it."""
        outbound = row["direction"] == "outbound"
        number = read(row["dialed"] if outbound else row["caller"], self._rules(row["unit_id"]))
        row["number_kind"] = number.kind
        row["shown"] = number.national if number.kind == "internal" else show_number(principal, number.national)
        for name in ("caller", "caller_key", "caller_name", "dialed"):
            if reach(principal, "see_whole", "number") is Scope.NONE and name in row:
                row[name] = ""
        return row

    # --------------------------------------------------------------------------------------------------------------- a call

    async def whole(self, principal: Principal, call_id: int) -> dict[str, Any]:
        """One call with everything of it. Raises NotFound."""
        async with self._db.read() as db:
            await self.must_see(principal, call_id, db)
            call = (await self._rows(db, principal, [call_id]))[0]
            parts = {
                name: [dict(r) for r in (await db.execute(select(table.__table__).where(table.call_id == call_id).order_by(table.id))).mappings()]
                for name, table in (("legs", CallLeg), ("entries", QueueEntry), ("offers", Offer), ("segments", Segment), ("transfers", Transfer), ("notes", CallNote))
            }  # fmt: skip
            people = {u for rows in parts.values() for row in rows if (u := row.get("user_id")) is not None}
            names = {r.id: r.name for r in await db.execute(select(User.id, User.name).where(User.id.in_(people)))}
            recording = (await db.execute(select(Recording.__table__).where(Recording.call_id == call_id))).mappings().one_or_none()
        rules = self._rules(call["unit_id"])
        for passed in parts["transfers"]:
            for side in ("by", "to"):
                inside = read(passed[side], rules).kind == "internal"
                passed[side] = passed[side] if inside else show_number(principal, passed[side])
        for leg in parts["legs"]:
            leg["number"] = leg["number"] if leg["party"] == "seat" else show_number(principal, leg["number"])
        for rows in parts.values():
            for row in rows:
                row["agent"] = names.get(row.get("user_id"), "")
        return {"call": call, "recording": dict(recording) if recording else None, **parts}

    # ------------------------------------------------------------------------------------------------------------- timeline

    async def entries(self, principal: Principal, customer_id: int, before: float | None, limit: int) -> Sequence[TimelineEntry]:
        """The customer's calls that this person may see. An agent sees all calls of a customer they may see, not their recordings."""
        async with self._db.read() as db:
            linked = select(CallLink.call_id).where(
                CallLink.kind == CUSTOMER, CallLink.thing_id == customer_id, CallLink.unit_id == principal.unit_id
            )
            if before is not None:
                linked = linked.where(CallLink.at < before)
            ids = list((await db.execute(linked.order_by(CallLink.at.desc()).limit(limit))).scalars())
            rows = await self._rows(db, principal, ids)
            notes: dict[int, list[str]] = {}
            for note in await db.execute(
                select(CallNote.call_id, CallNote.text).where(CallNote.call_id.in_(ids), CallNote.text != "")
            ):
                notes.setdefault(note.call_id, []).append(note.text)
            own = set((await db.execute(select(Call.id).where(Call.id.in_(ids), self._visible(principal)))).scalars())
        return [
            TimelineEntry(
                ref=Ref("call", row["id"]), at=row["started_at"] or 0.0, kind="call", href=f"/calls/{row['id']}" if row["id"] in own else "",
                facts={
                    "direction": row["direction"], "outcome": row["outcome"], "agent": row["agent"] or "", "talk_s": row["talk_s"],
                    "queue": row["queue"], "queue_title": self._titles(row["pbx_id"], row["queue"]), "notes": "\n".join(notes.get(row["id"], [])),
                    "recording": row["recording"] if row["id"] in own and self._hears(principal, row) else None, "id": str(row["id"]),
                },
            )
            for row in rows
        ]  # fmt: skip

    @staticmethod
    def _hears(principal: Principal, row: dict[str, Any]) -> bool:
        return may(principal, "listen", Thing(kind="recording", unit_id=row["unit_id"], owner_id=row["user_id"]))


def _pages(count: int) -> int:
    return max((count + PAGE - 1) // PAGE, 1)
