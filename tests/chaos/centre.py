"""The centre of a chaos run: its rows, made before the product starts, and its agents, who sign in and sit down over the product's HTTP.

Who sat where is written down here by the host's clock, so that the books can be asked whether they know it too.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from argon2 import PasswordHasher
from sqlalchemy import insert

from config.accounts import make_unit
from config.upgrade import upgrade
from crm_core.entities.org import User
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.db import Database
from crm_core.kernel.ids import IdMaker
from cti.storage import InwardNumber, Pbx, Queue, QueueAgent, Seat

PBX: Final = "chaos"
PASSWORD: Final = "correct horse battery"
QUEUES: Final = (("first", 0), ("second", 1))
"""The queues with members, and their wrap-up in seconds."""
EMPTY: Final = "empty"
RING_S: Final = 2.0
EMPTY_WAIT_S: Final = 6.0
FIRST_SEAT: Final = 8001
SOON_S: Final = 1.0  # clocks may be so far apart
SPARE: Final = 3
"""Seats more than agents, so that somebody can move."""


@dataclass(slots=True, kw_only=True)
class Rows:
    """What was made: each seat's row and each agent's, by extension and login."""

    seats: dict[str, int]
    users: dict[str, int]


def queues() -> list[dict[str, Any]]:
    """The queues as the synthetic PBX has them."""
    return [
        *({"name": name, "ring_s": RING_S, "retry_s": 1.0, "max_wait_s": 60.0} for name, _ in QUEUES),
        {"name": EMPTY, "ring_s": RING_S, "retry_s": 1.0, "max_wait_s": EMPTY_WAIT_S},
    ]


async def make(url: str, agents: int) -> Rows:
    """Write unit, PBX, queues, seats and agents into an empty database."""
    database, new_id = Database(url), IdMaker(SystemClock(), node=1)
    await upgrade(database)
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    try:
        async with database.begin() as db:
            unit = await make_unit(db, new_id, name="Chaos", zone="Asia/Shanghai", area_code="0571")
            pbx = new_id()
            await db.execute(insert(Pbx).values(id=pbx, unit_id=unit, name=PBX))
            base = {"unit_id": unit, "pbx_id": pbx}
            made = [
                {**base, "id": new_id(), "name": name, "title": name, "strategy": "rrmemory", "ring_s": int(RING_S), "wrap_up_s": wrap_up}
                for name, wrap_up in (*QUEUES, (EMPTY, 0))
            ]  # fmt: skip
            await db.execute(insert(Queue), made)
            await db.execute(insert(InwardNumber).values(**base, id=new_id(), number="057188000001", queue_id=made[0]["id"]))
            seats = {str(FIRST_SEAT + n): new_id() for n in range(agents + SPARE)}
            await db.execute(
                insert(Seat), [{**base, "id": i, "extension": e, "name": e, "phone": "desk", "secret": "", "active": True} for e, i in seats.items()]
            )  # fmt: skip
            users = {f"agent{n}": new_id() for n in range(agents)}
            await db.execute(
                insert(User),
                [
                    {
                        "id": i,
                        "unit_id": unit,
                        "login": login,
                        "name": login,
                        "role": "agent",
                        "password_hash": hashed,
                        "active": True,
                    }
                    for login, i in users.items()
                ],
            )
            await db.execute(
                insert(QueueAgent),
                [
                    {"id": new_id(), "unit_id": unit, "queue_id": made[q]["id"], "user_id": user}
                    for n, user in enumerate(users.values())
                    for q in ((0, 1), (0,), (1,))[n % 3]
                ],
            )
        return Rows(seats=seats, users=users)
    finally:
        await database.close()


@dataclass(slots=True, kw_only=True)
class Sat:
    """Somebody sat down: at some moment between asking and being told so, and got up likewise."""

    user: int
    asked: float
    told: float
    left_asked: float = float("inf")
    left_told: float = float("inf")


@dataclass(slots=True, kw_only=True)
class Agent:
    """Somebody at a browser."""

    login: str
    user: int
    session: aiohttp.ClientSession
    csrf: str = ""
    seat: str = ""


@dataclass(slots=True)
class Agents:
    """All of them."""

    rows: Rows
    url: str
    all: list[Agent] = field(default_factory=list)
    sat: dict[str, list[Sat]] = field(default_factory=dict)

    async def arrive(self) -> None:
        """Everybody signs in and sits down, ready."""
        seats = list(self.rows.seats)
        for n, (login, user) in enumerate(self.rows.users.items()):
            session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=5))
            agent = Agent(login=login, user=user, session=session)
            self.all.append(agent)
            form = {"login": login, "password": PASSWORD, "next": "/me"}
            async with session.post(f"{self.url}/signin", data=form) as answer:
                found = re.search(r'data-csrf="([^"]+)"', await answer.text())
            assert found is not None, f"{login} could not sign in: {answer.status}"
            agent.csrf = found[1]
            assert await self.sit(agent, seats[n]), f"{login} could not sit down"

    async def sit(self, agent: Agent, seat: str) -> bool:
        """Sit down at a seat, ready."""
        asked = time.time()
        body = {"seat_id": str(self.rows.seats[seat]), "state": "ready"}
        done = await self._post(agent, "seat/sign-in", body)
        if done is False:
            return False
        sat = Sat(user=agent.user, asked=asked, told=time.time())
        self.sat.setdefault(seat, []).append(sat)
        agent.seat = seat
        if done is None and await self._really_at(agent) != seat:
            agent.seat = ""
            self.sat[seat].remove(sat)
        return agent.seat == seat

    async def get_up(self, agent: Agent) -> bool:
        """Leave the seat, if no call is in hand there."""
        asked = time.time()
        done = await self._post(agent, "seat/sign-out", None) if agent.seat else False
        if done is None:
            done = await self._really_at(agent) != agent.seat
        if done:
            last = self.sat[agent.seat][-1]
            last.left_asked, last.left_told, agent.seat = asked, time.time(), ""
        return bool(done)

    async def _post(self, agent: Agent, path: str, body: dict[str, Any] | None) -> bool | None:
        """Whether it was done; None where nobody answered, so that it may have been done or not."""
        try:
            async with agent.session.post(f"{self.url}/api/v1/{path}", json=body, headers={"X-CSRF-Token": agent.csrf}) as answer:
                return answer.status in (200, 204)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _really_at(self, agent: Agent) -> str:
        """Where the product says the agent sits, once it answers again and has heard whatever was asked of it before."""
        await asyncio.sleep(0.5)
        while True:
            try:
                async with agent.session.get(f"{self.url}/api/v1/seats") as answer:
                    if answer.status == 200:
                        seats = (await answer.json())["seats"]
                        return next((str(seat["extension"]) for seat in seats if seat["taken_by"] == agent.login), "")
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.5)

    def who(self, seat: str, at: float) -> frozenset[int | None]:
        """Who may be said to have sat there at that moment. Where nobody did: nobody, who did before, who came right after."""
        sat = self.sat.get(seat, [])
        during: set[int | None] = {s.user for s in sat if s.asked <= at <= s.left_told}
        if during:
            return frozenset(during)
        before = [s.user for s in sat if s.left_told < at][-1:]
        after = [s.user for s in sat if s.asked > at and (s.asked <= at + SOON_S or not before)][:1]
        return frozenset({None, *before, *after})

    async def close(self) -> None:
        """Close the browsers."""
        await asyncio.gather(*(agent.session.close() for agent in self.all))
