"""The database door: one engine, SQLite (WAL) or PostgreSQL, and the columns every row has.

A service opens `Database.begin()`, writes its rows and audit in that one transaction, and publishes after it. Nothing here knows
any table by name. Lists and hot paths use Core statements on the mapped tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, Engine, Float, Integer, MetaData, String, Table, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from crm_core.kernel.side_loop import SideLoop

T = TypeVar("T")
SIDE_POOL = 4
Id = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit identifier or foreign key; SQLite's INTEGER is 64 bits wide and the one type its rowid may alias."""
Instant = Float(53)
"""UTC seconds since the Unix epoch, as a double (microseconds until the year 2255)."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables; each package adds its own."""

    metadata = MetaData(naming_convention=NAMING)


def table_of(mapped: type[Base]) -> Table:
    """The table of a class, for statements that need no objects."""
    assert isinstance(mapped.__table__, Table)
    return mapped.__table__


class UnitRow(Base):
    """A row of a business: its identifier, and the business unit it belongs to."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    unit_id: Mapped[int] = mapped_column(Id, nullable=False)


def text(length: int, **kw: Any) -> Mapped[str]:
    """A text column that is never null: "" means nothing is known."""
    return mapped_column(String(length), nullable=False, default="", server_default="", **kw)


def instant(**kw: Any) -> Mapped[float | None]:
    """An instant that may be unknown."""
    return mapped_column(Instant, nullable=True, **kw)


class Database:
    """An engine and its transactions. On SQLite writers take turns in here, so that none ever meets a locked database."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._aside: Engine | None = None
        self._side: SideLoop[AsyncEngine] | None = None
        if self.is_sqlite:
            self.engine: AsyncEngine = create_async_engine(url)
            event.listen(self.engine.sync_engine, "connect", _sqlite_pragmas)
            if ":memory:" not in url:
                self._aside = create_engine(url.replace("+aiosqlite", ""))
                event.listen(self._aside, "connect", _sqlite_pragmas)
        else:
            self.engine = _to_postgres(url, pool_size)
            self._side = SideLoop(lambda: _to_postgres(url, SIDE_POOL))
        self._writer = asyncio.Lock() if self.is_sqlite else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed when the block ends, rolled back when it raises."""
        if self._writer is None:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._writer, self.engine.begin() as connection:
            yield connection

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a plain function in a transaction of its own and commit it; what it raises rolls back and is raised.

        All of it happens in another thread: a loop that waits for each statement would be woken for each, and one that is busy would let
        the transaction wait.
        """
        if self._side is not None:
            return await self._side.run(partial(_write_there, work))
        if self._aside is None:
            async with self.begin() as connection:
                return await connection.run_sync(work)
        assert self._writer is not None
        async with self._writer:
            return await asyncio.to_thread(self._write_aside, self._aside, work)

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Run a plain function that only reads, on a connection of its own; in another thread, like `write`."""
        if self._side is not None:
            return await self._side.run(partial(_look_there, work))
        if self._aside is None:
            async with self.read() as connection:
                return await connection.run_sync(work)
        return await asyncio.to_thread(self._look_aside, self._aside, work)

    @staticmethod
    def _look_aside(engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.connect() as connection:
            return work(connection)

    @staticmethod
    def _write_aside(engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.begin() as connection:
            return work(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with."""
        async with self.engine.connect() as connection:
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()
        if self._side is not None:
            await self._side.close(AsyncEngine.dispose)
        if self._aside is not None:
            self._aside.dispose()


def _to_postgres(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)


async def _write_there(work: Callable[[Connection], T], engine: AsyncEngine) -> T:
    async with engine.begin() as connection:
        return await connection.run_sync(work)


async def _look_there(work: Callable[[Connection], T], engine: AsyncEngine) -> T:
    async with engine.connect() as connection:
        return await connection.run_sync(work)


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "temp_store=MEMORY",
        "mmap_size=268435456",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def sync_engine_of(database: Database) -> Engine:
    """The synchronous face of the engine, for migrations."""
    return database.engine.sync_engine
