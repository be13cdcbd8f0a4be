"""One chaos run: people call the synthetic PBX, the product watches it, things break by a schedule drawn from a seed; then the books
are compared with the ledger, and whoever sits somewhere must be out of every call."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from crm_core.kernel.db import Database
from cti.storage import SeatSession, SeatState
from tests.chaos import centre
from tests.chaos.booked import BookedCall, of_database
from tests.chaos.centre import Agents
from tests.chaos.compare import Difference, Truth, Verdict, compare
from tests.chaos.mortal import DEATH
from tests.chaos.product import Product
from tests.peers.postgres_server import PostgresServer
from tests.peers.redis_server import RedisServer
from tests.synthetic.pbx import SyntheticPbx

BACK_AFTER_S: Final = 0.3
SETTLE_S: Final = 20.0
IN_A_CALL: Final = frozenset({"ringing", "talking", "held"})
ALWAYS: Final = (
    "kill main", "kill reader", "kill both", "freeze main", "cut", "half-open", "hold", "manner", "disk full", "restart",
)  # fmt: skip
PATIENCE_S: Final = 130.0
HEARD: Final = ("clock", "hold")
"""Nothing goes unheard in these. The PBX's clock is set only here: how a gap is filled whose ends are told by two clocks is not mended."""
WITH_SERVERS: Final = ("postgres", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How much of it. `faults`: which, in an order drawn from the seed, again and again, one every `every_s` seconds."""

    calls: int
    rate: float
    agents: int
    seed: int
    faults: tuple[str, ...] = ()
    every_s: tuple[float, float] = (2.0, 5.0)
    moves: bool = True
    burst: int = 0  # calls at 200 a second while the main process is frozen


@dataclass(slots=True)
class Run:
    """The parts, and what was done to them."""

    folder: Path
    shape: Shape
    database: str
    bus: str = "memory"
    postgres: PostgresServer | None = None
    redis: RedisServer | None = None
    sentences: list[tuple[str, int]] = field(default_factory=list)  # points of a write at which the product dies, one start each
    reader_sentences: list[tuple[str, int]] = field(default_factory=list)
    done: list[tuple[float, str]] = field(default_factory=list)
    pbx: SyntheticPbx = field(init=False)
    product: Product = field(init=False)
    agents: Agents = field(init=False)
    rng: random.Random = field(init=False)
    ledger: Path = field(init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _over: bool = False
    _quiet: bool = False  # nothing more is broken
    _shifted: float = 0.0
    _sentenced: int = 0  # how often the product has to die
    _patience: float = 0.0

    async def go(self) -> Verdict:
        """Everything, from the first row to the last comparison."""
        await self.prepare()
        self._sentenced, self._patience = len(self.sentences), time.monotonic() + PATIENCE_S
        keeper = asyncio.create_task(self._keep_alive())
        try:
            await self.agents.arrive()
            await self._members()
            if self.sentences:
                await self.product.kill()
            await self._call()
            return await self._judge()
        finally:
            self._over = True
            keeper.cancel()
            await self.agents.close()
            await self.product.stop()
            await self.pbx.stop()

    async def ask(self, **what: Any) -> dict[str, Any]:
        """One question to the PBX at a time."""
        async with self._asking:
            return await self.pbx.ask(**what)

    async def prepare(self) -> None:
        """PBX and product run, nobody sits anywhere."""
        self.rng = random.Random(self.shape.seed)
        secret = secrets.token_urlsafe(12)
        rows = await centre.make(self.database, self.shape.agents)
        self.ledger = self.folder / "ledger.jsonl"
        self.pbx = await SyntheticPbx.start(
            secret=secret, phones=list(rows.seats), queues=centre.queues(), ledger=str(self.ledger), records=str(self.folder / "records"),
            seed=self.shape.seed,
        )  # fmt: skip
        port = int((await self.pbx.hear())["port"])
        books = str(self.folder / "records")
        self.product = Product(self.folder / "home", self.database, self.bus, port, secret, books)
        self.agents = Agents(rows, self.product.url)
        await self.product.start()
        await self.product.ready()

    async def _start_product(self) -> None:
        """Start it; as long as there are sentences, with the next one."""
        if self.sentences:
            point, passes = self.sentences.pop(0)
            self.done.append((time.time(), f"{point} {passes}"))
            await self.product.start(("tests.chaos.mortal", point, str(passes)))
        else:
            await self.product.start()

    async def _keep_alive(self) -> None:
        """The service manager: whatever ends is started again."""
        while not self._over:
            if not self.product.running:
                self.product.note_end()
                await asyncio.sleep(BACK_AFTER_S)
                await self._before_start()
                await self._start_product()
            await asyncio.sleep(0.05)

    async def _before_start(self) -> None:
        """As long as there are sentences for readers, the product finds one that has been sentenced."""
        if self.reader_sentences and not self.sentences:
            point, passes = self.reader_sentences.pop(0)
            self.done.append((time.time(), f"{point} {passes}"))
            self.product.kill_reader()
            await self.product.adopt_reader(point, passes)

    async def _members(self) -> None:
        """Wait until every agent is a member of their queues, and may be rung."""
        wanted = sum((2, 1, 1)[n % 3] for n in range(self.shape.agents))
        deadline = time.monotonic() + 20
        while (state := await self.ask(do="state"))["open_members"] != wanted:
            assert time.monotonic() < deadline, f"{state['open_members']} of {wanted} members are open"
            await asyncio.sleep(0.1)

    # -------------------------------------------------------------------------------------------------------- the calls

    async def _call(self) -> None:
        shape = self.shape
        mix = {"queues": [name for name, _ in centre.QUEUES], "empty": centre.EMPTY}
        await self.ask(do="calls", count=shape.calls, rate=shape.rate, mix=mix, seed=shape.seed)
        around = [asyncio.create_task(self._break()), asyncio.create_task(self._move())]
        try:
            while (await self.ask(do="state"))["to_come"] or self._sentences_stand():
                await asyncio.sleep(0.2)
                if not (await self.ask(do="state"))["to_come"] and self._sentences_stand():
                    await self.ask(do="calls", count=10, rate=shape.rate, mix=mix, seed=self.rng.getrandbits(32))
        finally:
            self._quiet = True
            await asyncio.gather(*around)
        await self._whole_again()
        deadline = time.monotonic() + 60
        while (state := await self.ask(do="state"))["live"]:
            assert time.monotonic() < deadline, f"calls that never end: {state['channels'][:6]}"
            await asyncio.sleep(0.2)

    def _sentences_stand(self) -> bool:
        """Somebody has still to die, so people go on calling; on a slow machine that takes longer."""
        return time.monotonic() < self._patience and (bool(self.sentences) or self.product.codes.count(DEATH) < self._sentenced)

    async def _break(self) -> None:
        """Break something every few seconds, as long as people call."""
        todo: list[str] = []
        while not self._quiet and self.shape.faults:
            await asyncio.sleep(self.rng.uniform(*self.shape.every_s))
            if self._quiet:
                return
            if not todo:
                todo = list(self.shape.faults)
                self.rng.shuffle(todo)
            name = todo.pop()
            self.done.append((time.time(), name))
            await self._faults()[name]()

    def _faults(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        ask, rng = self.ask, self.rng
        return {
            "kill main": self.product.kill,
            "kill reader": self._kill_reader,
            "kill both": self._kill_both,
            "freeze main": self._freeze,
            "cut": lambda: ask(do="fault", name="cut"),
            "half-open": lambda: ask(do="fault", name="half-open"),
            "hold": lambda: ask(do="fault", name="hold", seconds=rng.uniform(0.5, 2.0)),
            "manner": self._babble,
            "disk full": lambda: self.product.fill_disk(2.0),
            "clock": self._shift,
            "restart": lambda: ask(do="fault", name="restart", down_s=rng.uniform(1.1, 2.5)),
            "postgres": lambda: self._server(self.postgres),
            "redis": lambda: self._server(self.redis),
        }

    async def _kill_reader(self) -> None:
        self.product.kill_reader()

    async def _kill_both(self) -> None:
        self.product.kill_reader()
        await self.product.kill()

    async def _freeze(self) -> None:
        self.product.freeze()
        if self.shape.burst:
            mix = {"queues": [name for name, _ in centre.QUEUES], "empty": centre.EMPTY, "length": 0.5}
            await self.ask(do="calls", count=self.shape.burst, rate=200.0, mix=mix, seed=self.rng.getrandbits(32))
        await asyncio.sleep(5.0)
        self.product.thaw()

    async def _babble(self) -> None:
        await self.ask(do="fault", name="manner", repeat=0.3, reorder_s=0.05)
        await asyncio.sleep(3.0)
        await self.ask(do="fault", name="manner")

    async def _shift(self) -> None:
        by = -self._shifted or self.rng.choice((-3600.0, 3600.0))
        self._shifted += by
        await self.ask(do="fault", name="clock", by=by)

    async def _server(self, server: PostgresServer | RedisServer | None) -> None:
        assert server is not None
        server.kill()
        await asyncio.sleep(self.rng.uniform(0.5, 2.0))
        server.start()  # in this thread: it ends with the thread that started it

    async def _move(self) -> None:
        """Now and then somebody leaves a seat, and sits down at another one."""
        while self.shape.moves and not self._quiet:
            await asyncio.sleep(self.rng.uniform(0.5, 2.0))
            agent = self.rng.choice(self.agents.all)
            if agent.seat:
                await self.agents.get_up(agent)
            for one in [one for one in self.agents.all if not one.seat]:
                taken = {other.seat for other in self.agents.all}
                await self.agents.sit(one, self.rng.choice([seat for seat in self.agents.rows.seats if seat not in taken]))

    async def _whole_again(self) -> None:
        """No more faults: everything runs, and everybody sits."""
        if self._shifted:
            await self._shift()
        deadline = time.monotonic() + 60
        while not self.product.running:
            assert time.monotonic() < deadline, self.product.log()[-3000:]
            await asyncio.sleep(0.1)
        await self.product.ready()

    # -------------------------------------------------------------------------------------------------------- the books

    async def _judge(self) -> Verdict:
        """Wait until nothing is missing any more, or no longer; then everything is looked at."""
        database = Database(self.database)
        try:
            deadline = time.monotonic() + SETTLE_S
            while True:
                verdict = self._compare(await of_database(database))
                left = await self._left_over(database)
                if (not verdict.differences and not left) or time.monotonic() > deadline:
                    verdict.differences += left
                    return verdict
                await asyncio.sleep(0.5)
        finally:
            await database.close()

    def _compare(self, booked: list[BookedCall]) -> Verdict:
        truth = Truth.of(self.ledger)
        truth.kills = self.product.kills
        truth.gape(self.product.holes)
        return compare(truth, booked, self.agents.who, covered=True)

    async def _left_over(self, database: Database) -> list[Difference]:
        """Seats still in a call, states without end, members that nobody lets in."""
        async with database.read() as db:
            query = select(SeatState.session_id, SeatState.state, SeatSession.extension, SeatSession.signed_out_at)
            query = query.join(SeatSession, SeatSession.id == SeatState.session_id).where(SeatState.to_at.is_(None))
            rows = (await db.execute(query)).all()
        found = [Difference("-", "seat", row.extension, "in no call", row.state) for row in rows if row.state in IN_A_CALL]
        found += [Difference("-", "seat", row.extension, "signed out", row.state) for row in rows if row.signed_out_at is not None]
        sessions = [row.session_id for row in rows]
        found += [
            Difference("-", "seat", row.extension, "one state", sessions.count(row.session_id))
            for row in rows
            if sessions.count(row.session_id) > 1
        ]
        state = await self.ask(do="state")
        if state["members"] != state["open_members"]:
            found.append(Difference("-", "members", "may be rung", state["members"], state["open_members"]))
        return found

    def report(self, verdict: Verdict) -> str:
        """What differs, and how it came to it."""
        start = self.done[0][0] if self.done else 0.0
        faults = ", ".join(f"{at - start:.1f} {name}" for at, name in self.done)
        return f"seed {self.shape.seed}\n{verdict.table()}\nfaults (seconds after the first): {faults}\nkept in {self.folder}"
