"""The whole product in this process, for tests: every part wired by `config.bootstrap`, served on a free port, below it PBXs that are
played, before it clients that sign in as a browser does. Two business units, so that a test can try what is not its own.

The rows (the demo's centre, customers, a few days of history, a second unit) are made once a session and copied for each program.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import pytest
import structlog
from argon2 import PasswordHasher
from sqlalchemy import insert, select, update

from config.accounts import make_unit
from config.bootstrap import PbxAccess, Program
from config.demo import centre, customers, history, records
from config.demo.web import DemoWeb
from config.settings import Database as DatabaseSettings
from config.settings import Home, Phones, Recordings, Settings, Web
from config.tables import METADATA
from config.upgrade import upgrade
from crm_core.entities.org import ApiToken, User
from crm_core.entities.people import Contact, ContactPoint, Customer
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker
from crm_core.numbers import NumberRules
from crm_core.signin import digest
from cti.pbx.scripted import PhoneHabit, ScriptedDriver, ScriptedPbx
from cti.storage import InwardNumber, Pbx, Queue, QueueAgent, Seat
from tests.peers.need import free_port
from tests.peers.postgres_server import PostgresServer

NOON: Final = datetime(2026, 11, 18, 15, 0, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
TODAY: Final = "2026-11-18"
HISTORY_DAYS: Final = 3
CUSTOMERS: Final = 60
PASSWORD: Final = "correct horse battery"
_HASH: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
SHARED_NUMBER: Final = "13900007777"
"""A number that a customer of each unit has."""

ROLE_OF: Final = {
    "wang": "agent",
    "li": "agent",
    "zhang": "supervisor",
    "qian": "reviewer",
    "admin": "administrator",
    "guest": "guest",
    "heinz": "agent",
    "karla": "supervisor",
}
"""Whom tests sign in as; `guest` has no right at all; heinz and karla belong to the other unit."""


class TickingClock:
    """A clock that starts on an afternoon of 2026 and goes on with the machine's; `pass_time` lets it jump."""

    def __init__(self, at: float = NOON) -> None:
        self._start, self._at, self._jumped = time.monotonic(), at, 0.0

    def now(self) -> float:
        return self._at + self.monotonic()

    def monotonic(self) -> float:
        return time.monotonic() - self._start + self._jumped

    def pass_time(self, seconds: float) -> None:
        self._jumped += seconds


# ------------------------------------------------------------------------------------------------------------------- the rows


async def fill(database: Database, days: int = HISTORY_DAYS, people: int = CUSTOMERS) -> None:
    """The demo's centre with customers and history, a guest, and a second unit with a PBX, people and a customer of its own."""
    new_id = IdMaker(TickingClock(NOON - 3600))  # the program begins at noon, and makes identifiers of its own from then on
    now = NOON
    await upgrade(database)
    kept = history.DAYS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("config.demo.history.DAYS", days)
        patch.setattr("config.accounts.HASHER", _FastHasher())
        async with database.begin() as db:
            made = await centre.make_centre(db, new_id, now)
            for rows in customers.batches(made.unit_id, new_id, now, people):
                await customers.write(db, rows)
            today = datetime.fromtimestamp(now, ZoneInfo("Asia/Shanghai")).date()
            rules = NumberRules(area_code="0571")
            await history.write(db, made.unit_id, made.pbx_id, "Asia/Shanghai", now, today, rules, lambda _: None)
            await records.write(db, made.unit_id, new_id, now, "Asia/Shanghai")
            await _add_customer(db, new_id, made.unit_id, "杭州同号公司")
            guest = {"id": new_id(), "unit_id": made.unit_id, "login": "guest", "name": "访客", "role": "guest", "active": True}
            await db.execute(insert(User).values({**guest, "password_hash": _HASH, "created_at": now}))
            await _other_unit(db, new_id)
            await db.execute(update(User).values(password_hash=_HASH))
    assert kept == history.DAYS


