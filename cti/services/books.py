"""The books: everything that telephony writes to the database goes through here, in order, in batches, and never in the way of a call.

A write is a function on a connection. Writes wait in line; one task takes what is there and commits it as one transaction. When
the database is away they wait; nothing is lost as long as the process lives, and the journal covers the rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.kernel.db import Database

log = structlog.get_logger(__name__)
Write = Callable[[AsyncConnection], Awaitable[None]]
After = Callable[[], None]
BATCH = 200


class Books:
    """Writes in the background, in order. `after` runs on the loop once the write is committed."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._line: deque[tuple[Write, After | None]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """How many writes have not been committed."""
        return len(self._line)

    def put(self, write: Write, after: After | None = None) -> None:
        """Write this, after everything that was put before."""
        self._line.append((write, after))
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything put so far is committed."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write for ever."""
        pause, careful = 0.05, 0  # how many of the next writes go one by one, to find the one that can't be written
        while True:
            await self._wake.wait()
            batch = [self._line[i] for i in range(min(len(self._line), 1 if careful else BATCH))]
            try:
                possible = await self._commit(batch)
            except (OperationalError, InterfaceError, OSError) as error:
                log.warning("the database is away; writes wait", waiting=len(self._line), why=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                continue
            pause = 0.05
            if not possible and len(batch) > 1:
                careful = len(batch)
                continue
            careful = max(careful - 1, 0)
            for _ in batch:
                self._line.popleft()
            if possible:
                self._tell(batch)
            if not self._line:
                self._wake.clear()
                self._idle.set()

    async def _commit(self, batch: list[tuple[Write, After | None]]) -> bool:
        """Commit these together; False where one of them can't be written. Raises when the database is away."""
        try:
            async with self._db.begin() as connection:
                for write, _ in batch:
                    await write(connection)
        except (OperationalError, InterfaceError, OSError):
            raise
        except Exception as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise OperationalError(str(error.statement), None, error) from error
            if len(batch) == 1:
                log.exception("a write is impossible and was left out")
            return False
        return True

    def _tell(self, batch: list[tuple[Write, After | None]]) -> None:
        for _, after in batch:
            if after is not None:
                try:
                    after()
                except Exception:
                    log.exception("what should follow a write failed")
