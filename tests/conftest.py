"""What every test may ask for by name: the peers, and a clock that tests move by hand."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import structlog
from hypothesis import HealthCheck, settings

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

# Machines that run the suite are slow by fits; a property is about what holds, not about how fast it was drawn.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# A traceback with all locals takes seconds to draw, on the very loop that is being looked at.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All stories with a real PBX or a browser go to one worker.

    There are two cores, and sound does not like to wait.
    """
    for item in items:
        if item.get_closest_marker("pbx") or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("pbx"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A story that fails shows the last its house said: the machine it failed on is often out of reach."""
    report = yield
    for name, made in getattr(item, "funcargs", {}).items():
        if report.failed and hasattr(made, "last_words"):
            report.sections.append((f"the last words of {name}", made.last_words()))
    return report


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
