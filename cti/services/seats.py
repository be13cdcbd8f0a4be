"""Seats: who sits where, what they intend, and the seat's state that follows from it and from the PBX.

Keeps every sitting in memory, writes sessions and state intervals to the books, publishes SeatChanged, and tells the PBX's queues
whether a member may be offered calls. The rules are the tables of `cti.domain.seat`; a wish never changes what the PBX decides.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import Unit, User
from crm_core.kernel.access import Principal, Thing, may
from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import Conflict, NotAllowed, NotFound, Refusal, Unavailable
from cti.domain.leg import LegPhase
from cti.domain.seat import BUSY, Facts, Intent, Phase, SeatState, Trigger, state_of, step, takes_calls
from cti.events import (
    CallAnswered,
    CallEnded,
    CallHeld,
    CallOffered,
    CallResumed,
    DomainEvent,
    OfferEnded,
    PhoneLost,
    PhoneRegistered,
    SeatChanged,
    SeatLeftCall,
)
from cti.pbx_events import OfferResult, Party
from cti.ports import Member, PbxRefused, PbxUnreachable
from cti.services.books import Books
from cti.services.hearing import hear
from cti.services.lines import PbxLine, topic
from cti.services.seat_books import SeatBooks
from cti.services.sitting import Sitting
from cti.storage import Queue, QueueAgent, Seat, SeatSession
from cti.storage import SeatState as SeatStateRow

log = structlog.get_logger(__name__)
SAT_KEPT = 50
WRITTEN_S = 2.0
"""So long is waited for who sits where to stand in the database, before somebody is told that they sit; with none, it is done later."""
CLOCKS_APART_S = 1.0
CLOCK_WRONG_S = 60.0
"""A PBX's clock that differs from ours by more than this is set wrong, and its times are shifted; by less, it may be just late news."""
PHASES: Mapping[LegPhase, Phase] = {LegPhase.CONNECTED: Phase.TALKING, LegPhase.HELD: Phase.HELD, LegPhase.RINGING: Phase.RINGING}
"""What a seat's part in a call means for the seat; a seat that dials and hears nobody yet is not in a call."""


SeatEvent = CallOffered | OfferEnded | CallAnswered | CallHeld | CallResumed | SeatLeftCall


