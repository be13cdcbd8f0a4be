"""Hundreds of calls while everything around the product breaks: none is missing, none is there twice, none has a wrong end or agent.

LINGXI_DEEP=1 makes it ten thousand. A failure prints the seed; LINGXI_SEED=n draws the same again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.run import ALWAYS, HEARD, WITH_SERVERS, Run, Shape
from tests.peers.postgres_server import PostgresServer
from tests.peers.redis_server import RedisServer

DEEP = os.environ.get("LINGXI_DEEP") == "1"
pytestmark = [pytest.mark.timeout(1800 if DEEP else 180), pytest.mark.xdist_group("chaos")]


def shape(faults: tuple[str, ...], share: float) -> Shape:
    """How much: `share` of all calls."""
    seed = int(os.environ.get("LINGXI_SEED") or time.time())
    if DEEP:
        return Shape(calls=int(10_000 * share), rate=12.0, agents=40, seed=seed, faults=faults, burst=600)
    return Shape(calls=int(500 * share), rate=8.0, agents=24, seed=seed, faults=faults, every_s=(1.5, 3.0))


async def test_on_sqlite_in_one_process(tmp_path: Path) -> None:
    run = Run(tmp_path, shape(ALWAYS, 0.5), f"sqlite+aiosqlite:///{tmp_path / 'lingxi.sqlite3'}")
    verdict = await run.go()
    assert not verdict.differences, run.report(verdict)


async def test_the_clock_of_the_pbx_is_set_by_an_hour(tmp_path: Path) -> None:
    run = Run(tmp_path, shape(HEARD, 0.25), f"sqlite+aiosqlite:///{tmp_path / 'lingxi.sqlite3'}")
    verdict = await run.go()
    assert verdict.counts["the clock was set in it"] > 5
    assert not verdict.differences, run.report(verdict)


@pytest.mark.postgres
@pytest.mark.redis
async def test_on_postgresql_and_redis(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, redis_url: str, redis_server: RedisServer
) -> None:
    run = Run(tmp_path, shape(ALWAYS + WITH_SERVERS, 0.5), postgres_url, redis_url, postgres_server, redis_server)
    verdict = await run.go()
    assert not verdict.differences, run.report(verdict)
