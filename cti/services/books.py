"""The books: everything that telephony writes to the database goes through here, in order, in batches, and never in the way of a call.

A write is a plain function on a `Page`. Writes wait in line; one task takes what is there and commits it as one transaction, off the
event loop where the database is a file. When the database is away they wait; nothing is lost as long as the process lives, and the
journal covers the rest. A page gathers rows by table, so that many calls cost few statements.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy import (
    ARRAY,
    Boolean,
    Connection,
    Float,
    Insert,
    Integer,
    String,
    Table,
    Update,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from crm_core.kernel.db import Base, Database, table_of

log = structlog.get_logger(__name__)
Write = Callable[["Page"], None]
After = Callable[[], None]
Together = Callable[[Connection, list[Any]], None]
BATCH = 500
_PLAIN = (Integer, Float, Boolean, String)
GATHER_S, BUSY_GATHER_S, BUSY = 0.05, 0.25, 40


# How the SQLSTATEs begin by which a server says that it is not the write that is wrong: connection, read-only for now, rolled back for
# others' sake, resources, locks, an operator, the system. A server that starts up or shuts down answers like this.
_PASSING = ("08", "25006", "40", "53", "55P03", "57", "58")


class DatabaseAway(Exception):
    """Nothing can be written just now, whatever it is."""


def _means_away(error: Exception) -> bool:
    if isinstance(error, OperationalError | InterfaceError | OSError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return isinstance(state, str) and state.startswith(_PASSING)


class Page:
    """One transaction being written. What is given to it reaches the database at the next `now`, or at the end.

    Rows come first (table by table), changes of rows after them, then what is done together, in the order in which it was first asked
    for, and at the end what is done together `last`. So each may count on what was given before it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[type[Base], dict[int, dict[str, Any]]] = {}
        self._changes: dict[type[Base], dict[int, dict[str, Any]]] = {}
        self._together: dict[Together, list[Any]] = {}
        self._last: dict[Together, list[Any]] = {}

    def insert(self, table: type[Base], row: dict[str, Any]) -> None:
        """A new row, with its id."""
        self._rows.setdefault(table, {})[row["id"]] = row

    def change(self, table: type[Base], row_id: int, **values: Any) -> None:
        """New values for the row of this id; of several changes the last one counts."""
        new = self._rows.get(table, {}).get(row_id)
        if new is not None:
            new.update(values)
        else:
            self._changes.setdefault(table, {}).setdefault(row_id, {}).update(values)

    def together(self, what: Together, item: Any, *, last: bool = False) -> None:
        """Have `what` called once with the items of all who asked for it."""
        (self._last if last else self._together).setdefault(what, []).append(item)

    def now(self) -> Connection:
        """Bring everything given so far to the database; the connection, for a statement of one's own."""
        for table, rows in self._rows.items():
            insert_rows(self._connection, table, list(rows.values()))
        for table, changes in self._changes.items():
            change_rows(self._connection, table, changes)
        together = [*self._together.items(), *self._last.items()]
        self._rows, self._changes, self._together, self._last = {}, {}, {}, {}
        for what, items in together:
            what(self._connection, items)
        return self._connection


def change_rows(connection: Connection, table: type[Base], changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Change rows by their ids, those of the same columns in one go. Values as the database keeps them: plain numbers and texts."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row_id, values in changes.items():
        alike[tuple(values)].append({"of_row": row_id, **{f"to_{name}": value for name, value in values.items()}})
    for names, values_of in alike.items():
        connection.execute(_change(table_of(table), names), values_of)


@lru_cache(256)
def _change(table: Table, names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"to_{name}") for name in names}
    return update(table).where(table.c.id == bindparam("of_row")).values(values)


def insert_rows(connection: Connection, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows, those with the same columns in one go."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        alike[tuple(row)].append(row)
    of = table_of(table)
    for names, group in alike.items():
        if len(group) == 1:
            connection.execute(_insert(of), group)
        elif connection.dialect.name == "postgresql" and (statement := _by_columns(of, names)) is not None:
            connection.execute(statement, {name: [row[name] for row in group] for name in names})
        elif connection.dialect.name == "sqlite" and (plain := _plain_insert(of, names)) is not None:
            connection.exec_driver_sql(plain, [tuple(row.values()) for row in group])
        else:
            connection.execute(_insert(of), group)


@lru_cache(256)
def _insert(table: Table) -> Insert:
    return insert(table)


@lru_cache(256)
def _plain_insert(table: Table, names: tuple[str, ...]) -> str | None:
    """SQLite takes many rows fastest by the driver's own statement; None where a type or a default is Python's to work out."""
    given = [table.c[name] for name in names]
    left = [column for column in table.columns if column.name not in names]
    if not all(isinstance(column.type, _PLAIN) for column in given) or any(
        column.default is not None and column.server_default is None for column in left
    ):
        return None
    columns = ", ".join(f'"{name}"' for name in names)
    return f'insert into "{table.name}" ({columns}) values ({", ".join("?" * len(names))})'  # noqa: S608 - names of our own columns


@lru_cache(256)
def _by_columns(table: Table, names: tuple[str, ...]) -> Insert | None:
    """PostgreSQL takes many rows as one statement with a list for each column, several times as fast; None where a type forbids it."""
    columns = [table.c[name] for name in names]
    if not all(isinstance(column.type, _PLAIN) for column in columns):
        return None
    lists = (func.unnest(bindparam(column.name, type_=ARRAY(column.type))) for column in columns)
    return insert(table).from_select(names, select(*lists))


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
        """Write this, after everything that was put before. It may be tried more than once, and not on the loop's thread."""
        self._line.append((write, after))
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything put so far is committed."""
        await self._idle.wait()

    async def through(self, within: float) -> bool:
        """Wait until everything put so far is committed, whatever is put meanwhile; False if that takes longer than `within` seconds."""
        reached = asyncio.Event()
        self.put(lambda _page: None, reached.set)
        try:
            await asyncio.wait_for(reached.wait(), within)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write for ever."""
        pause, careful = 0.05, 0  # how many of the next writes go one by one, to find the one that can't be written
        while True:
            await self._wake.wait()
            if len(self._line) < BATCH and not careful:
                # A moment later there is more to write, at hardly more cost.
                await asyncio.sleep(GATHER_S)
                if len(self._line) > BUSY:
                    await asyncio.sleep(BUSY_GATHER_S - GATHER_S)
            batch = [self._line[i] for i in range(min(len(self._line), 1 if careful else BATCH))]
            try:
                possible = await self._commit(batch)
            except DatabaseAway as away:
                log.warning("the database is away; writes wait", waiting=len(self._line), why=str(away))
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

        def write_all(connection: Connection) -> None:
            page = Page(connection)
            for write, _ in batch:
                write(page)
            page.now()

        try:
            await self._db.write(write_all)
        except Exception as error:
            if _means_away(error):
                raise DatabaseAway(type(error).__name__) from error
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
