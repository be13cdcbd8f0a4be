"""The books: everything written in order and once, also when the database goes away in between; one impossible write takes no other along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from config.bench.customers import prepare_schema
from crm_core.kernel.db import Database
from cti.services.books import BATCH, Books, Page, Write, change_rows, insert_rows
from cti.storage import Call, Pbx
from tests.peers.postgres_server import PostgresServer

T = TypeVar("T")


class Flaky(Database):
    """A database that is away when a test says so: from the start of a transaction, or at its end, when all seemed well."""

    away = False
    breaks_at_the_end = 0
    tries = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        self.tries += 1
        if self.away:
            raise OperationalError("begin", None, OSError("away"))

        def breaks(connection: Connection) -> T:
            found = work(connection)
            if self.breaks_at_the_end:
                self.breaks_at_the_end -= 1
                raise OperationalError("commit", None, OSError("away"))
            return found

        return await super().write(breaks)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Flaky]:
    found = Flaky(f"sqlite+aiosqlite:///{tmp_path / 'books.sqlite3'}")
    async with found.begin() as db:
        await db.execute(text("CREATE TABLE line (id INTEGER PRIMARY KEY, word TEXT UNIQUE NOT NULL)"))
    yield found
    await found.close()


def line(word: str | None) -> Write:
    def write(page: Page) -> None:
        page.now().execute(text("INSERT INTO line (word) VALUES (:word)"), {"word": word})

    return write


async def written(database: Flaky) -> list[str]:
    async with database.read() as db:
        return list((await db.execute(text("SELECT word FROM line ORDER BY id"))).scalars())


@asynccontextmanager
async def served(books: Books) -> AsyncIterator[None]:
    work = asyncio.create_task(books.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came about")


async def test_writes_are_committed_in_order_and_told_afterwards(database: Flaky) -> None:
    books, told = Books(database), []
    async with served(books):
        for n in range(3 * BATCH + 7):
            books.put(line(f"{n}"), lambda n=n: told.append(n))
        await books.settled()
    assert await written(database) == [str(n) for n in range(3 * BATCH + 7)]
    assert told == list(range(3 * BATCH + 7)) and books.waiting == 0
    assert database.tries < 20, "many writes are one transaction"


async def test_nothing_is_lost_while_the_database_is_away(database: Flaky) -> None:
    books, told = Books(database), []
    async with served(books):
        books.put(line("before"), lambda: told.append("before"))
        await books.settled()
        database.away, before = True, database.tries
        for n in range(5):
            books.put(line(f"{n}"), lambda n=n: told.append(n))
        await until(lambda: database.tries >= before + 2)
        assert books.waiting == 5 and told == ["before"]
        database.away = False
        await books.settled()
    assert await written(database) == ["before", "0", "1", "2", "3", "4"]
    assert told == ["before", 0, 1, 2, 3, 4]


async def test_a_database_that_goes_away_at_the_last_moment_gets_everything_once(database: Flaky) -> None:
    books, told = Books(database), []
    database.breaks_at_the_end = 2
    async with served(books):
        for n in range(4):
            books.put(line(f"{n}"), lambda n=n: told.append(n))
        await books.settled()
    assert await written(database) == ["0", "1", "2", "3"] and told == [0, 1, 2, 3]


async def test_an_impossible_write_is_left_out_and_takes_no_other_along(database: Flaky) -> None:
    books, told = Books(database), []
    async with served(books):
        for word in ("a", "b", None, "b", "c"):
            books.put(line(word), lambda word=word: told.append(word))
        await books.settled()
        books.put(line("d"), lambda: told.append("d"))
        await books.settled()
    assert await written(database) == ["a", "b", "c", "d"]
    assert told == ["a", "b", "c", "d"], "what was not written is not told as written"


async def test_an_impossible_write_and_a_database_that_goes_away_together_write_nothing_twice(database: Flaky) -> None:
    books, told, counted = Books(database), [], []

    def counts(n: int) -> Write:
        def write(page: Page) -> None:
            page.now().execute(text("INSERT INTO line (word) VALUES (:word)"), {"word": f"{n} {len(counted)}"})
            counted.append(n)
            if n == 3 and counted.count(3) == 1:
                raise OperationalError("insert", None, OSError("away"))

        return write

    async with served(books):
        books.put(counts(1), lambda: told.append(1))
        books.put(line(None), lambda: told.append(2))
        books.put(counts(3), lambda: told.append(3))
        await books.settled()
    assert [word.split()[0] for word in await written(database)] == ["1", "3"] and told == [1, 3]


async def test_what_fails_after_a_write_keeps_nothing_from_going_on(database: Flaky) -> None:
    books, told = Books(database), []

    def fails() -> None:
        raise RuntimeError("on purpose")

    async with served(books):
        books.put(line("a"), fails)
        books.put(line("b"), lambda: told.append("b"))
        await books.settled()
    assert told == ["b"] and await written(database) == ["a", "b"]


async def test_a_write_put_by_what_follows_a_write_is_written_too(database: Flaky) -> None:
    books = Books(database)
    async with served(books):
        books.put(line("a"), lambda: books.put(line("b")))
        await until(lambda: books.waiting == 0 and books._idle.is_set())
        await books.settled()
    assert await written(database) == ["a", "b"]


@pytest.mark.postgres
async def test_a_server_that_ends_and_starts_takes_no_write_along(postgres_url: str, postgres_server: PostgresServer) -> None:
    """While it shuts down and starts up it answers, and refuses: that is no reason to leave out a write."""
    database = Database(postgres_url)
    async with database.begin() as db:
        await db.execute(text("CREATE TABLE line (id SERIAL PRIMARY KEY, word TEXT UNIQUE NOT NULL)"))
    books, wanted = Books(database), []

    async def put_for(seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            wanted.append(str(len(wanted)))
            books.put(line(wanted[-1]))
            await asyncio.sleep(0.002)

    async with served(books):
        for _ in range(3):
            putting = asyncio.create_task(put_for(1.5))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(postgres_server.stop)
            await asyncio.to_thread(postgres_server.start)
            await putting
        await asyncio.wait_for(books.settled(), 30)
    async with database.read() as db:
        found = list((await db.execute(text("SELECT word FROM line ORDER BY id"))).scalars())
    await database.close()
    postgres_server.stop()
    postgres_server.start()  # by this thread: it ends with whoever started it
    assert [word for word in wanted if word not in set(found)] == [] and len(found) == len(wanted)


@pytest.mark.postgres
async def test_a_value_that_the_server_can_not_take_holds_nothing_up(postgres_url: str) -> None:
    database = Database(postgres_url)
    async with database.begin() as db:
        await db.execute(text("CREATE TABLE line (id SERIAL PRIMARY KEY, word TEXT UNIQUE NOT NULL, size INTEGER)"))
    books = Books(database)

    def sized(word: str, size: object) -> Write:
        def write(page: Page) -> None:
            page.now().execute(text("INSERT INTO line (word, size) VALUES (:word, :size)"), {"word": word, "size": size})

        return write

    async with served(books):
        for word, size in (("a", 1), ("b", "one"), ("c", 2**40), ("d\0", 4), ("e", 5)):
            books.put(sized(word, size))
        await asyncio.wait_for(books.settled(), 20)
    async with database.read() as db:
        assert list((await db.execute(text("SELECT word FROM line ORDER BY id"))).scalars()) == ["a", "e"]
    await database.close()


@pytest.mark.postgres
async def test_many_rows_at_once_are_on_postgresql_what_they_are_one_by_one(postgres_url: str) -> None:
    await many_rows_are_what_each_is(postgres_url)


async def test_many_rows_at_once_are_on_sqlite_what_they_are_one_by_one(tmp_path: Path) -> None:
    await many_rows_are_what_each_is(f"sqlite+aiosqlite:///{tmp_path / 'rows.sqlite3'}")


async def many_rows_are_what_each_is(url: str) -> None:
    """Numbers, words, yes and no, nothing at all; and columns that were not given."""
    unit_id = await prepare_schema(url)
    database = Database(url)
    own = {"unit_id": unit_id, "pbx_id": 7}
    whole = {
        "epoch": "e",
        "caller": "王",
        "answered_at": None,
        "started_at": 1795309400.123456,
        "talk_s": 4.5,
        "unobserved": True,
        "user_id": None,
    }
    calls = [
        {**own, "id": n, "pbx_call_id": f"p-{n}", **whole, "answered_at": 5.25 if n == 3 else None, "unobserved": n == 1} for n in (1, 2, 3)
    ]  # fmt: skip

    def write(db: Connection) -> None:
        insert_rows(db, Pbx, [{"id": 7, "unit_id": unit_id, "name": "pbx"}])
        insert_rows(db, Call, calls)
        insert_rows(db, Call, [{**own, "id": 4, "pbx_call_id": "p-4"}])
        insert_rows(db, Call, [{**own, "id": n, "pbx_call_id": f"p-{n}"} for n in (5, 6)])
        change_rows(db, Call, {5: {"talk_s": 8.5, "outcome": "answered"}, 6: {"talk_s": 9.0, "outcome": "busy"}})

    await database.write(write)
    async with database.read() as db:
        found = [dict(row) for row in (await db.execute(select(Call.__table__).order_by(Call.id))).mappings()]
    assert [{name: row[name] for name in calls[0]} for row in found[:3]] == calls
    assert {(row["number"], row["rebuilt"], row["day"]) for row in found} == {("", False, "")}
    assert [(row["talk_s"], row["outcome"]) for row in found[4:]] == [(8.5, "answered"), (9.0, "busy")]
    await database.close()


def test_the_errors_that_mean_away_are_not_those_that_mean_impossible() -> None:
    assert not issubclass(IntegrityError, OperationalError)
