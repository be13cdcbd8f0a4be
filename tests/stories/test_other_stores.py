"""The same call on PostgreSQL and Redis, and Redis and the database going away in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import async_playwright

from tests.peers.postgres_server import PostgresServer
from tests.peers.redis_server import RedisServer
from tests.stories.house import House, People, house_or_skip, launch

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(150)]


async def answered_calls(url: str) -> int:
    """How many calls that really happened stand in the books as answered."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("select count(*) from call where epoch <> 'history' and outcome = 'answered'"))
    finally:
        await connection.close()


async def one_call(house: House, people: People, trouble: list[Callable[[], None]]) -> None:
    """A call from ringing to ready; while it is talked, `trouble` happens."""
    wang = people.here[0]
    caller = await house.call("13900006666")
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    for step in trouble:
        step()  # in this thread: a server ends with the thread that started it
    await asyncio.sleep(1)
    await caller.hang_up()
    await wang.finish()


async def test_a_call_on_postgresql_and_redis(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, redis_url: str, redis_server: RedisServer
) -> None:
    """Both go away while people talk, and come back: the call goes on, and stands in the books once."""
    house = house_or_skip(tmp_path / "house", {"LINGXI_DATABASE__URL": postgres_url, "LINGXI_BUS__URL": redis_url})
    await asyncio.to_thread(house.start)
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright, house)
            people = People(browser, house)
            await people.come("wang", seat="8001")
            await one_call(house, people, [])
            await one_call(house, people, [redis_server.kill, postgres_server.kill, postgres_server.start, redis_server.start])
            await browser.close()
        for _ in range(100):
            if await answered_calls(postgres_url) == 2:
                break
            await asyncio.sleep(0.1)
        assert await answered_calls(postgres_url) == 2
    finally:
        await asyncio.to_thread(house.stop)
