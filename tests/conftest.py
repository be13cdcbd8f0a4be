"""What every test may ask for by name: the peers, and a clock that tests move by hand."""

from __future__ import annotations

import pytest

from crm_core.kernel.clock import ManualClock
from tests.peers.fixtures import (  # noqa: F401 - fixtures are found by their names here
    _one_postgres,
    _one_redis,
    durable_redis,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