class Seats:
    """All sittings of this installation."""

    def __init__(
        self, database: Database, books: Books, bus: Bus, clock: Clock, new_id: Callable[[], int], default_wrap_up_s: int
    ) -> None:
        self._db, self._bus, self._clock, self._new_id = database, bus, clock, new_id
        self._books, self._rows = books, SeatBooks(books, bus, new_id)
        self._default_wrap_up_s = default_wrap_up_s
        self._by_user: dict[int, Sitting] = {}
        self._by_extension: dict[tuple[int, str], Sitting] = {}
        self._phones: dict[tuple[int, str], bool] = {}
        self._wrap_up_s: dict[tuple[int, str], int] = {}
        self._sat: dict[tuple[int, str], deque[tuple[float, int]]] = {}
        self._ahead: dict[int, float] = {}  # how far a PBX's clock is ahead of ours, where it is plainly wrong
        self.lines: Mapping[int, PbxLine] = {}
        self._sitting_down = asyncio.Lock()
        hear(bus, PhoneRegistered, self._hear_phone)
        hear(bus, PhoneLost, self._hear_phone)
        kinds: tuple[type[SeatEvent], ...] = (CallOffered, OfferEnded, CallAnswered, CallHeld, CallResumed, SeatLeftCall)
        for kind in kinds:
            hear(bus, kind, self._hear_seat)
        hear(bus, CallEnded, self._hear_end)

    # ------------------------------------------------------------------------------------------------------------- looking

    def of_user(self, user_id: int) -> Sitting | None:
        """Where this person sits."""
        return self._by_user.get(user_id)

    def at(self, pbx_id: int, extension: str) -> Sitting | None:
        """Who sits at this extension."""
        return self._by_extension.get((pbx_id, extension))

    def who_sat(self, pbx_id: int, extension: str, at: float | None = None) -> int | None:
        """The person at this extension at an instant by the PBX's clock (now, unless given), or the last one who was before."""
        sat = self._sat.get((pbx_id, extension), ())
        if at is not None:
            at -= self._ahead.get(pbx_id, 0.0)
        then = [user_id for since, user_id in sat if at is None or since <= at + CLOCKS_APART_S]
        return then[-1] if then else (sat[0][1] if sat else None)

    def all(self, unit_id: int | None = None) -> list[Sitting]:
        """Every sitting (of a unit)."""
        return [s for s in self._by_user.values() if unit_id is None or s.unit_id == unit_id]

    def members(self, pbx_id: int) -> list[Member]:
        """The members that the queues of a PBX should have."""
        return [m for s in self._by_user.values() if s.pbx_id == pbx_id for m in self._members_of(s)]

    def secrets(self, pbx_id: int) -> list[tuple[str, str]]:
        """The secrets that the PBX's browser phones register with now, by extension: told again when the PBX was away."""
        return [(s.extension, s.secret) for s in self._by_user.values() if s.pbx_id == pbx_id and s.phone == "browser" and s.secret]

    def _members_of(self, s: Sitting) -> list[Member]:
        paused, reason = _wish(s)
        return [
            Member(queue=q, extension=s.extension, name=s.user_name, penalty=p, paused=paused, reason=reason) for q, p in s.queues
        ]

    async def free_seats(self, principal: Principal) -> list[tuple[Seat, Sitting | None]]:
        """The unit's seats with who sits there."""
        async with self._db.read() as db:
            rows = (
                await db.execute(
                    select(Seat.__table__).where(Seat.unit_id == principal.unit_id, Seat.active).order_by(Seat.extension)
                )
            ).all()
        return [(Seat(**row._mapping), self.at(row.pbx_id, row.extension)) for row in rows]

    # ------------------------------------------------------------------------------------------------------------ starting

    async def load(self) -> None:
        """Take up the sittings that were open when we stopped."""
        async with self._db.read() as db:
            for row in (await db.execute(select(Queue.pbx_id, Queue.name, Queue.wrap_up_s))).all():
                self._wrap_up_s[(row.pbx_id, row.name)] = row.wrap_up_s
            rows = (
                await db.execute(
                    select(
                        SeatSession.__table__,
                        User.name.label("user_name"),
                        User.team_id,
                        Seat.name.label("seat_name"),
                        Unit.time_zone,
                    )
                    .join(User, User.id == SeatSession.user_id)
                    .join(Seat, Seat.id == SeatSession.seat_id)
                    .join(Unit, Unit.id == SeatSession.unit_id)
                    .where(SeatSession.signed_out_at.is_(None))
                )
            ).all()
            open_now = await db.execute(
                select(
                    SeatStateRow.session_id, SeatStateRow.id, SeatStateRow.state, SeatStateRow.reason, SeatStateRow.from_at
                ).where(SeatStateRow.to_at.is_(None))
            )
            intervals: dict[int, Any] = {row.session_id: row for row in open_now}
            for row in rows:
                queues = await self._queues_of(db, row.user_id, row.pbx_id)
                self._take_up(row, queues, intervals.get(row.id))
            recent = (
                select(SeatSession.pbx_id, SeatSession.extension, SeatSession.user_id, SeatSession.signed_in_at)
                .where(SeatSession.signed_out_at.is_not(None))
                .order_by(SeatSession.signed_in_at.desc())
                .limit(2000)
            )
            for past in (await db.execute(recent)).all():
                sat = self._sat.setdefault((past.pbx_id, past.extension), deque(maxlen=SAT_KEPT))
                if len(sat) < SAT_KEPT:
                    sat.appendleft((past.signed_in_at or 0.0, past.user_id))

    def _take_up(self, row: object, queues: tuple[tuple[str, int], ...], interval: Any | None) -> None:
        r = row._mapping  # type: ignore[attr-defined]  # a joined row has no declared type
        sitting = Sitting(
            session_id=r["id"], unit_id=r["unit_id"], pbx_id=r["pbx_id"], user_id=r["user_id"], seat_id=r["seat_id"],
            extension=r["extension"], seat_name=r["seat_name"], user_name=r["user_name"], team_id=r["team_id"], phone=r["phone"],
            secret=r["secret"], zone=r["time_zone"], queues=queues, signed_in_at=r["signed_in_at"] or 0.0,
            intent=Intent(
                signed_in=True, pause_reason=r["pause_reason"], next_state=r["next_state"], next_reason=r["next_reason"],
                wrap_up=r["wrap_up_ends"] is not None,
            ),
            wrap_up_call=r["wrap_up_call"], wrap_up_from=r["wrap_up_from"], wrap_up_ends=r["wrap_up_ends"],
        )  # fmt: skip
        if interval is not None:
            sitting.state, sitting.reason, sitting.since = SeatState(interval.state), interval.reason, interval.from_at
            sitting.interval_id = interval.id
        self._index(sitting)
        if sitting.wrap_up_ends is not None:
            self._set_timer(sitting)
        self._refresh(sitting, self._clock.now())

    async def _queues_of(self, db: AsyncConnection, user_id: int, pbx_id: int) -> tuple[tuple[str, int], ...]:
        rows = await db.execute(
            select(Queue.name, QueueAgent.penalty)
            .join(QueueAgent, QueueAgent.queue_id == Queue.id)
            .where(QueueAgent.user_id == user_id, Queue.pbx_id == pbx_id)
            .order_by(Queue.name)
        )
        return tuple((row.name, row.penalty) for row in rows)

    # ------------------------------------------------------------------------------------------------------------ commands

    async def sign_in(
        self, principal: Principal, seat_id: int, *, state: str, reason: str = "", take_over: bool = False, address: str = ""
    ) -> Sitting:  # fmt: skip
        """Sit down. Raises Refusal: seat unknown, taken (unless `take_over`), phone system away."""
        async with self._db.read() as db:
            seat = (await db.execute(select(Seat.__table__).where(Seat.id == seat_id, Seat.active))).one_or_none()
            if seat is None:
                raise NotFound("no_such_seat", "There is no such seat.")
            if not may(principal, "use", Thing(kind="seat", unit_id=seat.unit_id)):
                raise NotAllowed("not_allowed", "You may not do this.")
            queues = await self._queues_of(db, principal.user_id, seat.pbx_id)
            zone = (await db.execute(select(Unit.time_zone).where(Unit.id == seat.unit_id))).scalar_one()
        if state == "paused" and not reason:
            raise Refusal("no_reason", "Choose a reason for the pause.")
        async with self._sitting_down:  # one after the other: nobody sits down on a seat, or twice, while the PBX is being told
            self._check_room(principal, seat.pbx_id, seat.extension, take_over)
            secret = seat.secret if seat.phone == "desk" else secrets.token_urlsafe(24)
            await self._tell_secret(seat.pbx_id, seat.extension, secret if seat.phone == "browser" else None)
            self._make_room(principal, seat.pbx_id, seat.extension, take_over)
            sitting = self._sit(principal, seat, secret, zone, queues, reason if state == "paused" else "", address)
        await self._books.through(WRITTEN_S)
        return sitting

    async def _tell_secret(self, pbx_id: int, extension: str, secret: str | None) -> None:
        line = self.lines.get(pbx_id)
        try:
            if line is None:
                raise PbxRefused("This phone system is not in the settings.")
            if secret is not None:
                await line.driver.set_phone_secret(extension, secret)
        except PbxUnreachable as away:
            raise Unavailable("pbx_away", "The phone system does not answer. Try again in a moment.", why=away.sentence) from away
        except PbxRefused as refusal:
            raise Unavailable("pbx_refused", "The phone system refused: {why}", why=refusal.sentence) from refusal

    def _sit(
        self,
        principal: Principal,
        seat: Any,
        secret: str,
        zone: str,
        queues: tuple[tuple[str, int], ...],
        reason: str,
        address: str,
    ) -> Sitting:
        now = self._clock.now()
        sitting = Sitting(
            session_id=self._new_id(), unit_id=seat.unit_id, pbx_id=seat.pbx_id, user_id=principal.user_id, seat_id=seat.id,
            extension=seat.extension, seat_name=seat.name, user_name=principal.name, team_id=principal.team_id, phone=seat.phone, secret=secret,
            zone=zone, queues=queues, signed_in_at=now, intent=Intent(signed_in=True, pause_reason=reason),
        )  # fmt: skip
        self._index(sitting)
        self._rows.open_session(sitting, address)
        self._refresh(sitting, now)
        return sitting

    def _check_room(self, principal: Principal, pbx_id: int, extension: str, take_over: bool) -> None:
        there, own = self.at(pbx_id, extension), self.of_user(principal.user_id)
        if own is not None and own.state in BUSY - {SeatState.WRAP_UP}:
            raise Conflict("in_call", "You are in a call at seat {seat}. Finish it first.", seat=own.extension)
        if there is not None and there is not own:
            if not take_over:
                raise Conflict(
                    "seat_in_use",
                    "Seat {seat} is in use by {name}. Take over, or choose another.",
                    seat=extension,
                    name=there.user_name,
                )
            if there.state in BUSY - {SeatState.WRAP_UP}:
                raise Conflict(
                    "seat_in_call", "{name} is in a call at seat {seat}. Choose another.", seat=extension, name=there.user_name
                )

    def _make_room(self, principal: Principal, pbx_id: int, extension: str, take_over: bool) -> None:
        self._check_room(principal, pbx_id, extension, take_over)  # a call may have come while the PBX was being told
        there, own = self.at(pbx_id, extension), self.of_user(principal.user_id)
        if there is not None and there is not own:
            self._get_up(there.user_id, by="taken_over")
        if own is not None:
            self._get_up(own.user_id, by="taken_over" if take_over else "moved")

    async def sign_out(self, user_id: int, by: str = "agent") -> None:
        """Get up. Not while in a call."""
        self._get_up(user_id, by)
        await self._books.through(WRITTEN_S)

    def _get_up(self, user_id: int, by: str) -> None:
        s = self._by_user.get(user_id)
        if s is None:
            return
        if by == "agent" and s.state in BUSY - {SeatState.WRAP_UP}:
            raise Conflict("in_call", "You are in a call at seat {seat}. Finish it first.", seat=s.extension)
        now = self._clock.now()
        if s.wrap_up_ends is not None:
            self._end_wrap_up(s, now)
        s.intent = step(s.intent, s.facts, Trigger.SIGN_OUT)
        line = self.lines.get(s.pbx_id)
        if line is not None:
            for queue, _ in s.queues:
                line.drop_member(queue, s.extension)
        self._refresh(s, now)
        del self._by_user[s.user_id]
        self._by_extension.pop((s.pbx_id, s.extension), None)
        self._rows.keep(s, signed_out_at=now, ended_by=by)

    def want(self, user_id: int, state: str, reason: str = "") -> None:
        """Ready or paused: now, or as the next state while busy. Raises Refusal."""
        s = self._by_user.get(user_id)
        if s is None:
            raise Conflict("not_seated", "You are not signed in to a seat.")
        if state == "paused" and not reason:
            raise Refusal("no_reason", "Choose a reason for the pause.")
        s.intent = step(s.intent, s.facts, Trigger.WANT_READY if state == "ready" else Trigger.WANT_PAUSE, reason)
        self._rows.keep(s)
        self._refresh(s, self._clock.now(), tell=True)

    def finish(self, user_id: int) -> None:
        """End the wrap-up. Harmless when there is none."""
        s = self._by_user.get(user_id)
        if s is not None and s.wrap_up_ends is not None and s.facts.phase is Phase.NONE:
            self._end_wrap_up(s, self._clock.now())

    # ------------------------------------------------------------------------------------------------- what the PBX reports

    def _hear_phone(self, event: PhoneRegistered | PhoneLost) -> None:
        registered = isinstance(event, PhoneRegistered)
        self._phones[(event.pbx_id, event.extension)] = registered
        s = self.at(event.pbx_id, event.extension)
        if s is not None:
            self._set_facts(s, Facts(registered=registered, phase=s.facts.phase), event)

    def _hear_seat(self, event: SeatEvent) -> None:
        """A seat's part in a call. What is read back from the journal is old news: `agree` takes up what came of it."""
        if self.replaying(event.pbx_id):
            return
        if isinstance(event, (CallOffered, CallAnswered)):
            self._compare_clocks(event)
        s = self.at(event.pbx_id, event.extension)
        if s is not None:
            self._hear_call(s, event)

    def _hear_end(self, event: CallEnded) -> None:
        """A call is over: a seat whose leaving was not told, since it was found in the call by a look at the PBX, is out of it too."""
        if self.replaying(event.pbx_id):
            return
        rung = {leg.endpoint for leg in event.fact.legs if leg.party == Party.SEAT}
        for extension in rung | {segment.extension for segment in event.fact.segments}:
            s = self.at(event.pbx_id, extension)
            if s is not None and s.call_id == event.call_id and s.facts.phase is not Phase.NONE:
                own = [segment for segment in event.fact.segments if segment.extension == s.extension]
                left = SeatLeftCall(
                    unit_id=event.unit_id, pbx_id=event.pbx_id, at=event.at, call_id=event.call_id, extension=s.extension,
                    queue=own[-1].queue if own else "", talked=bool(own), hung_up_by_seat=None,
                )  # fmt: skip
                self._hear_call(s, left)

    def _compare_clocks(self, event: DomainEvent) -> None:
        if event.at is not None:
            ahead = event.at - self._clock.now()
            self._ahead[event.pbx_id] = ahead if abs(ahead) > CLOCK_WRONG_S else 0.0

    def _ours(self, pbx_id: int, at: float | None) -> float:
        """An instant that the PBX told just now, by our clock."""
        now = self._clock.now()
        ours = now if at is None else at - self._ahead.get(pbx_id, 0.0)
        return ours if abs(ours - now) <= CLOCK_WRONG_S else now

    def replaying(self, pbx_id: int) -> bool:
        """What is told of this PBX just now is read back from its journal."""
        line = self.lines.get(pbx_id)
        return line is not None and line.replaying

    def agree(self, line: PbxLine, at: float | None) -> None:
        """Make every seat's half of the PBX what its board has now: after a start, and after the link was away."""
        for s in [s for s in self._by_user.values() if s.pbx_id == line.pbx_id]:
            part = next((p for p in line.board.at_extension(s.extension) if p.phase in PHASES), None)
            facts = Facts(registered=line.board.registered(s.extension), phase=PHASES[part.phase] if part else Phase.NONE)
            if facts == s.facts and (part is None or part.call_id == s.call_id):
                continue
            log.info(
                "a seat was brought in line with the PBX", extension=s.extension, was=s.facts.phase.value, now=facts.phase.value
            )
            was_busy, s.facts = s.facts.phase is not Phase.NONE, facts
            s.call_id = part.call_id if part else (s.wrap_up_call if s.intent.wrap_up else None)
            if was_busy and part is None:
                s.intent = step(s.intent, facts, Trigger.CALL_GONE)
                self._rows.keep(s)
            ahead = 0.0 if at is None else at - self._ours(s.pbx_id, at)
            self._refresh(s, part.since - ahead if part and part.since is not None else self._ours(s.pbx_id, at))

    def _hear_call(self, s: Sitting, event: SeatEvent) -> None:
        phase: Phase | None = None
        match event:
            case CallOffered() if s.facts.phase in (Phase.NONE, Phase.RINGING):
                phase, s.call_id = Phase.RINGING, event.call_id
            case OfferEnded() if (
                event.result is not OfferResult.ANSWERED and s.facts.phase is Phase.RINGING and s.call_id == event.call_id
            ):
                phase = Phase.NONE
            case CallAnswered() | CallResumed():
                phase, s.call_id = Phase.TALKING, event.call_id
            case CallHeld() if s.call_id == event.call_id:
                phase = Phase.HELD
            case SeatLeftCall() if s.call_id == event.call_id:
                phase = Phase.NONE
                self._call_over(s, event)
        if phase is not None:
            self._set_facts(s, Facts(registered=s.facts.registered, phase=phase), event)

    def _call_over(self, s: Sitting, event: SeatLeftCall) -> None:
        wrap_up_s = self._wrap_up_s.get((s.pbx_id, event.queue), self._default_wrap_up_s) if event.queue else 0
        at = self._ours(s.pbx_id, event.at)
        if not event.talked or wrap_up_s <= 0 or s.wrap_up_ends is not None:
            s.intent = step(s.intent, s.facts, Trigger.CALL_GONE)
            self._rows.keep(s)
            return
        s.intent = step(s.intent, s.facts, Trigger.CALL_OVER)
        s.wrap_up_call, s.wrap_up_from, s.wrap_up_ends = event.call_id, at, at + wrap_up_s
        self._set_timer(s)
        self._rows.keep(s)

    def _set_facts(self, s: Sitting, facts: Facts, event: DomainEvent) -> None:
        s.facts = facts
        if facts.phase is Phase.NONE and not s.intent.wrap_up:
            s.call_id = None
        self._refresh(s, self._ours(s.pbx_id, event.at))

    # -------------------------------------------------------------------------------------------------------------- wrap-up

    def _set_timer(self, s: Sitting) -> None:
        if s.timer is not None:
            s.timer.cancel()
        wait = max((s.wrap_up_ends or 0.0) - self._clock.now(), 0.0)
        s.timer = asyncio.get_running_loop().call_later(wait, self._wrap_up_due, s)

    def _wrap_up_due(self, s: Sitting) -> None:
        """The time is up; if that was while nobody watched, it ended then."""
        if s.wrap_up_ends is not None and self._by_user.get(s.user_id) is s:
            self._end_wrap_up(s, min(self._clock.now(), s.wrap_up_ends))

    def _end_wrap_up(self, s: Sitting, now: float) -> None:
        if s.timer is not None:
            s.timer.cancel()
            s.timer = None
        call_id, began = s.wrap_up_call, s.wrap_up_from
        s.wrap_up_call = s.wrap_up_from = s.wrap_up_ends = None
        s.intent = step(s.intent, s.facts, Trigger.WRAP_UP_OVER)
        if s.facts.phase is Phase.NONE:
            s.call_id = None
        self._rows.keep(s)
        self._refresh(s, now)
        if call_id is not None and began is not None:
            self._rows.book_wrap_up(s, call_id, began, now)

    # ------------------------------------------------------------------------------------------------------------- the state

    def _refresh(self, s: Sitting, at: float, tell: bool = False) -> None:
        known = self._phones.get((s.pbx_id, s.extension)) if s.facts.registered is None else None
        if known is not None:
            s.facts = Facts(registered=known, phase=s.facts.phase)
        state = state_of(s.intent, s.facts)
        reason = s.intent.pause_reason if state is SeatState.PAUSED else ("phone_lost" if state is SeatState.UNREACHABLE else "")
        changed = state is not s.state or reason != s.reason or s.since is None
        if changed:
            s.state, s.reason, s.since = state, reason, max(at, s.since or 0.0)
            self._rows.begin_interval(s, s.since)
        self._tell_queues(s)
        if changed or tell:
            self._publish(s)

    def _publish(self, s: Sitting) -> None:
        event = SeatChanged(
            unit_id=s.unit_id, pbx_id=s.pbx_id, at=s.since, user_id=s.user_id, seat_id=s.seat_id, extension=s.extension, phone=s.phone,
            state=s.state.value, since=s.since, reason=s.reason, next_state=s.intent.next_state, next_reason=s.intent.next_reason,
            wrap_up_ends=s.wrap_up_ends, call_id=s.call_id if s.facts.phase is not Phase.NONE else s.wrap_up_call,
        )  # fmt: skip
        self._bus.publish(topic(event), event)

    def _tell_queues(self, s: Sitting) -> None:
        if not s.intent.signed_in:
            return
        wish = _wish(s) if s.queues else None
        if wish != s.wished:
            s.wished, line = wish, self.lines.get(s.pbx_id)
            if line is not None:
                line.want_members(self._members_of(s))

    def _index(self, s: Sitting) -> None:
        self._by_user[s.user_id] = s
        self._by_extension[(s.pbx_id, s.extension)] = s
        self._sat.setdefault((s.pbx_id, s.extension), deque(maxlen=SAT_KEPT)).append((s.signed_in_at, s.user_id))


def _wish(s: Sitting) -> tuple[bool, str]:
    """Whether the queues should pass this seat by, and why."""
    open_for_calls = takes_calls(s.state, s.intent)
    return not open_for_calls, "" if open_for_calls else (s.intent.pause_reason or s.state.value)
