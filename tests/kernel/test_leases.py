"""Leases, in one process and over Redis.

One holder at a time, growing epochs, and a holder who knows when it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from crm_core.kernel.clock import ManualClock, SystemClock
from crm_core.kernel.leases import Lease, Leases, LeaseStore, MemoryLeaseStore
from crm_core.kernel.redis_leases import RedisLeaseStore
from crm_core.kernel.redis_link import connect
from tests.peers.redis_server import RedisServer


@asynccontextmanager
async def running(*several: Leases) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(one.run()) for one in several]
        try:
            yield
        finally:
            for run in runs:
                run.cancel()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[LeaseStore]:
    if request.param == "memory":
        yield MemoryLeaseStore(SystemClock())
        return
    client = connect(request.getfixturevalue("redis_url"))
    yield RedisLeaseStore(client)
    await client.aclose()


def unexpected(lease: Lease) -> None:
    raise AssertionError(f"{lease} was lost")


async def test_one_holder_at_a_time_and_growing_epochs(store: LeaseStore) -> None:
    one, two = Leases(store, SystemClock()), Leases(store, SystemClock())
    first = await one.take("unit.1.pbx.2", 5, unexpected)
    assert first is not None
    assert first.held
    assert await two.take("unit.1.pbx.2", 5, unexpected) is None
    assert await one.take("unit.1.pbx.2", 5, unexpected) is None
    other = await two.take("unit.1.pbx.3", 5, unexpected)
    assert other is not None
    await one.release(first)
    assert not first.held
    second = await two.take("unit.1.pbx.2", 5, unexpected)
    assert second is not None
    assert second.epoch > first.epoch


async def test_a_lease_is_kept_as_long_as_its_holder_runs(store: LeaseStore) -> None:
    one, two = Leases(store, SystemClock()), Leases(store, SystemClock())
    async with running(one, two):
        lease = await one.take("x", 0.6, unexpected)
        assert lease is not None
        for _ in range(15):
            await asyncio.sleep(0.1)
            assert lease.held
            assert await two.take("x", 0.6, unexpected) is None


async def test_a_holder_that_stalls_knows_it_lost_and_the_standby_takes_over(store: LeaseStore) -> None:
    one, two = Leases(store, SystemClock()), Leases(store, SystemClock())
    lost: list[Lease] = []
    lease = await one.take("x", 0.5, lost.append)
    assert lease is not None
    async with running(two):
        standby = await asyncio.wait_for(two.wait("x", 0.5, unexpected), 3)
        assert not lease.held
        assert standby.held
        assert standby.epoch > lease.epoch
        await one.step()
        assert lost == [lease]
        await one.step()
        assert lost == [lease]


async def test_a_renewal_that_comes_too_late_takes_nothing_back(store: LeaseStore) -> None:
    epoch = await store.take("x", "one", 0.05)
    assert epoch is not None
    await asyncio.sleep(0.1)
    assert await store.renew("x", "one", epoch, 0.05)
    await asyncio.sleep(0.1)
    assert await store.take("x", "two", 5) is not None
    assert not await store.renew("x", "one", epoch, 5)
    await store.release("x", "one", epoch)
    assert await store.take("x", "three", 5) is None


async def test_by_the_clock_a_lease_ends_to_the_instant(clock: ManualClock) -> None:
    leases = Leases(MemoryLeaseStore(clock), clock)
    lost: list[Lease] = []
    lease = await leases.take("x", 9, lost.append)
    assert lease is not None
    clock.pass_time(8.999)
    assert lease.held
    clock.pass_time(0.001)
    assert not lease.held
    await leases.step()
    assert lost == [lease]


# ------------------------------------------------------------------------------------------------- when Redis goes away


@pytest.mark.redis
async def test_a_short_outage_loses_no_lease_and_a_long_one_does(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    leases = Leases(RedisLeaseStore(client), SystemClock())
    lost: list[Lease] = []
    async with running(leases):
        lease = await leases.take("x", 3, lost.append)
        assert lease is not None
        redis_server.kill()
        await asyncio.sleep(0.5)
        redis_server.start()
        await asyncio.sleep(3.5)
        assert lease.held
        assert lost == []
        redis_server.kill()
        async with asyncio.timeout(5):
            while not lost:
                await asyncio.sleep(0.02)
        assert not lease.held
        redis_server.start()
        again = await asyncio.wait_for(leases.wait("x", 3, unexpected), 5)
        assert again.epoch > lease.epoch
        await leases.release(again)
    await client.aclose()


@pytest.mark.redis
async def test_a_frozen_redis_does_not_delay_the_loss(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    leases = Leases(RedisLeaseStore(client), SystemClock())
    lost: list[Lease] = []
    async with running(leases):
        lease = await leases.take("x", 1, lost.append)
        assert lease is not None
        redis_server.freeze()
        try:
            await asyncio.sleep(1.6)
            assert lost == [lease]
        finally:
            redis_server.thaw()
    await client.aclose()