class _FastHasher:
    def hash(self, _password: str) -> str:
        return _HASH


async def _other_unit(db: Any, new_id: Callable[[], int]) -> None:
    unit_id = await make_unit(db, new_id, name="Berliner Werk", zone="Europe/Berlin", area_code="")
    pbx_id, queue_id = new_id(), new_id()
    await db.execute(insert(Pbx).values(id=pbx_id, unit_id=unit_id, name="other"))
    base = {"unit_id": unit_id, "pbx_id": pbx_id}
    queue = {**base, "id": queue_id, "name": "werk", "title": "Werk", "title_en": "Works", "strategy": "linear", "wrap_up_s": 20}
    await db.execute(insert(Queue).values(queue))
    await db.execute(insert(InwardNumber).values({**base, "id": new_id(), "number": "03000000", "queue_id": queue_id}))
    seat = {**base, "id": new_id(), "extension": "8001", "name": "Halle 1", "phone": "desk", "secret": "", "active": True}
    await db.execute(insert(Seat).values(seat))
    for login, role in (("heinz", "agent"), ("karla", "supervisor")):
        user = {"id": new_id(), "unit_id": unit_id, "login": login, "name": login.title(), "role": role, "active": True}
        await db.execute(insert(User).values({**user, "password_hash": _HASH, "created_at": NOON}))
        if role == "agent":
            await db.execute(insert(QueueAgent).values(id=new_id(), unit_id=unit_id, queue_id=queue_id, user_id=user["id"]))
    await _add_customer(db, new_id, unit_id, "Schmidt GmbH")


async def _add_customer(db: Any, new_id: Callable[[], int], unit_id: int, name: str) -> None:
    customer_id, contact_id = new_id(), new_id()
    row = {"id": customer_id, "unit_id": unit_id, "number": f"C-{name[:4]}", "kind": "company", "name": name, "level": "A"}
    await db.execute(insert(Customer).values({**row, "created_at": NOON, "changed_at": NOON}))
    await db.execute(insert(Contact).values(id=contact_id, unit_id=unit_id, customer_id=customer_id, name=f"{name} 前台"))
    point = {"id": new_id(), "unit_id": unit_id, "customer_id": customer_id, "contact_id": contact_id, "kind": "mobile"}
    await db.execute(insert(ContactPoint).values({**point, "key": f"+86{SHARED_NUMBER}", "written": SHARED_NUMBER}))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all the rows; whoever wants to change it copies it."""
    path = tmp_path_factory.mktemp("filled") / "lingxi.sqlite3"

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await fill(database)
        await database.close()

    asyncio.run(make())
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packed tables of places lie, for all programs of the session."""
    return tmp_path_factory.mktemp("cache")


async def copy_rows(filled: Path, url: str) -> None:
    """Put the rows of the SQLite file into another, empty database."""
    source, target = Database(f"sqlite+aiosqlite:///{filled}"), Database(url)
    await upgrade(target)
    async with source.read() as old, target.begin() as new:
        for table in METADATA.sorted_tables:
            rows = [dict(row) for row in (await old.execute(select(table))).mappings()]
            for start in range(0, len(rows), 500):
                await new.execute(insert(table), rows[start : start + 500])
    await source.close()
    await target.close()


# ----------------------------------------------------------------------------------------------------------------- the clients


