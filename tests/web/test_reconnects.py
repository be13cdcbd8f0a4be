"""A hundred browsers lose their sockets in one moment and come back at once, each with its last cursor, while calls go on: everybody is let
in, gets what was missed and no more, and ends with what a fresh snapshot says; who was not cut has their pops meanwhile; nothing is left
behind of the connections that broke. Sixty agents' desks and forty tabs of the floor, over a line that the test cuts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from sqlalchemy import insert, select

from crm_core.entities.org import User
from crm_core.kernel.access import AGENT
from crm_core.kernel.db import Database
from crm_core.kernel.feed import FeedAddress
from crm_core.kernel.ids import IdMaker
from cti.pbx.scripted import PhoneHabit
from cti.storage import Pbx, Queue, QueueAgent, Seat
from tests.stories.proxy import Proxy
from tests.web.program import NOON, Browser, Running, Socket, TickingClock, running, sqlite_url

pytestmark = pytest.mark.timeout(180)

DESKS: Final = 60
FLOORS: Final = 40
HERE_LOGINS: Final = ("zhao", "sun", "zhou", "wu", "zheng", "feng", "li")
HERE_SEATS: Final = ("8011", "8013", "8014", "8015", "8016", "8002", "8003")
AWAY_S: Final = 0.6
BACK_S: Final = 15.0
POP_S: Final = 2.0  # of the whole: client, proxy and product share one loop here
STALE: Final = 5  # tabs that slept too long: their cursor is of another run


async def add_people(url: str, count: int) -> list[tuple[str, str]]:
    """More agents of the demo's centre, each with a desk seat and in one queue; login and extension."""
    database, new_id = Database(url), IdMaker(TickingClock(), node=9)
    async with database.begin() as db:
        pbx = (await db.execute(select(Pbx.id, Pbx.unit_id).where(Pbx.name == "demo"))).one()
        queue_id = (await db.execute(select(Queue.id).where(Queue.name == "parts"))).scalar_one()
        password = (await db.execute(select(User.password_hash).where(User.login == "wang"))).scalar_one()
        people = [(f"agent{n}", str(8100 + n)) for n in range(count)]
        for login, extension in people:
            user_id = new_id()
            user = {"id": user_id, "unit_id": pbx.unit_id, "login": login, "name": login, "role": AGENT, "active": True}
            await db.execute(insert(User).values({**user, "password_hash": password, "created_at": NOON}))
            seat = {"id": new_id(), "unit_id": pbx.unit_id, "pbx_id": pbx.id, "extension": extension, "name": extension}
            await db.execute(insert(Seat).values({**seat, "phone": "desk", "secret": "", "active": True}))
            await db.execute(insert(QueueAgent).values(id=new_id(), unit_id=pbx.unit_id, queue_id=queue_id, user_id=user_id))
    await database.close()
    return people


class Tab:
    """One browser with one feed, which it keeps true; cut off, it comes back with its last cursor and tries until it is in."""

    def __init__(self, browser: Browser, feed: str) -> None:
        self.browser, self.feed = browser, feed
        self.state: dict[str, Any] = {}
        self.cursor: str | None = None
        self.kinds: list[str] = []
        self.tries = 0
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def come(self) -> None:
        """Connect and join, with `since` where there is a cursor; the tries it took are counted."""
        self.kinds, self.tries = [], 0
        while True:
            self.tries += 1
            try:
                self._ws = await self.browser.session.ws_connect(f"{self.browser.url}/ws", headers={"Origin": self.browser.url})
                break
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(min(0.05 * 2**self.tries, 1.0))
        socket = Socket(self._ws)
        socket.state[self.feed] = self.state
        self._reading = asyncio.create_task(self._read(socket))
        await socket.say(t="join", feed=self.feed, **({"since": self.cursor} if self.cursor else {}))

    async def _read(self, socket: Socket) -> None:
        while (told := await socket.next(300)) is not None:
            assert told["t"] != "refused", told
            if "cursor" in told:
                self.kinds.append(told["t"])
                self.cursor, self.state = told["cursor"], socket.state[self.feed]

    async def lost(self) -> None:
        """Wait until the connection has broken."""
        assert self._reading is not None
        await self._reading

    async def leave(self) -> None:
        """Close the tab."""
        if self._ws is not None:
            await self._ws.close()
        if self._reading is not None:
            await self._reading


