"""The floor of a PBX that is played: seats, queues and callers as coroutines in this process, with no sound and no telephone.

A script moves it (`caller`, `register`), the line in `scripted` hears what it says. Time is handed in: `now` gives the PBX's
clock, `sleep` lets time pass, so that a test may run an afternoon in a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from cti.pbx_events import (
    Endpoint,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHungUpBy,
    LegJoined,
    LegNow,
    LegParted,
    LegRinging,
    LegStarted,
    MemberSeen,
    OfferAnswered,
    OfferMissed,
    OfferStarted,
    Party,
    PbxEvent,
    PhoneSeen,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
    Snapshot,
    WaitNow,
)
from cti.ports import Member

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]
NORMAL, BUSY, NO_ANSWER = 16, 17, 19
RETRY_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHabit:
    """What a seat's phone does by itself: answers after `ring_s` (None = never) and hangs up after `talk_s` (None = never)."""

    ring_s: float | None = 1.0
    talk_s: float | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """One leg being played. `over` is set to have it end."""

    leg: str
    call: str
    endpoint: Endpoint
    number: str
    name: str
    dialed: str
    inward: bool
    started_at: float
    up: bool = False
    bridge: str = ""
    waits: tuple[str, float] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedPbx:
    """The floor: `numbers` lead to queues, `habits` are the seats' phones (registered from the start). `trunk` names the outside."""

    def __init__(
        self,
        *,
        numbers: Mapping[str, str],
        habits: Mapping[str, PhoneHabit],
        now: Now,
        sleep: Sleep,
        ring_limit_s: float = 15.0,
        trunk: str = "outside",
    ) -> None:
        self._numbers, self.habits = dict(numbers), dict(habits)
        self._now, self._sleep, self._ring_limit_s, self._trunk = now, sleep, ring_limit_s, trunk
        self.epoch = f"scripted-{now():.3f}"
        self.said: asyncio.Queue[PbxEvent] = asyncio.Queue()
        self.lines: dict[str, _Line] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.phones = set(habits)
        self._serial = count(1)

    # ------------------------------------------------------------------------------------------------- what scripts do

    def register(self, extension: str, registered: bool = True) -> None:
        """A seat's phone comes or goes."""
        (self.phones.add if registered else self.phones.discard)(extension)
        self._say(PhoneSeen(extension=extension, registered=registered, at=self._now()))

    async def caller(self, *, number: str, to: str, name: str = "", patience_s: float = 60.0, talk_s: float = 30.0) -> bool:
        """One call from outside, played to its end; whether a seat took it. `talk_s` is when the caller hangs up."""
        queue = self._numbers.get(to)
        caller = self._start(Endpoint(party=Party.TRUNK, name=self._trunk), number=number, name=name, dialed=to)
        if queue is None:
            self._end(caller, cause=1)
            return False
        self._answer(caller)
        caller.waits = (queue, self._now())
        self._say(QueueJoined(leg=caller.leg, queue=queue, position=self._place(queue), at=self._now()))
        seat = await self._wait(caller, queue, patience_s)
        caller.waits = None
        if seat is None:
            self._say(QueueAbandoned(leg=caller.leg, queue=queue, at=self._now()))
            self._say(QueueLeft(leg=caller.leg, queue=queue, at=self._now()))
            self._end(caller, cause=0)
            return False
        await self._talk(caller, seat, talk_s)
        return True

    # ------------------------------------------------------------------------------------------------------- the queue

    async def _wait(self, caller: _Line, queue: str, patience_s: float) -> _Line | None:
        """Ring one free member after the other until one answers or the caller has had enough."""
        leaves_at = self._now() + patience_s
        tried: list[str] = []
        while self._now() < leaves_at and not caller.over.is_set():
            extension = self._free_member(queue, tried)
            if extension is None:
                tried.clear()
                await self._pause(min(RETRY_S, leaves_at - self._now()), caller)
                continue
            tried.append(extension)
            seat = await self._offer(caller, queue, extension, leaves_at)
            if seat is not None:
                return seat
        if not caller.over.is_set():
            self._say(LegHungUpBy(leg=caller.leg, at=self._now()))
        return None

    async def _offer(self, caller: _Line, queue: str, extension: str, leaves_at: float) -> _Line | None:
        seat = self._ring(extension, caller)
        told = {"leg": caller.leg, "offer_leg": seat.leg, "queue": queue, "extension": extension}
        self._say(OfferStarted(**told, at=self._now()))
        self._say(LegRinging(leg=seat.leg, at=self._now()))
        if await self._picked_up(seat, extension, min(self._ring_limit_s, leaves_at - self._now()), caller):
            self._answer(seat)
            self._say(QueueLeft(leg=caller.leg, queue=queue, at=self._now()))
            self._say(OfferAnswered(**told, at=self._now()))
            return seat
        if not caller.over.is_set() and self._now() < leaves_at:
            self._say(OfferMissed(**told, at=self._now()))
        self._end(seat, cause=BUSY if seat.over.is_set() else 0)
        return None

    def _free_member(self, queue: str, tried: Sequence[str]) -> str | None:
        busy = {line.endpoint.name for line in self.lines.values()}
        free = [
            member
            for (name, extension), member in self.members.items()
            if name == queue and not member.paused and extension in self.phones and extension not in busy and extension not in tried
        ]
        return min(free, key=lambda member: member.penalty).extension if free else None

    def _place(self, queue: str) -> int:
        return sum(1 for line in self.lines.values() if line.waits is not None and line.waits[0] == queue)

    # ------------------------------------------------------------------------------------------------------------ legs

    def _start(
        self,
        endpoint: Endpoint,
        *,
        number: str,
        name: str = "",
        dialed: str = "",
        call: str = "",
        leg: str = "",
        inward: bool = True,
    ) -> _Line:
        leg = leg or f"{self.epoch}.{next(self._serial)}"
        line = _Line(leg, call or leg, endpoint, number, name, dialed, inward, self._now())
        self.lines[leg] = line
        self._say(
            LegStarted(
                call=line.call,
                leg=leg,
                endpoint=endpoint,
                number=number,
                name=name,
                dialed=dialed,
                inward=inward,
                at=self._now(),
            )
        )
        return line

    def _ring(self, extension: str, by: _Line) -> _Line:
        seat = self._start(Endpoint(party=Party.SEAT, name=extension), number=extension, call=by.call, inward=False)
        self._say(LegDialed(leg=seat.leg, by=by.leg, dialed=extension, at=self._now()))
        return seat

    def _answer(self, line: _Line) -> None:
        line.up = True
        self._say(LegAnswered(leg=line.leg, at=self._now()))

    async def _picked_up(self, line: _Line, extension: str, limit_s: float, other: _Line | None) -> bool:
        habit = self.habits.get(extension, PhoneHabit(ring_s=None))
        answers = habit.ring_s is not None and habit.ring_s <= limit_s
        await self._pause(habit.ring_s if answers and habit.ring_s is not None else limit_s, line, other)
        return answers and not line.over.is_set() and not (other is not None and other.over.is_set())

    async def _talk(self, one: _Line, seat: _Line, talk_s: float | None) -> None:
        """The two hear one another until either hangs up or is hung up."""
        bridge = f"bridge-{next(self._serial)}"
        for line in (seat, one):
            line.bridge = bridge
            self._say(LegJoined(leg=line.leg, bridge=bridge, at=self._now()))
        habit = self.habits.get(seat.endpoint.name, PhoneHabit())
        limits = [limit for limit in (talk_s, habit.talk_s) if limit is not None]
        await self._pause(min(limits) if limits else None, one, seat)
        if not one.over.is_set() and not seat.over.is_set():
            by_seat = habit.talk_s is not None and habit.talk_s == min(limits)
            self._say(LegHungUpBy(leg=seat.leg if by_seat else one.leg, at=self._now()))
        for line in (one, seat):
            line.bridge = ""
            self._say(LegParted(leg=line.leg, bridge=bridge, at=self._now()))
        self._end(seat, cause=NORMAL)
        self._end(one, cause=NORMAL)

    def _end(self, line: _Line, *, cause: int) -> None:
        if self.lines.pop(line.leg, None) is not None:
            self._say(LegEnded(leg=line.leg, cause=cause, at=self._now()))

    async def _pause(self, seconds: float | None, *lines: _Line | None) -> None:
        """Let time pass, or less if one of the legs is told to end. None = until then."""
        waits = [asyncio.ensure_future(line.over.wait()) for line in lines if line is not None]
        if seconds is not None:
            waits.append(asyncio.ensure_future(self._sleep(max(0.0, seconds))))  # type: ignore[arg-type]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _say(self, event: PbxEvent) -> None:
        self.said.put_nowait(event)

    # ----------------------------------------------------------------------------------------------- what the line does

    async def dial_out(self, extension: str, number: str, leg: str) -> None:
        """Ring a seat; when it answers, call `number`: another seat, or somebody outside who answers after a second."""
        seat = self._start(Endpoint(party=Party.SEAT, name=extension), number=extension, leg=leg, inward=False)
        self._say(LegDialed(leg=seat.leg, by="", dialed=extension, at=self._now()))
        self._say(LegRinging(leg=seat.leg, at=self._now()))
        if not await self._picked_up(seat, extension, self._ring_limit_s, None):
            self._end(seat, cause=NO_ANSWER)
            return
        self._answer(seat)
        await self._call_on(seat, number)

    async def seat_calls(self, extension: str, number: str) -> None:
        """A seat's own phone calls `number`: another seat, or somebody outside who answers after a second."""
        seat = self._start(Endpoint(party=Party.SEAT, name=extension), number=extension, dialed=number)
        await self._call_on(seat, number)

    async def _call_on(self, seat: _Line, number: str) -> None:
        """Call `number` for a seat's leg, and let the two talk if it answers."""
        if number in self.habits:
            called = self._ring(number, seat)
        else:
            called = self._start(Endpoint(party=Party.TRUNK, name=self._trunk), number=number, call=seat.call, inward=False)
            self._say(LegDialed(leg=called.leg, by=seat.leg, dialed=number, at=self._now()))
        self._say(LegRinging(leg=called.leg, at=self._now()))
        extension_called = number if number in self.habits else ""
        if extension_called:
            taken = await self._picked_up(called, extension_called, self._ring_limit_s, seat)
        else:
            await self._pause(1.0, called, seat)
            taken = not called.over.is_set() and not seat.over.is_set()
        if not taken:
            self._end(called, cause=0)
            self._end(seat, cause=NORMAL)
            return
        self._answer(called)
        if not seat.up:
            self._answer(seat)
        await self._talk(called, seat, None)

    def snapshot(self) -> Snapshot:
        """Everything as it is."""
        now = self._now()
        return Snapshot(
            at=now,
            epoch=self.epoch,
            legs=tuple(_leg_now(line) for line in self.lines.values()),
            waits=tuple(
                WaitNow(leg=line.leg, queue=line.waits[0], position=place, wait_s=now - line.waits[1])
                for place, line in enumerate((one for one in self.lines.values() if one.waits is not None), 1)
                if line.waits is not None
            ),
            members=tuple(_member_seen(member) for member in self.members.values()),
            phones=tuple(PhoneSeen(extension=extension, registered=True) for extension in sorted(self.phones)),
        )

    def set_member(self, member: Member | None, key: tuple[str, str]) -> None:
        """Add, change or (None) remove a queue's member, and say so."""
        before = self.members.pop(key, None)
        if member is not None:
            self.members[key] = member
        if before != member:
            seen = member or before
            assert seen is not None
            self._say(_member_seen(seen, present=member is not None, at=self._now()))


def _leg_now(line: _Line) -> LegNow:
    return LegNow(
        call=line.call,
        leg=line.leg,
        endpoint=line.endpoint,
        number=line.number,
        name=line.name,
        dialed=line.dialed,
        inward=line.inward,
        ringing=not line.inward and not line.up,
        up=line.up,
        bridge=line.bridge,
        started_at=line.started_at,
        answered_at=None,
    )


def _member_seen(member: Member, *, present: bool = True, at: float | None = None) -> MemberSeen:
    return MemberSeen(
        queue=member.queue,
        extension=member.extension,
        present=present,
        paused=member.paused,
        reason=member.reason,
        at=at,
    )
