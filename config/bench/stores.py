"""Databases to book calls into: this version's schema, a PBX, two thousand agents who sat at it, and customers; SQLite and PostgreSQL.

Both are as durable as at work. A store can be taken away for a while, as it is when its server is restarted or somebody else holds
its file, and the calls to be booked are those of a stream of events, so that nothing about them is made up.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import asyncpg
from sqlalchemy import Connection, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from config.bench.customers import TABLES, prepare_schema, rows
from config.bench.server import Server
from config.bench.streams import stream
from crm_core.entities.org import Unit, User
from crm_core.entities.people import Customer
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.ids import IdMaker
from cti.domain.board import CallBoard
from cti.events import CallEnded
from cti.pbx.asterisk.ami_wire import Parser
from cti.pbx.asterisk.translate import Translator
from cti.storage import Pbx, Seat, SeatSession

AGENTS: Final = 2_000
CUSTOMERS: Final = 2_000
_FIRST_SEAT: Final = 1_000  # as in the streams


class Store(Protocol):
    """A database of the bench's own. `bare` is an engine of SQLAlchemy's as anybody would make it, just as durable."""

    name: str
    database: Database
    bare: AsyncEngine

    async def leave(self) -> None:
        """Be away."""

    async def come_back(self) -> None:
        """Be there again; returns when it is."""

    async def close(self) -> None:
        """Let go of it."""


class SqliteStore:
    """A file."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        url = f"sqlite+aiosqlite:///{path}"
        self.database = Database(url)
        self.bare = Database(url).engine  # with the same pragmas, full synchronisation among them
        self._held: sqlite3.Connection | None = None

    @classmethod
    async def make(cls, folder: Path) -> SqliteStore:
        path = folder / "booked.sqlite3"
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(path.name + "*"):
            old.unlink()
        await prepare_schema(f"sqlite+aiosqlite:///{path}")
        return cls(path)

    async def leave(self) -> None:
        """Somebody else holds the file."""
        self._held = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        self._held.execute("begin exclusive")

    async def come_back(self) -> None:
        if self._held is not None:
            self._held.execute("rollback")
            self._held.close()
            self._held = None

    async def close(self) -> None:
        await self.come_back()
        await self.bare.dispose()
        await self.database.close()


class PostgresStore:
    """A server with its defaults."""

    name = "postgres"

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder, self._server = folder, server
        self.database: Database
        self.bare: AsyncEngine

    @classmethod
    async def make(cls, folder: Path) -> PostgresStore | None:
        """None where PostgreSQL is not installed."""
        server = Server.start(folder / "durable")
        if server is None:
            return None
        made = cls(folder / "durable", server)
        await server.until_up()
        admin = await asyncpg.connect(server.url("postgres"))
        await admin.execute("drop database if exists booked with (force)")
        await admin.execute("create database booked")
        await admin.close()
        url = server.url("booked", "+asyncpg")
        await prepare_schema(url)
        made.database, made.bare = Database(url), create_async_engine(url)
        return made

    async def leave(self) -> None:
        """The server ends."""
        await asyncio.to_thread(self._server.stop)

    async def come_back(self) -> None:
        self._server.start_again()
        await self._server.until_up()

    async def close(self) -> None:
        await self.bare.dispose()
        await self.database.close()
        await asyncio.to_thread(self._server.stop)


async def people(database: Database) -> tuple[int, int, list[int]]:
    """Put a PBX, agents and customers in; the unit, the PBX and the customers."""
    new_id, now = IdMaker(SystemClock()), time.time()

    def write(db: Connection) -> tuple[int, int, list[int]]:
        unit_id = db.execute(select(Unit.id)).scalar_one()
        pbx_id = new_id()
        own = {"unit_id": unit_id}
        db.execute(insert(table_of(Pbx)), [{**own, "id": pbx_id, "name": "bench"}])
        sat = [(new_id(), new_id(), str(_FIRST_SEAT + n)) for n in range(AGENTS)]
        db.execute(insert(table_of(User)), [
            {**own, "id": user, "login": f"agent{e}", "name": f"坐席 {e}", "role": "agent", "password_hash": "!", "created_at": now} for user, _, e in sat
        ])  # fmt: skip
        db.execute(insert(table_of(Seat)), [{**own, "id": seat, "pbx_id": pbx_id, "extension": e, "name": e} for _, seat, e in sat])
        db.execute(insert(table_of(SeatSession)), [
            {**own, "id": new_id(), "pbx_id": pbx_id, "user_id": user, "seat_id": seat, "extension": e, "signed_in_at": 0.0, "signed_out_at": now}
            for user, seat, e in sat
        ])  # fmt: skip
        customers = next(rows(unit_id, CUSTOMERS))["customer"]
        db.execute(insert(table_of(Customer)), [dict(zip(TABLES["customer"], row, strict=True)) for row in customers])
        return unit_id, pbx_id, [row[0] for row in customers]

    return await database.write(write)


def finished(count: int, unit_id: int, pbx_id: int, epoch: str) -> Sequence[CallEnded]:
    """So many finished calls, each with two legs, a wait, an offer and a segment: what the board says of a stream of events."""
    parser, translator = Parser(Translator.WANTED), Translator()
    board = CallBoard(unit_id, pbx_id, epoch, IdMaker(SystemClock()))
    told = (
        said
        for piece in stream(count, noisy=False)
        for message in parser.feed(piece)
        for event in translator.feed(message)
        for said in board.apply(event)
    )
    return [said for said in told if isinstance(said, CallEnded)]
