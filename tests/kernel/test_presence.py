"""Presence, in one process and over Redis: the same promises for both, then what an outage of Redis must not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from crm_core.kernel.clock import ManualClock, SystemClock
from crm_core.kernel.presence import MemoryPresence
from crm_core.kernel.redis_link import connect
from crm_core.kernel.redis_presence import RedisPresence
from tests.peers.redis_server import RedisServer

Kind = MemoryPresence | RedisPresence


@asynccontextmanager
async def running(*several: Kind) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(one.run()) for one in several]
        await asyncio.sleep(0.1)
        try:
            yield
        finally:
            for run in runs:
                run.cancel()


async def until(true: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def presence(request: pytest.FixtureRequest) -> AsyncIterator[Kind]:
    if request.param == "memory":
        yield MemoryPresence(SystemClock())
        return
    client = connect(request.getfixturevalue("redis_url"))
    yield RedisPresence(client, SystemClock())
    await client.aclose()


async def test_who_is_held_is_here_at_once_and_who_leaves_is_not(presence: Kind) -> None:
    gone: list[str] = []
    presence.on_gone(gone.append)
    async with running(presence):
        for key in ("unit.1.tab.b", "unit.1.tab.a", "unit.2.tab.a"):
            presence.hold(key, 5)
        assert presence.here("unit.1.") == ["unit.1.tab.a", "unit.1.tab.b"]
        await asyncio.sleep(0.7)
        assert presence.here("unit.1.") == ["unit.1.tab.a", "unit.1.tab.b"]
        presence.leave("unit.1.tab.a")
        presence.leave("nobody")
        assert presence.here("unit.1.") == ["unit.1.tab.b"]
        await asyncio.sleep(0.7)
        assert presence.here() == ["unit.1.tab.b", "unit.2.tab.a"]
    assert gone == []


async def test_who_is_not_held_again_expires_and_is_told_once(presence: Kind) -> None:
    gone: list[str] = []

    def breaks(key: str) -> None:
        raise RuntimeError("on purpose")

    presence.on_gone(breaks)
    presence.on_gone(gone.append)
    async with running(presence):
        presence.hold("short", 0.3)
        presence.hold("kept", 0.9)
        for _ in range(12):
            await asyncio.sleep(0.2)
            presence.hold("kept", 0.9)
        assert gone == ["short"]
        assert presence.here() == ["kept"]


async def test_a_hook_that_was_taken_back_is_not_called(presence: Kind) -> None:
    gone: list[str] = []
    presence.on_gone(gone.append)()
    async with running(presence):
        presence.hold("short", 0.1)
        await asyncio.sleep(1.2)
    assert gone == []


def test_in_one_process_only_the_clock_counts(clock: ManualClock) -> None:
    gone: list[str] = []
    presence = MemoryPresence(clock)
    presence.on_gone(gone.append)
    presence.hold("a", 10)
    clock.pass_time(9)
    presence.sweep()
    presence.hold("a", 10)
    clock.pass_time(9.999)
    presence.sweep()
    assert (presence.here(), gone) == (["a"], [])
    clock.pass_time(0.001)
    assert presence.here() == []
    presence.sweep()
    presence.sweep()
    assert gone == ["a"]


# -------------------------------------------------------------------------------------------------- between processes


@asynccontextmanager
async def two_processes(server: RedisServer) -> AsyncIterator[tuple[RedisPresence, RedisPresence]]:
    clients = [connect(server.url), connect(server.url)]
    left, right = (RedisPresence(client, SystemClock()) for client in clients)
    async with running(left, right):
        yield left, right
    for client in clients:
        await client.aclose()


@pytest.mark.redis
async def test_processes_see_one_another_and_both_are_told_of_an_expiry(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        told: list[tuple[str, str]] = []
        left.on_gone(lambda key: told.append(("left", key)))
        right.on_gone(lambda key: told.append(("right", key)))
        left.hold("a", 60)
        left.hold("b", 2)
        await until(lambda: right.here() == ["a", "b"])
        await until(lambda: len(told) == 2)
        assert sorted(told) == [("left", "b"), ("right", "b")]
        left.leave("a")
        await until(lambda: right.here() == [])


@pytest.mark.redis
async def test_a_key_that_moved_to_another_process_does_not_expire(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        told: list[str] = []
        left.on_gone(told.append)
        right.on_gone(told.append)
        left.hold("tab", 0.6)
        await asyncio.sleep(0.3)
        for _ in range(12):
            right.hold("tab", 1.2)
            await asyncio.sleep(0.3)
        assert told == []
        assert left.here() == right.here() == ["tab"]


@pytest.mark.redis
async def test_a_killed_redis_makes_nobody_disappear(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, right):
        told: list[str] = []
        left.on_gone(told.append)
        right.on_gone(told.append)
        left.hold("left", 60)
        right.hold("right", 60)
        await until(lambda: left.here() == right.here() == ["left", "right"])
        redis_server.kill()
        await asyncio.sleep(0.7)
        left.hold("new", 60)
        assert left.here() == ["left", "new", "right"]
        redis_server.start()
        await until(lambda: left.here() == right.here() == ["left", "new", "right"])
        assert told == []


@pytest.mark.redis
async def test_what_expires_while_redis_is_away_is_told_where_it_was_held(redis_server: RedisServer) -> None:
    async with two_processes(redis_server) as (left, _):
        told: list[str] = []
        left.on_gone(told.append)
        left.hold("a", 0.2)
        redis_server.kill()
        await until(lambda: told == ["a"])
        assert left.here() == []
        redis_server.start()
        await asyncio.sleep(1.5)
        assert told == ["a"]
