"""What the tests of data may ask for by name: an empty database, once of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crm_core.kernel.db import Database


@pytest_asyncio.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'l.sqlite3'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    found = Database(url)
    yield found
    await found.close()
