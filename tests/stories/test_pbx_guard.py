"""The guard of wrap-up: a call that ends never lets another caller in before somebody says that the seat is ready.

Twenty callers wait at all times, the phones hang up by themselves, and a stand-in for Lingxi lifts each pause after 0 to 200 ms. A
hundred ends in the ordinary suite, a thousand with LINGXI_DEEP=1. With the heartbeat gone the PBX serves callers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit
from cti.pbx.asterisk.provision import GUARD_REASON, HEARTBEAT, guard_lifted
from tests.lab.ami import Ami, Message
from tests.lab.asterisk_lab import AsteriskLab, asterisk_lab, members, private_lab  # noqa: F401

pytestmark = pytest.mark.pbx
DEEP = os.environ.get("LINGXI_DEEP") == "1"
ENDS = 1000 if DEEP else 100
SEATS = [str(1001 + index) for index in range(12)]
WAITING = 20


@asynccontextmanager
async def heartbeat(ami: Ami) -> AsyncIterator[None]:
    """The PBX is told that somebody watches, until the block ends; then that nobody does."""

    async def beat() -> None:
        while True:
            await ami.action("Setvar", Variable=HEARTBEAT, Value=str(int(time.time())))
            await asyncio.sleep(2)

    await ami.action("Setvar", Variable=HEARTBEAT, Value=str(int(time.time())))
    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await ami.action("Setvar", Variable=HEARTBEAT, Value="0")


async def lift(ami: Ami, extension: str) -> None:
    await ami.action("QueuePause", Interface=f"PJSIP/{extension}", Paused="false")
    variable, value = guard_lifted(extension)
    await ami.action("Setvar", Variable=variable, Value=value)


def seat_of(message: Message) -> str:
    return message["Interface"].removeprefix("PJSIP/")


class Lifter:
    """Lifts the guard's pause of a seat some time after its call ended, as Lingxi does when wrap-up is over."""

    def __init__(self, ami: Ami) -> None:
        self.ami = ami
        self.ends = 0
        self.legs: dict[str, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        ami.on_event = self.heard

    def heard(self, message: Message) -> None:
        if message.get("Event") == "AgentConnect":
            self.legs[message["DestUniqueid"]] = seat_of(message)
        elif message.get("Event") == "Hangup" and message["Uniqueid"] in self.legs:
            self.ends += 1
            task = asyncio.create_task(self.later(self.legs.pop(message["Uniqueid"])))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def later(self, extension: str) -> None:
        await asyncio.sleep(random.uniform(0, 0.2))
        await lift(self.ami, extension)

    async def done(self) -> None:
        while self.tasks:
            await asyncio.gather(*self.tasks)


def offers_to_guarded(events: list[Message]) -> list[str]:
    """Offers that a seat got, by the PBX's own clock, between its answer and the lifting of its pause."""
    told: list[tuple[float, str, str]] = []
    for message in events:
        name = message.get("Event")
        if name in ("AgentCalled", "AgentConnect") or (name == "QueueMemberPause" and message["Paused"] == "0"):
            told.append((float(message["Timestamp"]), seat_of(message), str(name)))
    guarded: dict[str, float] = {}
    wrong: list[str] = []
    for at, seat, name in sorted(told):
        if name == "AgentConnect":
            guarded[seat] = at
        elif name == "QueueMemberPause":
            guarded.pop(seat, None)
        elif seat in guarded:
            wrong.append(f"{seat} answered at {guarded[seat]:.6f}, was offered another call at {at:.6f}")
    return wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize("talk_s", [(0.05, 0.4), (0.0, 0.0)], ids=["short-talk", "hangs-up-at-once"])
async def test_a_seat_is_never_offered_a_call_in_wrap_up(asterisk_lab: AsteriskLab, talk_s: tuple[float, float]) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    phones = lab.phones(SEATS, Habit(ring_s=(0.01, 0.15), talk_s=talk_s))
    await phones.start()
    lifter = Lifter(ami)
    async with heartbeat(ami), members(ami, "silent", SEATS), members(ami, "sales", SEATS):
        await crowds(lab, ENDS)
        await lifter.done()
    print(f"{lifter.ends} ends, {len(ami.named('AgentCalled'))} offers, {len(ami.named('QueueMemberPause', Paused='1'))} pauses")
    assert lifter.ends >= ENDS
    assert offers_to_guarded(ami.events) == []
    pauses = ami.named("QueueMemberPause", Paused="1")
    assert {message["PausedReason"] for message in pauses} == {GUARD_REASON}
    assert len(pauses) >= 2 * len(ami.named("AgentConnect"))  # in both queues, at each answer
    await phones.unregister()
    await ami.close()


async def crowds(lab: AsteriskLab, ends: int) -> None:
    """Two crowds, one for each of two queues with the same seats; returns when all their calls are over."""
    numbers = [f"139000{index:05d}" for index in range(200)]
    at_once = (WAITING + len(SEATS)) // 2
    each = ends // 2 + at_once
    both = [await lab.callers.crowd(numbers, to, calls=each, at_once=at_once, rate=50, hold_s=300) for to in ("8004", "8002")]
    for crowd in both:
        assert await crowd.wait() == 0, crowd.trouble()


async def test_without_a_heartbeat_the_pbx_serves_callers_by_itself(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    phones = lab.phones(SEATS, Habit(ring_s=(0.01, 0.15), talk_s=(0.05, 0.4)))
    await phones.start()
    async with members(ami, "silent", SEATS), members(ami, "sales", SEATS):
        await crowds(lab, 60)
    assert ami.named("QueueMemberPause") == []
    assert len(ami.named("AgentComplete")) >= 60
    assert offers_to_guarded(ami.events)  # the same check that stays empty under the guard does see such offers
    await phones.unregister()
    await ami.close()


async def beat_of_age(ami: Ami, age_s: int) -> None:
    await ami.action("Setvar", Variable=HEARTBEAT, Value=str(int(time.time()) - age_s) if age_s < 1000 else "0")


async def test_a_heartbeat_that_stops_in_mid_call_frees_the_seat_at_its_end(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    phones = lab.phones(["1020"], Habit(ring_s=(0.1, 0.1), talk_s=(4.5, 4.5)))
    await phones.start()
    async with members(ami, "silent", ["1020"]):
        await beat_of_age(ami, 7)
        await lab.callers.call(Caller(number="13800000001", to="8004"))
        await ami.wait("QueueMemberPause", Paused="1", PausedReason=GUARD_REASON)
        await ami.wait("QueueMemberPause", Paused="0", timeout=3)
    await beat_of_age(ami, 9999)
    await phones.unregister()
    await ami.close()


async def taken_call(lab: AsteriskLab, ami: Ami, number: str) -> None:
    """A caller is served to the end."""
    since = len(ami.events)
    result = await lab.callers.call(Caller(number=number, to="8004", hold_s=20))
    assert (result.answered, result.ended_by) == (True, "pbx")
    await ami.wait("AgentComplete", since=since)


async def paused(ami: Ami, extension: str) -> str:
    """The reason of the seat's pause in the queue, "" if it is not paused."""
    status = await ami.listing("QueueStatus", Queue="silent", Member=f"PJSIP/{extension}")
    member = next(message for message in status if message.get("Event") == "QueueMember")
    return member["PausedReason"] if member["Paused"] == "1" else ""


async def test_a_seat_left_in_wrap_up_is_freed_by_the_next_caller_and_one_at_lunch_is_not(private_lab: AsteriskLab) -> None:  # noqa: F811
    lab = private_lab
    ami = await lab.ami()
    phones = lab.phones(["1021"], Habit(ring_s=(0.1, 0.1), talk_s=(0.3, 0.3)))
    await phones.start()
    async with members(ami, "silent", ["1021"]):
        await beat_of_age(ami, 0)
        await taken_call(lab, ami, "13800000002")
        assert await paused(ami, "1021") == GUARD_REASON
        await beat_of_age(ami, 9999)
        await taken_call(lab, ami, "13800000003")  # nobody lifted the pause but the PBX itself
        assert await paused(ami, "1021") == ""

        await beat_of_age(ami, 0)
        await taken_call(lab, ami, "13800000004")
        await ami.action("QueuePause", Interface="PJSIP/1021", Paused="true", Reason="Lunch")
        variable, value = guard_lifted("1021")
        await ami.action("Setvar", Variable=variable, Value=value)
        await beat_of_age(ami, 9999)
        caller = await lab.callers.place(Caller(number="13800000005", to="8004"))
        await ami.wait("QueueCallerJoin", CallerIDNum="13800000005")
        await asyncio.sleep(2.5)
        await caller.hang_up()
        assert await paused(ami, "1021") == "Lunch"
    await ami.close()


async def test_a_seat_left_in_wrap_up_is_freed_after_a_restart_of_the_pbx_too(private_lab: AsteriskLab) -> None:  # noqa: F811
    lab = private_lab
    ami = await lab.ami()
    phones = lab.phones(["1022"], Habit(ring_s=(0.1, 0.1), talk_s=(0.3, 0.3)))
    await phones.start()
    await ami.action("QueueAdd", Queue="silent", Interface="PJSIP/1022", MemberName="Desk 1022")
    await beat_of_age(ami, 0)
    await taken_call(lab, ami, "13800000006")
    assert await paused(ami, "1022") == GUARD_REASON
    await asyncio.sleep(1.2)  # Asterisk writes its database once a second
    await lab.process.kill()
    began = time.monotonic()
    await lab.process.start()
    ami = await lab.ami()
    assert await paused(ami, "1022") == GUARD_REASON  # the member is back, and as it was
    print(f"members back {time.monotonic() - began:.1f} s after the start")
    assert time.monotonic() - began < 5
    await taken_call(lab, ami, "13800000007")
    assert await paused(ami, "1022") == ""
    await ami.close()
