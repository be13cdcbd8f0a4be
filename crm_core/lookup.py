"""Whose number is this? The look-up on the pop path, as near to the index as each database lets it be.

It goes past the pool and the ORM: on SQLite over a read-only connection in one thread of its own, on PostgreSQL over a prepared
statement on a connection of its own. It answers with candidates only; what a person may see of them is decided by the asker.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg

from crm_core.kernel.db import Database
from crm_core.matches import Match

COLUMNS = "p.customer_id, p.contact_id, c.name, c.kind, c.level, c.owner_id, c.team_id, c.unit_id, coalesce(k.name, ''), coalesce(k.title, ''), p.id"
JOIN = "contact_point p join customer c on c.id = p.customer_id left join contact k on k.id = p.contact_id"
LIMIT = 20


class NumberLookup(Protocol):
    """Finds the owners of a number."""

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        """Everybody in the unit with this number (`Number.key`), at most LIMIT, oldest first."""
        ...

    async def close(self) -> None: ...


class SqliteLookup:
    """One thread with one read-only connection. Requests wait in line; an answer wakes its asker on the loop."""

    SQL = f"select {COLUMNS} from {JOIN} where p.unit_id = ? and p.key = ? order by p.id limit {LIMIT}"  # noqa: S608

    def __init__(self, path: str) -> None:
        self._path = path
        self._asked: queue.SimpleQueue[tuple[int, str, asyncio.Future[Sequence[Match]]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="lookup", daemon=True)
        self._thread.start()

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        answer: asyncio.Future[Sequence[Match]] = self._loop.create_future()
        self._asked.put((unit_id, key, answer))
        return await answer

    def _serve(self) -> None:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        connection.execute("pragma mmap_size=268435456")
        while (asked := self._asked.get()) is not None:
            unit_id, key, answer = asked
            found: Sequence[Match] | Exception
            try:
                found = [Match(*row) for row in connection.execute(self.SQL, (unit_id, key))]
            except sqlite3.Error as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits for it any more
                self._loop.call_soon_threadsafe(_settle, answer, found)
        connection.close()

    async def close(self) -> None:
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join, 2)


def _settle(answer: asyncio.Future[Sequence[Match]], found: Sequence[Match] | Exception) -> None:
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)


async def _leave_as_it_is(_connection: object) -> None:
    """Between two questions on a connection."""


class PostgresLookup:
    """A small pool of plain driver connections. They only ever read, so nothing is reset between two questions."""

    SQL = f"select {COLUMNS} from {JOIN} where p.unit_id = $1 and p.key = $2 order by p.id limit {LIMIT}"  # noqa: S608

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
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
