"""A fault of ours in the work for one PBX takes neither its line nor the product along."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count

import pytest
from structlog.testing import capture_logs

from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import SystemClock
from cti.events import CallEnded
from cti.pbx.scripted import PhoneHabit, ScriptedDriver, ScriptedPbx
from cti.pbx_events import Booted, Endpoint, LegAnswered, LegEnded, LegStarted, LinkDown, LinkUp, Party, PbxEvent, Snapshot
from cti.ports import Batch, Member
from cti.services import drift, lines
from cti.services.lines import PbxLine

SEAT = Member(queue="support", extension="8001", name="Desk 8001")


class Faulty(ScriptedDriver):
    """Fails as often as a test wishes in what it is asked."""

    def __init__(self, pbx: ScriptedPbx) -> None:
        super().__init__(pbx)
        self.faults: dict[str, int] = {}

    def fail(self, what: str) -> None:
        if self.faults.get(what, 0):
            self.faults[what] -= 1
            raise ZeroDivisionError(what)

    async def snapshot(self) -> Snapshot:
        self.fail("snapshot")
        return await super().snapshot()

    async def heartbeat(self, alive: bool) -> None:
        self.fail("heartbeat")
        await super().heartbeat(alive)

    async def standing(self) -> Mapping[str, bool]:
        self.fail("standing")
        return await super().standing()

    async def put_members(self, members: Sequence[Member]) -> None:
        self.fail("put_members")
        await super().put_members(members)


async def until(holds: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((lines, "RETRY_S"), (lines, "BEAT_S"), (drift, "EVERY_S")):
        monkeypatch.setattr(module, name, 0.02)


@asynccontextmanager
async def at_work(**faults: int) -> AsyncIterator[tuple[PbxLine, Faulty, list[CallEnded]]]:
    bus, ended = MemoryBus(), list[CallEnded]()
    pbx = ScriptedPbx(numbers={"400": "support"}, habits={"8001": PhoneHabit(ring_s=0.01)}, now=time.time, sleep=asyncio.sleep)
    driver = Faulty(pbx)
    driver.faults = dict(faults)
    line = PbxLine(
        unit_id=1, pbx_id=1, name="lab", driver=driver, bus=bus, clock=SystemClock(), new_id=count(1).__next__, members=lambda _: [SEAT]
    )  # fmt: skip
    bus.subscribe("unit.1.pbx.1.call.ended", lambda _, event: ended.append(event))
    working = asyncio.create_task(line.run())
    try:
        await until(lambda: ("support", "8001") in pbx.members)
        yield line, driver, ended
        assert not working.done()
    finally:
        await line.close()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("what", ["snapshot", "heartbeat", "standing"])
async def test_work_that_fails_twice_goes_on(what: str) -> None:
    with capture_logs() as logs:
        async with at_work(**{what: 2}) as (line, driver, ended):
            await until(lambda: driver.faults[what] == 0)
            assert line.up
            assert await driver.pbx.caller(number="13900000001", to="400", talk_s=0.02)
            await until(lambda: ended)
    assert ended[0].fact.outcome == "answered"
    assert sum(entry["log_level"] == "error" for entry in logs) == 2, "each fault is in the log with its place"


async def test_a_wish_that_fails_is_followed_by_the_next() -> None:
    async with at_work(put_members=1) as (line, driver, _):
        line.want_members([Member(queue="support", extension="8001", name="Desk 8001", paused=True, reason="tea")])
        await until(lambda: driver.faults["put_members"] == 0)
        line.want_members([Member(queue="support", extension="8001", name="Desk 8001", paused=True, reason="lunch")])
        await until(lambda: driver.pbx.members["support", "8001"].reason == "lunch")


async def test_an_event_that_cannot_be_taken_in_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board's fault with one kind of event: the others are heard, and the comparison brings the call in line."""
    async with at_work() as (line, driver, ended):
        apply = line.board.apply

        def faulty(event: PbxEvent, **words: bool) -> object:
            if isinstance(event, LegAnswered):
                raise KeyError(event.leg)
            return apply(event, **words)

        monkeypatch.setattr(line.board, "apply", faulty)
        with capture_logs() as logs:
            assert await driver.pbx.caller(number="13900000001", to="400", talk_s=0.5)
            await until(lambda: ended)
    assert ended[0].fact.outcome == "answered"
    assert {entry.get("kind") for entry in logs if entry["log_level"] == "error"} == {"LegAnswered"}


class Telling(ScriptedDriver):
    """Says what it is given, and nothing else."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__(ScriptedPbx(numbers={}, habits={}, now=time.time, sleep=asyncio.sleep))
        self.batches = batches

    async def run(self) -> AsyncIterator[Batch]:
        for batch in self.batches:
            yield batch
        await asyncio.Event().wait()


def begins(leg: str, party: Party) -> LegStarted:
    endpoint = Endpoint(party=party, name="8001")
    return LegStarted(call=leg, leg=leg, endpoint=endpoint, number="8001", name="", dialed="8002", inward=True, at=1.0)


class Behind(Telling):
    """Its stream comes later than what is asked of it. `come` lets the next batch be heard."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__(batches)
        self.come = asyncio.Semaphore(1)

    async def run(self) -> AsyncIterator[Batch]:
        for batch in self.batches:
            await self.come.acquire()
            yield batch
        await asyncio.Event().wait()

    async def snapshot(self) -> Snapshot:
        return Snapshot(at=8.0, epoch="a", legs=(), waits=(), members=(), phones=())