@dataclass
class Browser:
    """Somebody's browser: a cookie jar, the CSRF token of the page, and where the product is."""

    url: str
    session: aiohttp.ClientSession
    login: str = ""
    csrf: str = ""
    token: str = ""

    async def sign_in(self, login: str, password: str = PASSWORD) -> aiohttp.ClientResponse:
        """Fill in the form and send it, then read the CSRF token off the first page."""
        self.login = login
        async with self.session.get(f"{self.url}/signin") as form:
            assert 'name="password"' in await form.text()
        answer = await self.session.post(
            f"{self.url}/signin", data={"login": login, "password": password, "next": "/me"}, allow_redirects=False
        )
        await answer.read()
        if answer.status == 303:
            async with self.session.get(f"{self.url}/me") as page:
                found = re.search(r'data-csrf="([^"]+)"', await page.text())
            assert found is not None, "the page carries no CSRF token"
            self.csrf = found[1]
        return answer

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """One request as the page's scripts make it."""
        headers = {**more.pop("headers", {})}
        if self.csrf and method != "GET":
            headers.setdefault("X-CSRF-Token", self.csrf)
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            more["json"] = body
        async with self.session.request(method, f"{self.url}{path}", headers=headers, allow_redirects=False, **more) as answer:
            return Answer(answer.status, await answer.read(), dict(answer.headers))

    async def get(self, path: str, **more: Any) -> Answer:
        """Read something."""
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        """Give a command."""
        return await self.ask("POST", path, body, **more)

    async def put(self, path: str, body: Any = None, **more: Any) -> Answer:
        """Set something."""
        return await self.ask("PUT", path, body, **more)

    @asynccontextmanager
    async def socket(self, path: str = "/ws", origin: str | None = "") -> AsyncIterator[Socket]:
        """The tab's socket; `origin` None sends none, "" sends the right one."""
        headers = {} if origin is None else {"Origin": origin or self.url}
        async with self.session.ws_connect(f"{self.url}{path}", headers=headers) as ws:
            yield Socket(ws)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)


