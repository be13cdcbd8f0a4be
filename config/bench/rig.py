"""What stands around the product while a pop is measured: a synthetic PBX, the product, its consoles; and the same with the bare relay.

It starts and ends them, sends calls through and compares what the consoles saw with the PBX's ledger. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.bench import centre
from config.bench.consoles import Consoles
from config.bench.customers import sqlite_file
from config.bench.processes import Memory, memory_of
from config.bench.product import Product
from config.bench.relay import Relay
from config.bench.results import Tell
from config.bench.synthetic_pbx import SyntheticPbx

RING_S: Final = 0.5
SETTLE_S: Final = 0.3
LATE_S: Final = 6.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came of a span of calls, by the ledger: how long each pop took, and what went wrong."""

    latencies_ms: list[float] = field(default_factory=list)
    cards_ms: list[float] = field(default_factory=list)
    placed: int = 0
    lost: int = 0
    wrong: int = 0
    starved: int = 0
    cards: int = 0
    wrong_cards: int = 0
    messages: int = 0
    cut: int = 0
    cpu: float = 0.0
    cpu_reader: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the installation is."""

    consoles: int
    customers: int
    callers: int


class Side:
    """One PBX with what listens to it and the consoles behind that."""

    def __init__(self, seats: dict[str, list[str]], numbers: list[tuple[str, frozenset[str]]]) -> None:
        self.seats = seats
        self.secret = secrets.token_urlsafe(12)
        self.numbers, self._whose = numbers, dict(numbers)
        self._next = 0
        self.pbx: SyntheticPbx
        self.consoles: Consoles
        self._runs = 0

    async def listen(self, *, anybody: bool) -> int:
        """Start the PBX; its port."""
        self.pbx = await SyntheticPbx.start(secret=self.secret, seats=self.seats, anybody=anybody)
        return await self.pbx.port()

    async def open_consoles(self, port: int, cookies: dict[str, str]) -> None:
        """Open every console."""
        self.consoles = await Consoles.start(port=port, cookies=cookies)
        await self.consoles.open()

    def _take_numbers(self, count: int) -> list[str]:
        found = [self.numbers[(self._next + n) % len(self.numbers)][0] for n in range(count)]
        self._next += count
        return found

    async def calls(self, *, rate: float, seconds: float, talk_s: float, seed: int, ring_s: float = RING_S) -> Seen:
        """Send calls through and say what came of them."""
        self._runs += 1
        numbers = self._take_numbers(int(rate * seconds * 1.5) + 10)
        await self.consoles.seen()
        told = await self.pbx.calls(
            rate=rate, seconds=seconds, talk_s=talk_s, ring_s=ring_s, run=f"run{self._runs}", numbers=numbers, seed=seed
        )
        return self._compare(told, await self._seen_of(told))

    async def _seen_of(self, told: dict[str, Any]) -> dict[str, Any]:
        """What the consoles saw; whoever is late is given LATE_S before their call counts as lost."""
        await asyncio.sleep(SETTLE_S)
        seen = await self.consoles.seen()
        for _ in range(int(LATE_S / SETTLE_S)):
            names = {row["name"] for row in map(_row_of, seen["shown"]) if row}
            if all(entry[0] in names for entry in told["ledger"]):
                break
            await asyncio.sleep(SETTLE_S)
            more = await self.consoles.seen()
            seen = {**more, **{what: seen[what] + more[what] for what in ("shown", "messages", "bytes")}}
        return seen

    def _compare(self, ledger: dict[str, Any], seen: dict[str, Any]) -> Seen:
        found = Seen(placed=ledger["placed"], starved=ledger["starved"], messages=seen["messages"], cut=seen["cut"])
        shown: dict[str, list[tuple[float, str, dict[str, Any]]]] = {}
        for at, seat, payload in seen["shown"]:
            if row := _row_of((at, seat, payload)):
                shown.setdefault(row["name"], []).append((at, seat, row))
        for name, seat, number, left_at in ledger["ledger"]:
            mine = [one for one in shown.pop(name, []) if one[1] == seat or self._count_wrong(found)]
            if not mine:
                found.lost += 1
                continue
            found.latencies_ms.append((mine[0][0] - left_at) * 1000)
            self._judge_card(found, mine, left_at, self._whose[number])
        found.wrong += len(shown)
        return found

    @staticmethod
    def _count_wrong(found: Seen) -> bool:
        found.wrong += 1
        return False

    @staticmethod
    def _judge_card(found: Seen, mine: list[tuple[float, str, dict[str, Any]]], left_at: float, owners: frozenset[str]) -> None:
        for at, _, row in mine:
            if row.get("looked_up"):
                found.cards += 1
                found.cards_ms.append((at - left_at) * 1000)
                found.wrong_cards += frozenset(match["customer_id"] for match in row["matches"]) != owners
                return

    async def stop(self) -> None:
        """End PBX and consoles."""
        for helper in (getattr(self, "consoles", None), getattr(self, "pbx", None)):
            if helper is not None:
                await helper.stop()


def _row_of(shown: tuple[float, str, str]) -> dict[str, Any] | None:
    """The row of a call in a message, None where it only went away."""
    return next((dict(row) for table, _, row in json.loads(shown[2])["put"] if table == "calls"), None)


class ProductSide(Side):
    """The product with its PBX and its consoles."""

    def __init__(self, size: Size, folder: Path, file: Path, made: centre.Centre) -> None:
        super().__init__(made.seats, made.numbers)
        self.size, self._folder, self._file, self._made = size, folder, file, made
        self.module: tuple[str, ...] = ("config.main", "run")
        self.product: Product

    @classmethod
    async def make(cls, folder: Path, size: Size, tell: Tell) -> ProductSide:
        """Prepare the database; nothing runs yet."""
        tell(f"Preparing {size.customers:,} customers and {size.consoles:,} signed-in agents")
        file = await sqlite_file(folder, size.customers)
        return cls(size, folder, file, await asyncio.to_thread(centre.make, file, size.consoles, size.callers))

    async def start(self) -> None:
        """Start everything, and wait until every member is in its queues and every console has its snapshot."""
        port = await self.listen(anybody=False)
        self.product = Product(self._folder / "home", self._file, port, self.secret)
        await self.product.start(self.module)
        wanted = sum(len(queues) for queues in self.seats.values())
        while (await self.pbx.ask(do="state"))["members"] < wanted:  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(0.2)
        await self.open_consoles(self.product.port, self._made.cookies)

    async def measured_calls(self, *, rate: float, seconds: float, talk_s: float, seed: int) -> Seen:
        """`calls`, with the processor time of the product once calls end as often as they begin."""
        steady = min(seconds * 0.6, RING_S + talk_s + centre.WRAP_UP_S)
        watching = asyncio.create_task(self._cpu_between(steady, seconds))
        found = await self.calls(rate=rate, seconds=seconds, talk_s=talk_s, seed=seed)
        found.cpu, found.cpu_reader, found.waited = await watching
        return found

    async def _cpu_between(self, first: float, last: float) -> tuple[float, float, float]:
        """Of each second: how much the main process ran, how much its reader, how much the loop waited for a core."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(first)
        before, at = (*self.product.cpu_s(), self.product.waited_s()), loop.time()
        await asyncio.sleep(last - first)
        after, passed = (*self.product.cpu_s(), self.product.waited_s()), loop.time() - at
        ran, read, waited = ((b - a) / passed for a, b in zip(before, after, strict=True))
        return ran, read, waited

    def memory(self) -> Memory:
        """Of the main process."""
        return memory_of(self.product.pid)

    async def stop(self) -> None:
        """End everything."""
        if hasattr(self, "product"):
            await self.product.stop()
        await super().stop()


class RelaySide(Side):
    """The bare relay with its PBX and its consoles."""

    async def start(self) -> None:
        """Start everything."""
        self.relay = await Relay.start(secret=self.secret, pbx_port=await self.listen(anybody=True))
        await self.open_consoles(await self.relay.port(), {seat: seat for seat in self.seats})

    async def stop(self) -> None:
        """End everything."""
        if hasattr(self, "relay"):
            await self.relay.stop()
        await super().stop()