class Crowd:
    """All that takes part: the product, the line to it that can be cut, and a hundred tabs."""

    def __init__(self, here: Running, proxy: Proxy, url: str) -> None:
        self.here, self.proxy, self.url = here, proxy, url
        self.desks: list[Tab] = []
        self.floors: list[Tab] = []

    @property
    def tabs(self) -> list[Tab]:
        return self.desks + self.floors

    async def sit(self, people: list[tuple[str, str]], stack: contextlib.AsyncExitStack) -> None:
        """Everybody signs in, agents sit down; two watch the floor, with many tabs each."""
        for login, extension in people:
            browser = await self._browser(login, stack)
            body = {"seat_id": await self.here.seat_id(extension), "state": "ready", "reason": ""}
            assert (await browser.post("/api/v1/seat/sign-in", body)).status == 204
            self.desks.append(Tab(browser, "desk"))
        watchers = [await self._browser(login, stack) for login in ("zhang", "admin")]
        self.floors = [Tab(watchers[n % 2], "floor") for n in range(FLOORS)]

    async def _browser(self, login: str, stack: contextlib.AsyncExitStack) -> Browser:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)  # nothing idle that may go by itself
        jar = aiohttp.CookieJar(unsafe=True)
        browser = Browser(self.url, await stack.enter_async_context(aiohttp.ClientSession(connector=connector, cookie_jar=jar)))
        assert (await browser.sign_in(login)).status == 303
        return browser

    async def come(self) -> float:
        """All at once; how long until the last was in."""
        began = time.monotonic()
        async with asyncio.timeout(BACK_S):
            await asyncio.gather(*(tab.come() for tab in self.tabs))
            await eventually(lambda: followers(self.here) == (DESKS, FLOORS))
        return time.monotonic() - began

    async def cut(self) -> None:
        """Every connection breaks in one moment."""
        self.proxy.cut()
        async with asyncio.timeout(BACK_S):
            await asyncio.gather(*(tab.lost() for tab in self.tabs))


def followers(here: Running) -> tuple[int, int]:
    """How many tabs the product counts on desks (wang's, which is not cut, left out) and on the floor."""
    feeds = here.program.feeds
    joined = {address: feed.joined for address in feeds.addresses() if (feed := feeds.find(address)) is not None}
    desks = sum(n for address, n in joined.items() if address.name == "desk")
    return desks - 1, sum(n for address, n in joined.items() if address.name == "floor")


def costs(here: Running) -> dict[str, int]:
    """What every connection costs while it is there: tasks, sockets as the product counts them, sockets of this process."""
    kinds = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            kinds.append(str(entry.readlink()).partition(":")[0])
    return {"tasks": len(asyncio.all_tasks()), "tabs": len(here.program.sockets.open), "sockets": kinds.count("socket")}


async def back_to(here: Running, before: dict[str, int]) -> None:
    """Wait until nothing costs more than before."""
    with contextlib.suppress(AssertionError):
        await eventually(lambda: all(now <= before[what] for what, now in costs(here).items()))
    assert {what: now for what, now in costs(here).items() if now > before[what]} == {}, f"before it was {before}"


