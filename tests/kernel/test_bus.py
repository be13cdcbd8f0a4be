"""The bus, in one process and over Redis.

The same promises for both, then what only the one between processes promises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from crm_core.kernel.bus import REJOINED, Bus, BusRejoined, MemoryBus, topic
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.redis_bus import RedisBus
from crm_core.kernel.redis_link import connect
from crm_core.kernel.wire import Wire
from tests.peers.redis_server import RedisServer


@dataclass(frozen=True, slots=True, kw_only=True)
class BellRang:
    WIRE: ClassVar[str] = "bell.rang"
    VERSION: ClassVar[int] = 1

    bell_id: int
    tones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Private:
    note: str = ""


@dataclass
class Ear:
    """Writes down what it hears."""

    heard: list[tuple[str, object]] = field(default_factory=list)

    def __call__(self, topic: str, event: object) -> None:
        self.heard.append((topic, event))

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                await asyncio.sleep(0.005)


Run = Callable[[Bus], Awaitable[None]]


@asynccontextmanager
async def running(*buses: MemoryBus | RedisBus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(bus.run()) for bus in buses]
        for bus in buses:
            if isinstance(bus, RedisBus):
                await asyncio.wait_for(bus.listening.wait(), 10)
        await asyncio.sleep(0)
        try:
            yield
        finally:
            for run in runs:
                run.cancel()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[MemoryBus | RedisBus]:
    if request.param == "memory":
        yield MemoryBus(queue_limit=8)
        return
    client = connect(request.getfixturevalue("redis_url"))
    yield RedisBus(client, Wire([BellRang]), SystemClock())
    await client.aclose()


# ------------------------------------------------------------------------------------------------ promises of every bus


async def test_a_sync_handler_has_run_when_publish_returns(bus: Bus) -> None:
    ear = Ear()
    bus.subscribe("unit.1", ear)
    event = BellRang(bell_id=7)
    bus.publish(topic(1, 2, "bell.rang"), event)
    assert ear.heard == [("unit.1.pbx.2.bell.rang", event)]


@pytest.mark.parametrize(
    ("prefix", "hears"),
    [
        ("", True),
        ("unit.7", True),
        ("unit.7.pbx.3.call.offered", True),
        ("unit.*.pbx.*.call", True),
        ("unit.*.pbx.*.call.offered", True),
        ("unit.70", False),
        ("unit.7.pbx.3.call.off", False),
        ("unit.*.call", False),
        ("unit.7.pbx.3.call.offered.now", False),
    ],
)
async def test_a_prefix_matches_whole_words(bus: Bus, prefix: str, hears: bool) -> None:
    ear = Ear()
    bus.subscribe(prefix, ear)
    bus.publish("unit.7.pbx.3.call.offered", Private())
    assert bool(ear.heard) is hears


async def test_handlers_run_in_the_order_of_subscribing_and_see_one_order_of_events(bus: Bus) -> None:
    order: list[tuple[str, str]] = []

    def first(topic: str, event: object) -> None:
        order.append(("first", topic))
        if topic == "a":
            bus.publish("b", Private())

    bus.subscribe("", first)
    bus.subscribe("", lambda topic, _: order.append(("second", topic)))
    bus.publish("a", Private())
    assert order == [("first", "a"), ("second", "a"), ("first", "b"), ("second", "b")]


async def test_one_handlers_failure_touches_nobody_else(bus: Bus) -> None:
    ear = Ear()

    def breaks(topic: str, event: object) -> None:
        raise RuntimeError("on purpose")

    bus.subscribe("", breaks)
    bus.subscribe("", ear)
    bus.publish("a", Private("one"))
    bus.publish("a", Private("two"))
    assert [event for _, event in ear.heard] == [Private("one"), Private("two")]


async def test_after_unsubscribing_nothing_is_heard(bus: Bus) -> None:
    ear = Ear()
    leave = bus.subscribe("", ear)
    bus.publish("a", Private())
    leave()
    leave()
    bus.publish("a", Private())
    assert len(ear.heard) == 1


async def test_async_handlers_get_events_in_order_without_being_waited_for(bus: MemoryBus | RedisBus) -> None:
    heard: list[object] = []

    async def slow(topic: str, event: object) -> None:
        await asyncio.sleep(0.001)
        if event == Private("bad"):
            raise RuntimeError("on purpose")
        heard.append(event)

    async with running(bus):
        bus.subscribe("", slow)
        for note in ("one", "bad", "two"):
            bus.publish("a", Private(note))
        assert heard == []
        await asyncio.wait_for(bus.settle(), 5)
        assert heard == [Private("one"), Private("two")]


async def test_an_async_handler_subscribed_before_run_misses_nothing(bus: MemoryBus | RedisBus) -> None:
    heard: list[object] = []

    async def handler(topic: str, event: object) -> None:
        heard.append(event)

    bus.subscribe("", handler)
    bus.publish("a", Private("early"))
    async with running(bus):
        await asyncio.wait_for(bus.settle(), 5)
    assert heard == [Private("early")]


# -------------------------------------------------------------------------------------------------------- one process


async def test_a_full_queue_drops_the_newest_for_that_handler_only() -> None:
    bus, ear, slow_heard = MemoryBus(queue_limit=2), Ear(), []

    async def slow(topic: str, event: object) -> None:
        slow_heard.append(event)

    bus.subscribe("", slow)
    bus.subscribe("", ear)
    for n in range(5):
        bus.publish("a", n)
    async with running(bus):
        await bus.settle()
    assert slow_heard == [0, 1]
    assert len(ear.heard) == 5


async def test_publishing_costs_microseconds() -> None:
    bus = MemoryBus()
    for prefix in ("unit.1", "unit.*.pbx.*.call", ""):
        bus.subscribe(prefix, lambda _topic, _event: None)
    event = Private()
    best = min(_seconds_for(bus, event, 2000) for _ in range(5))
    assert best < 20e-6


def _seconds_for(bus: MemoryBus, event: object, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        bus.publish("unit.1.pbx.2.call.offered", event)
    return (time.perf_counter() - begin) / count


# -------------------------------------------------------------------------------------------------- between processes


@asynccontextmanager
async def two_processes(server: RedisServer) -> AsyncIterator[tuple[RedisBus, RedisBus]]:
    clients = [connect(server.url), connect(server.url)]
    left, right = (RedisBus(client, Wire([BellRang]), SystemClock()) for client in clients)
    async with running(left, right):
        yield left, right
    for client in clients:
        await client.aclose()


@pytest.mark.redis
async def test_another_process_hears_what_is_registered_once_and_as_it_was(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        here, there = Ear(), Ear()
        left.subscribe("", here)
        right.subscribe("unit.1", there)
        events = [BellRang(bell_id=(1 << 62) + n, tones=("low", "高")) for n in range(300)]
        left.publish("unit.1.private", Private("stays"))
        for event in events:
            left.publish("unit.1.pbx.2.bell.rang", event)
        left.publish("unit.2.pbx.2.bell.rang", events[0])
        assert len(here.heard) == 302
        await there.hears(300)
        await asyncio.sleep(0.05)
        assert [event for _, event in there.heard] == events
        assert len(here.heard) == 302  # nothing comes back to who said it


@pytest.mark.redis
async def test_local_delivery_goes_on_while_redis_is_killed_and_the_others_are_heard_again(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        here, there, rejoined = Ear(), Ear(), Ear()
        left.subscribe("unit", here)
        right.subscribe("unit", there)
        right.subscribe(REJOINED, rejoined)
        redis_server.kill()
        took = []
        for n in range(50):
            begin = time.perf_counter()
            left.publish("unit.1.pbx.2.bell.rang", BellRang(bell_id=n))
            took.append(time.perf_counter() - begin)
            await asyncio.sleep(0.002)
        assert sorted(took)[25] < 0.001
        assert len(here.heard) == 50
        redis_server.start()
        await rejoined.hears(1)
        assert isinstance(rejoined.heard[0][1], BusRejoined)
        left.publish("unit.1.pbx.2.bell.rang", BellRang(bell_id=99))
        async with asyncio.timeout(10):
            while not any(event == BellRang(bell_id=99) for _, event in there.heard):
                await asyncio.sleep(0.01)
        numbers = [event.bell_id for _, event in there.heard if isinstance(event, BellRang)]
        assert numbers == sorted(set(numbers))  # some may be missing; none twice, none out of order


@pytest.mark.redis
async def test_a_frozen_redis_does_not_stop_local_delivery(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, _):
        ear = Ear()
        left.subscribe("", ear)
        redis_server.freeze()
        try:
            for n in range(100):
                left.publish("unit.1.pbx.2.bell.rang", BellRang(bell_id=n))
                await asyncio.sleep(0)
            assert len(ear.heard) == 100
        finally:
            redis_server.thaw()


@pytest.mark.redis
async def test_strange_messages_on_the_channel_harm_nothing(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        there = Ear()
        right.subscribe("", there)
        for rubbish in (b"\xff", b"[]", b"{}", b'{"v":1,"from":"x","n":1,"topic":"a","name":"no.such","version":1,"body":{}}'):
            await left._redis.publish("lingxi:bus", rubbish)
        body = b'{"v":1,"from":"x","n":2,"topic":"a","name":"bell.rang","version":1,"body":{"bell_id":"seven"}}'
        await left._redis.publish("lingxi:bus", body)
        left.publish("a", BellRang(bell_id=1))
        await there.hears(1)
        assert there.heard == [("a", BellRang(bell_id=1))]
