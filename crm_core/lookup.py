"""Whose number is this? The look-up on the pop path, as near to the index as each database lets it be.

It goes past the pool and the ORM: on SQLite over a read-only connection of its own, asked without a detour as long as the disk
answers at once, on PostgreSQL over a prepared statement on a connection of its own. It answers with candidates only; what a person
may see of them is decided by the asker.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from crm_core.kernel.db import Database
from crm_core.matches import Match

if TYPE_CHECKING:
    import asyncpg

log = structlog.get_logger(__name__)
COLUMNS = "p.customer_id, p.contact_id, c.name, c.kind, c.level, c.owner_id, c.team_id, c.unit_id, coalesce(k.name, ''), coalesce(k.title, ''), p.id"
JOIN = "contact_point p join customer c on c.id = p.customer_id left join contact k on k.id = p.contact_id"
LIMIT = 20


class NumberLookup(Protocol):
    """Finds the owners of a number."""

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        """Everybody in the unit with this number (`Number.key`), at most LIMIT, oldest first."""
        ...

    def find_now(self, unit_id: int, key: str) -> Sequence[Match] | None:
        """The same where the answer is at hand without waiting for anything; None where `find` must be awaited."""
        ...

    async def close(self) -> None: ...


class SqliteLookup:
    """Asks where it stands: an index in this process's own memory map answers sooner than a thread wakes up.

    A disk that makes the loop wait is noticed: after an answer that took SLOW_S, or when the file is locked, the questions of the next
    CALM_S go through a thread, where they hold up nothing but themselves.
    """

    SQL = f"select {COLUMNS} from {JOIN} where p.unit_id = ? and p.key = ? order by p.id limit {LIMIT}"  # noqa: S608
    SLOW_S = 0.02
    CALM_S = 30.0

    def __init__(self, path: str) -> None:
        self._path = path
        self._here: sqlite3.Connection | None = None
        self._aside: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "lookup")
        self._aside_until = 0.0

    def find_now(self, unit_id: int, key: str) -> Sequence[Match] | None:
        began = monotonic()
        if began < self._aside_until:
            return None
        try:
            if self._here is None:
                self._here = self._open(wait_s=0)
            found = [Match(*row) for row in self._here.execute(self.SQL, (unit_id, key))]
        except sqlite3.OperationalError as error:
            log.warning("the look-up goes aside: the database file could not be read at once", why=str(error))
            self._aside_until = began + self.CALM_S
            return None
        if (ended := monotonic()) - began > self.SLOW_S:
            log.warning("the look-up goes aside: the disk is slow", took_ms=round(1000 * (ended - began)))
            self._aside_until = ended + self.CALM_S
        return found

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        found = self.find_now(unit_id, key)
        if found is not None:
            return found
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find_aside, unit_id, key)

    def _find_aside(self, unit_id: int, key: str) -> Sequence[Match]:
        if self._aside is None:
            self._aside = self._open(wait_s=5)
        return [Match(*row) for row in self._aside.execute(self.SQL, (unit_id, key))]

    def _open(self, wait_s: float) -> sqlite3.Connection:
        # Each connection is used in one thread, but closed from another.
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=wait_s, check_same_thread=False)
        connection.execute("pragma mmap_size=268435456")
        return connection

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._here, self._aside):
            if connection is not None:
                connection.close()


async def _leave_as_it_is(_connection: object) -> None:
    """Between two questions on a connection."""


class PostgresLookup:
    """A small pool of plain driver connections. They only ever read, so nothing is reset between two questions."""

    SQL = f"select {COLUMNS} from {JOIN} where p.unit_id = $1 and p.key = $2 order by p.id limit {LIMIT}"  # noqa: S608

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    def find_now(self, unit_id: int, key: str) -> Sequence[Match] | None:
        return None  # another process must be asked

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        import asyncpg

        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(self._url, min_size=1, max_size=4, command_timeout=5, reset=_leave_as_it_is)
        rows: list[Any] = await self._pool.fetch(self.SQL, unit_id, key)
        return [Match(*row) for row in rows]

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


def open_lookup(database: Database) -> NumberLookup:
    """The look-up that fits the database."""
    if database.is_sqlite:
        return SqliteLookup(database.url.split(":///", 1)[1])
    return PostgresLookup(database.url)