@asynccontextmanager
async def looking_at(driver: Behind) -> AsyncIterator[tuple[PbxLine, list[float | None], list[CallEnded]]]:
    """A line at work, when the looks were that it took in, and the calls that ended."""
    bus, agreed, ended = MemoryBus(), list[float | None](), list[CallEnded]()
    line = PbxLine(
        unit_id=1, pbx_id=1, name="lab", driver=driver, bus=bus, clock=SystemClock(), new_id=count(1).__next__, members=lambda _: []
    )  # fmt: skip
    line.on_agreed = lambda _, at: agreed.append(at)
    bus.subscribe("unit.1.pbx.1.call.ended", lambda _, event: ended.append(event))
    working = asyncio.create_task(line.run())
    try:
        yield line, agreed, ended
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("cut", [False, True])
async def test_a_look_at_the_pbx_waits_until_all_is_heard_that_was_said_before_it(cut: bool) -> None:
    """It may be far ahead of what was heard, and of no use any more where the link is lost before that is heard."""
    up, leg = Batch(events=[Booted(epoch="a"), LinkUp()], position="1"), begins("C", Party.TRUNK)
    late = [LegEnded(leg="C", cause=16, at=7.0), PbxEvent(at=8.1)]
    driver = Behind([up, Batch(events=[leg], position="2"), Batch(events=[LinkDown(why="")] if cut else late, position="3")])
    async with looking_at(driver) as (line, agreed, ended):
        driver.come.release()
        await until(lambda: line.board.calls())
        await asyncio.sleep(0.1)
        assert not agreed
        driver.come.release()
        await until(lambda: not line.up if cut else agreed)
        assert [event.fact.unobserved for event in ended] == ([] if cut else [False])
        assert not (cut and agreed)


async def watched(batches: Sequence[Batch], every_s: float) -> tuple[list[float | None], list[CallEnded]]:
    """What a line makes of a stream whose batches come one by one, with a look at the PBX that is ahead of them."""
    driver = Behind(batches)
    async with looking_at(driver) as (_, agreed, ended):
        for _ in batches[1:]:  # the first one comes by itself
            assert not agreed, "a look was taken in before all was heard that was said by then"
            driver.come.release()
            await asyncio.sleep(every_s)
        await until(lambda: agreed)
    return agreed, ended


BEGINNING = (Batch(events=[Booted(epoch="a"), LinkUp()], position="1"), Batch(events=[begins("C", Party.TRUNK)], position="2"))


async def test_however_far_behind_it_waits_as_long_as_it_comes_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PATIENCE_S", 0.5)
    slow = [Batch(events=[PbxEvent(at=at)], position=str(at)) for at in (2.0, 3.0, 4.0, 5.0, 6.0)]
    end = Batch(events=[LegEnded(leg="C", cause=16, at=7.0), PbxEvent(at=8.1)], position="end")
    _, ended = await watched([*BEGINNING, *slow, end], 0.2)
    assert [event.fact.unobserved for event in ended] == [False]


@pytest.mark.parametrize(
    "after", [[], [Batch(events=[PbxEvent(at=7.0)], position="3"), Batch(events=[PbxEvent(at=-3593.0)], position="4")]]
)
async def test_a_pbx_that_falls_silent_or_sets_its_clock_back_is_not_waited_for(
    after: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PATIENCE_S", 1.0 if not after else 30.0)
    agreed, _ = await watched([*BEGINNING, *after], 0.1)
    assert set(agreed) == {8.0}


async def test_a_start_reads_on_from_before_the_oldest_call_and_in_the_name_of_the_boot_there() -> None:
    """A call stands there from its first leg, told of or not; and what is told of a gap stands where it begins, whatever boot it ends in."""
    kept: list[tuple[str, str]] = []
    batches = [
        Batch(events=[Booted(epoch="a")], position="1"),
        Batch(events=[begins("C", Party.SEAT)], position="2"),
        Batch(
            events=[LegEnded(leg="C", cause=16, at=2.0), Booted(epoch="b"), begins("D", Party.TRUNK)], position="2", unheard=True
        ),
        Batch(events=[PbxEvent(at=3.0)], position="3"),
        Batch(events=[LegEnded(leg="D", cause=16, at=4.0)], position="4"),
    ]
    line = PbxLine(
        unit_id=1, pbx_id=1, name="lab", driver=Telling(batches), bus=MemoryBus(), clock=SystemClock(), new_id=count(1).__next__,
        members=lambda _: [], keep_position=lambda _, epoch, position: kept.append((epoch, position)),
    )  # fmt: skip
    working = asyncio.create_task(line.run())
    try:
        await until(lambda: len(kept) == len(batches))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert kept == [("a", "1"), ("a", "1"), ("a", "2"), ("a", "2"), ("b", "4")]