@dataclass
class Socket:
    """A tab's socket: what came so far, and every feed as the events made it."""

    ws: aiohttp.ClientWebSocketResponse
    heard: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    state: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    closed: int | None = None

    async def say(self, **message: Any) -> None:
        """Send one message."""
        await self.ws.send_json({"v": 1, **message})

    async def next(self, limit_s: float = 10.0) -> dict[str, Any] | None:
        """The next message, applied to the feeds; None when the socket was closed."""
        message = await self.ws.receive(limit_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            self.closed = self.ws.close_code
            return None
        told: dict[str, Any] = message.json()
        self.raw.append(message.data)
        self.heard.append(told)
        self._apply(told)
        return told

    def _apply(self, told: dict[str, Any]) -> None:
        if told["t"] == "snapshot":
            self.state[told["feed"]] = told["state"]
        elif told["t"] == "event":
            tables = self.state[told["feed"]]
            for table, key, row in told["put"]:
                tables.setdefault(table, {})[key] = row
            for table, key in told["drop"]:
                tables.get(table, {}).pop(key, None)

    async def join(self, feed: str) -> dict[str, Any]:
        """Join a feed; the answer, a snapshot or a refusal."""
        await self.say(t="join", feed=feed)
        while (told := await self.next()) is not None:
            if told["t"] in ("snapshot", "refused") and told.get("feed") == feed:
                return told
        raise AssertionError(f"the socket was closed with {self.closed}")

    async def until(self, holds: Callable[[dict[str, Any]], Any], limit_s: float = 10.0) -> Any:
        """Read on until something holds for the feeds; gives what it gave."""
        end = time.monotonic() + limit_s
        while not (found := holds(self.state)):
            assert time.monotonic() < end, f"never came; last heard: {self.raw[-3:]}"
            if await self.next(max(end - time.monotonic(), 0.01)) is None:
                raise AssertionError(f"the socket was closed with {self.closed}")
        return found


class Simulator:
    """The demo page's caller: into the scripted PBX."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.running: list[dict[str, Any]] = []

    async def call(self, *, number: str, to: str, hold_s: float, say: Path | None = None, name: str = "") -> None:
        """Send a caller in."""
        self._running.call(number=number, to=to, name=name, talk_s=hold_s)

    def sound(self, what: str) -> Path | None:
        """There is none."""
        return None


# ----------------------------------------------------------------------------------------------------------------- the program


class Running:
    """A program that runs, with its two played PBXs."""

    def __init__(
        self, program: Program, url: str, clock: TickingClock, pbxs: dict[str, ScriptedPbx], stack: AsyncExitStack
    ) -> None:
        self.program, self.url, self.clock, self.pbxs = program, url, clock, pbxs
        self._stack = stack
        self.failures: list[dict[str, Any]] = []
        self._callers: set[asyncio.Task[bool]] = set()
        self._browsers: dict[str, Browser] = {}

    async def browser(self, login: str = "", fresh: bool = False) -> Browser:
        """Somebody's browser, signed in where a login is given; the same one each time unless a fresh one is wanted."""
        if login in self._browsers and not fresh:
            return self._browsers[login]
        session = await self._stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
        browser = Browser(self.url, session)
        if login:
            answer = await browser.sign_in(login)
            assert answer.status == 303, f"{login} could not sign in: {answer.status}"
            if not fresh:
                self._browsers[login] = browser
        return browser

    async def token(self, login: str, *scopes: str) -> Browser:
        """A program that acts for somebody, within these scopes."""
        text = f"token-{login}-{'-'.join(scopes)}-{self.program.new_id()}"
        user = await self.one(select(User.id, User.unit_id).where(User.login == login))
        row = {"id": self.program.new_id(), "unit_id": user["unit_id"], "user_id": user["id"], "token_hash": digest(text)}
        async with self.program.database.begin() as db:
            await db.execute(insert(ApiToken).values({**row, "name": "test", "scopes": "\n".join(scopes)}))
        browser = await self.browser("", fresh=True)
        browser.login, browser.token = login, text
        return browser

    async def rows(self, statement: Any) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.program.database.read() as db:
            return [dict(row) for row in (await db.execute(statement)).mappings()]

    async def one(self, statement: Any) -> dict[str, Any]:
        """The first row of it."""
        return (await self.rows(statement))[0]

    async def user_id(self, login: str) -> int:
        """Who that is."""
        return int((await self.one(select(User.id).where(User.login == login)))["id"])

    async def seat_id(self, extension: str, pbx: str = "demo") -> str:
        """A seat by its extension."""
        wanted = select(Seat.id).join(Pbx, Pbx.id == Seat.pbx_id).where(Seat.extension == extension, Pbx.name == pbx)
        return str((await self.one(wanted))["id"])

    async def sit(self, login: str, extension: str, state: str = "ready", reason: str = "", pbx: str = "demo") -> Browser:
        """Somebody signs in to a seat, and waits until the PBX knows."""
        browser = await self.browser(login)
        body = {"seat_id": await self.seat_id(extension, pbx), "state": state, "reason": reason}
        answer = await browser.post("/api/v1/seat/sign-in", body)
        assert answer.status == 204, answer.text
        await self.settle()
        return browser

    def call(
        self, *, number: str, to: str = "4008880000", name: str = "", pbx: str = "demo", patience_s: float = 30, talk_s: float = 30
    ) -> asyncio.Task[bool]:
        """Somebody calls in."""
        played = self.pbxs[pbx].caller(number=number, to=to, name=name, patience_s=patience_s, talk_s=talk_s)
        task = asyncio.create_task(played)
        self._callers.add(task)
        task.add_done_callback(self._callers.discard)
        return task

    def habit(self, extension: str, *, ring_s: float | None = None, talk_s: float | None = None, pbx: str = "demo") -> None:
        """What the phone of a seat does by itself from now on."""
        self.pbxs[pbx].habits[extension] = PhoneHabit(ring_s=ring_s, talk_s=talk_s)

    async def settle(self) -> None:
        """Let everything that was said be heard and written."""
        for _ in range(20):
            await asyncio.sleep(0.01)
        await self.program.bus.settle()
        await self.program.books.settled()

    async def hang_up_all(self) -> None:
        """End every call that is played."""
        for pbx in self.pbxs.values():
            for line in list(pbx.lines.values()):
                line.over.set()
        await asyncio.gather(*self._callers, return_exceptions=True)


def hear_failures(failures: list[dict[str, Any]]) -> None:
    """Collect what the product logs as an error: a failure that is caught and logged is a failure all the same."""

    def keep(_logger: Any, level: str, line: Any) -> Any:
        if level in ("error", "exception", "critical"):
            failures.append({**line, "trace": traceback.format_exc() if line.get("exc_info") else ""})
        raise structlog.DropEvent

    structlog.configure(processors=[keep])


def habits() -> dict[str, PhoneHabit]:
    """Every phone rings until a test says otherwise."""
    return {extension: PhoneHabit(ring_s=None) for extension in (*centre.BROWSER_SEATS, *centre.DESK_SEATS)}


@asynccontextmanager
async def running(home: Path, cache: Path, url: str, clock: TickingClock | None = None) -> AsyncIterator[Running]:
    """A program on a database that has the rows, until the block ends."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache, target_is_directory=True)
    port, clock = free_port(), clock or TickingClock()
    settings = Settings(
        home=Home(folder=home), web=Web(port=port), database=DatabaseSettings(url=url), recordings=Recordings(folder=home / "recordings"),
        phones=Phones(area_code="0571"),
    )  # fmt: skip
    (home / "recordings").mkdir()
    (home / "spool").mkdir()
    pbxs = {
        "demo": ScriptedPbx(numbers=dict(centre.NUMBERS), habits=habits(), now=clock.now, sleep=asyncio.sleep),
        "other": ScriptedPbx(numbers={"03000000": "werk"}, habits={"8001": PhoneHabit(ring_s=None)}, now=clock.now, sleep=asyncio.sleep),
    }  # fmt: skip
    access = {
        name: PbxAccess(make_driver=lambda _, pbx=pbx: ScriptedDriver(pbx), spool=home / "spool", sip_ws="ws://127.0.0.1:9/ws", realm="played")
        for name, pbx in pbxs.items()
    }  # fmt: skip
    program = Program(settings, access, clock, demo=True)
    await program.prepare()
    async with AsyncExitStack() as stack:
        here = Running(program, f"http://127.0.0.1:{port}", clock, pbxs, stack)
        DemoWeb(program.pages, program.database, program.customers, Simulator(here)).add_to(program.routes)
        work = asyncio.create_task(program.run())
        ready = asyncio.create_task(program.ready.wait())
        await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        hear_failures(here.failures)
        try:
            await _until(lambda: all(line.up for line in program.lines.values()))
            yield here
        finally:
            await here.hang_up_all()
            await stack.aclose()
            program.stop()
            await work
            structlog.reset_defaults()
    assert here.failures == [], "\n".join(f"{one['event']}: {one['trace'][-400:]}" for one in here.failures)


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came about")


def sqlite_url(filled: Path, folder: Path) -> str:
    """A copy of the file with the rows."""
    path = folder / "lingxi.sqlite3"
    shutil.copy(filled, path)
    return f"sqlite+aiosqlite:///{path}"


async def postgres_with_rows(server: PostgresServer, filled: Path) -> str:
    """A new PostgreSQL database with the rows: copied into the server once, then made from that."""
    template = "with_rows"
    if template not in server.run_sql("postgres", "SELECT datname FROM pg_database").split():
        server.run_sql("postgres", f"CREATE DATABASE {template}")
        await copy_rows(filled, server.url(template))
    name = server.make_database()
    server.drop_database(name)
    server.run_sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.url(name)


async def database_url(request: pytest.FixtureRequest, kind: str, filled: Path, folder: Path) -> str:
    """A database of that kind with the rows in it."""
    if kind == "sqlite":
        return sqlite_url(filled, folder)
    return await postgres_with_rows(request.getfixturevalue("_one_postgres"), filled)
