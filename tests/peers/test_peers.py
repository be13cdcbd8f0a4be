"""The peers themselves: they start, lose what they should lose, and keep what they should keep."""

from __future__ import annotations

import asyncpg
import pytest

from tests.peers.postgres_server import PostgresServer
from tests.peers.redis_server import RedisServer


@pytest.mark.redis
def test_a_killed_redis_comes_back_empty(redis_server: RedisServer) -> None:
    redis_server.say("SET", "k", "v")
    redis_server.kill()
    assert not redis_server.running
    redis_server.start()
    assert redis_server.say("GET", "k") == b"$-1\r\n"


@pytest.mark.redis
def test_a_durable_redis_comes_back_whole(durable_redis: RedisServer) -> None:
    durable_redis.say("SET", "k", "v")
    durable_redis.kill()
    durable_redis.start()
    assert durable_redis.say("GET", "k") == b"$1\r\nv\r\n"


@pytest.mark.postgres
async def test_a_killed_postgres_keeps_what_was_committed(postgres_server: PostgresServer, postgres_url: str) -> None:
    plain = postgres_url.replace("+asyncpg", "")
    line = await asyncpg.connect(plain)
    await line.execute("CREATE TABLE kept (n int)")
    await line.execute("INSERT INTO kept VALUES (7)")
    postgres_server.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await line.fetchval("SELECT n FROM kept")
    postgres_server.start()
    line = await asyncpg.connect(plain)
    assert await line.fetchval("SELECT n FROM kept") == 7
    assert await line.fetchval("SHOW server_encoding") == "UTF8"
    await line.close()
