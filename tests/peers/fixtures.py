"""The fixtures by which tests get peers. Each worker starts each server once, at the first test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.postgres_server import PostgresServer
from tests.peers.redis_server import RedisServer


@pytest.fixture(scope="session")
def _one_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture
def redis_server(_one_redis: RedisServer) -> RedisServer:
    """A running, empty Redis that the test may kill, freeze and start again. A restart is empty."""
    if not _one_redis.running:
        _one_redis.start()
    _one_redis.say("FLUSHALL")
    return _one_redis


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of a running, empty Redis."""
    return redis_server.url


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own whose contents survive `kill` and `start`."""
    server = RedisServer(durable=True)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def _one_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def postgres_server(_one_postgres: PostgresServer) -> PostgresServer:
    """A running PostgreSQL that the test may kill and start again."""
    if not _one_postgres.running:
        _one_postgres.start()
    return _one_postgres


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy address of a new, empty database."""
    name = postgres_server.make_database()
    yield postgres_server.url(name)
    if not postgres_server.running:
        postgres_server.start()
    postgres_server.drop_database(name)