async def eventually(holds: Callable[[], Any], limit_s: float = 10.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it never came about"
        await asyncio.sleep(0.02)


async def quiet(here: Running) -> None:
    """No call lives, everything is written and told."""
    await here.hang_up_all()
    await here.settle()
    await asyncio.sleep(1.2)  # boards and queues of desks are told in slices
    await here.settle()


@asynccontextmanager
async def busy(here: Running) -> AsyncIterator[None]:
    """Calls come in all the while, ring, are answered and end."""

    async def calls() -> None:
        while True:
            here.call(number=f"1380000{time.monotonic_ns() % 10_000:04}", to="057188000002", talk_s=0.3)
            await asyncio.sleep(0.1)

    work = asyncio.create_task(calls())
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def pops(here: Running, desk: Socket, enough: asyncio.Event) -> list[float]:
    """A colleague rings wang again and again until it is enough; how long each pop took, in seconds."""
    pbx, took = here.pbxs["demo"], []
    while not enough.is_set():
        began = time.monotonic()
        call = asyncio.create_task(pbx.seat_calls("8012", "8001"))
        await desk.until(lambda s: s["desk"]["calls"])
        took.append(time.monotonic() - began)
        for line in [line for line in pbx.lines.values() if line.endpoint.name in ("8012", "8001")]:
            line.over.set()
        await call
        await desk.until(lambda s: not s["desk"]["calls"])
    return took


async def fresh(tab: Tab) -> Tab:
    """Another tab of the same person on the same feed, which knows nothing yet."""
    other = Tab(tab.browser, tab.feed)
    await other.come()
    await eventually(lambda: other.cursor)
    return other


async def same_as_fresh(tabs: list[Tab]) -> None:
    """Each has what a snapshot taken now says."""
    for tab in tabs:
        other = await fresh(tab)
        await eventually(lambda tab=tab, other=other: tab.cursor == other.cursor)
        assert other.kinds[0] == "snapshot" and tab.state == other.state, tab.browser.login
        await other.leave()


@pytest.fixture
def url(filled: Path, tmp_path: Path) -> str:
    return sqlite_url(filled, tmp_path)


async def test_a_hundred_come_back_at_once(url: str, cache: Path, tmp_path: Path) -> None:
    people = [*zip(HERE_LOGINS, HERE_SEATS, strict=True), *await add_people(url, DESKS - len(HERE_LOGINS))]
    async with running(tmp_path / "home", cache, url) as here, contextlib.AsyncExitStack() as stack:
        proxy = Proxy(here.url)
        crowd = Crowd(here, proxy, (await proxy.start()).rstrip("/"))
        stack.push_async_callback(proxy.stop)
        for _, extension in people:
            here.pbxs["demo"].habits[extension] = PhoneHabit(ring_s=0.1, talk_s=None)
            here.pbxs["demo"].register(extension)
        wang = await here.sit("wang", "8001")
        desk = await stack.enter_async_context(wang.socket())
        await desk.join("desk")
        await crowd.sit(people, stack)
        await quiet(here)
        alone = costs(here)
        await crowd.come()
        await eventually(lambda: all(tab.kinds[:1] == ["snapshot"] for tab in crowd.tabs))
        await quiet(here)
        connected = costs(here)
        for _ in range(2):
            await once(crowd, desk)
            await quiet(here)
            await same_as_fresh([*crowd.desks, crowd.floors[0]])
            await eventually(lambda: len({tab.cursor for tab in crowd.floors}) == 1)
            assert all(tab.state == crowd.floors[0].state for tab in crowd.floors)
            await back_to(here, connected)
            assert costs(here)["tabs"] == connected["tabs"] == DESKS + FLOORS + 1
        await asyncio.gather(*(tab.leave() for tab in crowd.tabs))
        await eventually(lambda: followers(here) == (0, 0))
        await back_to(here, alone)


async def once(crowd: Crowd, desk: Socket) -> None:
    """Calls go on, all are cut and come back; what each of them got, and wang's pops meanwhile."""
    here = crowd.here
    floor = here.program.feeds.find(FeedAddress(next(iter(here.program.lines.values())).unit_id, "floor"))
    assert floor is not None
    async with busy(here):
        await asyncio.sleep(0.4)
        enough = asyncio.Event()
        popping = asyncio.create_task(pops(here, desk, enough))
        await crowd.cut()
        await eventually(lambda: followers(here) == (0, 0))
        missed_from = floor.seq
        await asyncio.sleep(AWAY_S)
        assert here.program.floors._unseen, "nothing happened while they were away"
        asleep = crowd.floors[:STALE]
        for tab in asleep:
            tab.cursor = "of-another-run:7"
        took = await crowd.come()
        assert floor.seq > missed_from, "what happened while they were away was not drawn when they came back"
        enough.set()
        seconds = await popping
        await eventually(lambda: all(tab.kinds for tab in crowd.floors))
    assert took < BACK_S and max(tab.tries for tab in crowd.tabs) <= 5, "somebody was turned away again and again"
    assert len(seconds) >= 3 and max(seconds) < POP_S, f"pops took {seconds}"
    assert [tab.kinds[0] for tab in asleep] == ["snapshot"] * STALE
    others = [tab for tab in crowd.tabs if tab not in asleep]
    assert {kind for tab in others for kind in tab.kinds} == {"event"}, "who has a cursor gets what was missed, and no more"
