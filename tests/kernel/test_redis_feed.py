"""Feeds between processes over a real Redis.

What a screen sees there is what it would have seen here, also after a kill.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
import pytest

from crm_core.kernel.clock import SystemClock
from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.redis_feed import FeedMirror, RemoteFeeds
from crm_core.kernel.redis_link import connect
from tests.kernel.test_feed import Screen
from tests.peers.redis_server import RedisServer

pytestmark = pytest.mark.redis
DESK = FeedAddress(1, "desk", "42")
FLOOR = FeedAddress(1, "floor")


@asynccontextmanager
async def process(server: RedisServer, make: Callable[[Any], Any]) -> AsyncIterator[Any]:
    """Something made with a client of its own that runs beside the test."""
    client = connect(server.url)
    part = make(client)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(part.run())
        try:
            yield part
        finally:
            run.cancel()
    await client.aclose()


def remote(client: Any) -> RemoteFeeds:
    return RemoteFeeds(client, SystemClock())


async def same(screen: Screen, feed: Feed, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while (screen.state, screen.cursor) != (feed.state, feed.cursor):
            await asyncio.sleep(0.01)


def some_change(feed: Feed, dice: random.Random) -> None:
    key = str(dice.randrange(5))
    if dice.random() < 0.3:
        feed.change("x", drop=[("calls", key)])
    else:
        feed.change("x", put=[("calls", key, {"n": dice.randrange(100)}), ("seat", "me", {"n": dice.randrange(3)})])


async def test_a_screen_at_another_process_sees_what_it_would_have_seen_here(redis_server: RedisServer) -> None:
    dice, feeds = random.Random(7), Feeds()
    async with process(redis_server, lambda client: FeedMirror(client, feeds)), process(redis_server, remote) as far:
        desk, floor = feeds.open(DESK), feeds.open(FLOOR)
        screens = [Screen() for _ in range(6)]
        leaves: list[Any] = [far.join(DESK, None, screens[0].receive), far.join(FLOOR, None, screens[1].receive)]
        for step in range(400):
            some_change(dice.choice([desk, floor]), dice)
            if step in (50, 100, 150, 200):
                leaves.append(far.join(DESK, None, screens[len(leaves)].receive))
            if step % 7 == 0:
                await asyncio.sleep(0.001)
        for number, screen in enumerate(screens):
            await same(screen, floor if number == 1 else desk)
        assert all(screen.kinds.count("snapshot") == 1 for screen in screens)


async def test_a_cursor_of_one_process_is_good_at_another(redis_server: RedisServer) -> None:
    feeds, screen, elsewhere = Feeds(), Screen(), Screen()
    async with process(redis_server, lambda client: FeedMirror(client, feeds)), process(redis_server, remote) as far:
        desk = feeds.open(DESK)
        far.join(DESK, None, elsewhere.receive)
        leave = desk.join(None, screen.receive)
        desk.change("x", put=[("calls", "1", {})])
        await same(elsewhere, desk)
        leave()
        desk.change("x", put=[("calls", "2", {})])
        await same(elsewhere, desk)
        screen.kinds.clear()
        far.join(DESK, screen.cursor, screen.receive)
        assert (screen.state, screen.kinds) == (desk.state, ["event"])


async def test_a_feed_nobody_opened_yet_is_opened_because_another_process_wants_it(redis_server: RedisServer) -> None:
    feeds, screen = Feeds(), Screen()
    feeds.on_open(lambda _, feed: feed.change("seat.signed_out", put=[("seat", "me", {"state": "signed_out"})]))
    async with process(redis_server, lambda client: FeedMirror(client, feeds)), process(redis_server, remote) as far:
        far.join(DESK, None, screen.receive)
        async with asyncio.timeout(10):
            while not screen.state:
                await asyncio.sleep(0.01)
        assert screen.state == {"seat": {"me": {"state": "signed_out"}}}


async def test_a_killed_redis_stops_no_feed_and_all_is_true_again_afterwards(redis_server: RedisServer) -> None:
    feeds, screen, near = Feeds(), Screen(), Screen()
    async with process(redis_server, lambda client: FeedMirror(client, feeds)), process(redis_server, remote) as far:
        desk = feeds.open(DESK)
        desk.join(None, near.receive)
        far.join(DESK, None, screen.receive)
        desk.change("x", put=[("calls", "1", {})])
        await same(screen, desk)
        redis_server.kill()
        for n in range(100):
            desk.change("x", put=[("calls", str(n % 9), {"n": n})])
            await asyncio.sleep(0)
        assert near.state == desk.state
        redis_server.start()
        await same(screen, desk)
        desk.change("x", drop=[("calls", "1")])
        await same(screen, desk)


async def test_a_new_owner_of_the_feed_is_followed_without_being_asked(redis_server: RedisServer) -> None:
    screen = Screen()
    async with process(redis_server, remote) as far:
        far.join(DESK, None, screen.receive)
        for run in range(3):
            feeds = Feeds()
            async with process(redis_server, partial(FeedMirror, feeds=feeds)):
                desk = feeds.open(DESK)
                desk.change("x", put=[("calls", str(run), {})])
                await same(screen, desk)
                assert screen.state == {"calls": {str(run): {}}}


async def test_who_left_hears_nothing(redis_server: RedisServer) -> None:
    feeds, screen, other = Feeds(), Screen(), Screen()
    async with process(redis_server, lambda client: FeedMirror(client, feeds)), process(redis_server, remote) as far:
        desk = feeds.open(DESK)
        far.join(DESK, None, screen.receive)()
        far.join(DESK, None, other.receive)
        desk.change("x", put=[("calls", "1", {})])
        await same(other, desk)
        assert screen.kinds == []
        assert orjson.loads(desk.snapshot())["state"] == other.state
