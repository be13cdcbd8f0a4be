"""What tests of the whole program may ask for by name: a program of their own, on SQLite or on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.web.program import Running, cache, database_url, filled, postgres_with_rows, running, sqlite_url

__all__ = ["cache", "everywhere", "filled", "program", "shared", "shared_everywhere"]


@pytest_asyncio.fixture
async def program(request: pytest.FixtureRequest, tmp_path: Path, filled: Path, cache: Path) -> AsyncIterator[Running]:
    """A running program on SQLite."""
    url = await database_url(request, "sqlite", filled, tmp_path)
    async with running(tmp_path / "home", cache, url) as found:
        yield found


@pytest_asyncio.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def everywhere(request: pytest.FixtureRequest, tmp_path: Path, filled: Path, cache: Path) -> AsyncIterator[Running]:
    """A running program, once on each database."""
    url = await database_url(request, request.param, filled, tmp_path)
    async with running(tmp_path / "home", cache, url) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, filled: Path, cache: Path) -> AsyncIterator[Running]:
    """One running program on SQLite for a whole module, whose tests change nothing that another looks at."""
    folder = tmp_path_factory.mktemp("shared")
    async with running(folder / "home", cache, sqlite_url(filled, folder)) as found:
        yield found


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
async def shared_everywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, filled: Path, cache: Path
) -> AsyncIterator[Running]:
    """One running program for a whole module, once on each database."""
    folder = tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        url = sqlite_url(filled, folder)
    else:
        url = await postgres_with_rows(request.getfixturevalue("_one_postgres"), filled)
    async with running(folder / "home", cache, url) as found:
        yield found
