"""The process: one synthetic PBX, told what to do on its standard input.

    python -m tests.synthetic.pbx      settings as its first line, then one command a line, each answered by one line; all of it JSON

Settings: `secret`, `phones` (extensions), `queues` (name, ring_s, retry_s, max_wait_s), `ledger` (a file), `records` (a folder, or
nothing), `seed`. The first answer is the port. Commands (`do`): calls, state, phones, fault. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

from config.bench.processes import Helper, asked, say, settings_line
from tests.synthetic.books import RecordFiles
from tests.synthetic.clockwork import Clockwork
from tests.synthetic.exchange import Exchange
from tests.synthetic.faults import Ears, Manner, Mouth
from tests.synthetic.floor import Queue
from tests.synthetic.plans import Mix, draw
from tests.synthetic.server import Server


class SyntheticPbx(Helper):
    """The process, seen from outside. Its answer to the first line is its port."""

    MODULE = "tests.synthetic.pbx"


class Pbx:
    """Everything together, beside the real time."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._ledger = Path(settings["ledger"]).open("a", buffering=1)  # noqa: SIM115 - open as long as the process lives
        self._mouth = Mouth(settings["seed"])
        self._records = RecordFiles(Path(settings["records"])) if settings.get("records") else None
        self.exchange = Exchange(
            self._hear, self._write, clock=time.time, queues=[Queue(**queue) for queue in settings["queues"]], phones=settings["phones"],
            seed=settings["seed"], records=self._records,
        )  # fmt: skip
        self.server = Server(
            self.exchange.actions, settings["secret"], Ears(told=self.exchange.ledger.gap), time.time, self._turn_soon
        )
        self._world = Clockwork(time.time)  # who calls, whether or not there is a PBX to take it
        self._rng = random.Random(settings["seed"])
        self._turning: asyncio.Handle | None = None
        self._down = False
        self.placed = self.to_come = 0

    def _write(self, line: dict[str, Any]) -> None:
        self._ledger.write(json.dumps(line) + "\n")

    def _hear(self, kind: str, text: str, key: str) -> None:
        self._mouth.say(time.time(), kind, text, key)

    # ------------------------------------------------------------------------------------------------------------- time

    def _turn_soon(self) -> None:
        """Go on with whatever is due, as soon as the loop comes to it."""
        if self._turning is not None:
            self._turning.cancel()
        self._turning = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        now = time.time()
        self._world.run(now)
        if not self._down:
            self.exchange.work.run(now)
            if said := self._mouth.due(time.time()):
                self.server.tell(said)
        due = [at for at in (self._world.next_at, self.exchange.work.next_at, self._mouth.next_at) if at is not None]
        if self._turning is not None:
            self._turning.cancel()
        wait = max(min(due, default=now + 1.0) - time.time(), 0.0)
        self._turning = asyncio.get_running_loop().call_later(wait, self._turn)

    # --------------------------------------------------------------------------------------------------------- commands

    async def do(self, what: dict[str, Any]) -> dict[str, Any]:
        """One command."""
        name = what.pop("do")
        done: dict[str, Any] = await getattr(self, f"_do_{name}")(**what)
        self._turn_soon()
        return done

    async def _do_calls(self, count: int, rate: float, mix: dict[str, Any], seed: int) -> dict[str, Any]:
        """Let `count` people call, `rate` a second."""
        plans = draw(Mix(queues=tuple(mix["queues"]), empty=mix["empty"], length=mix.get("length", 1.0)), random.Random(seed))
        self.to_come += count

        def arrivals() -> Any:
            for _ in range(count):
                yield self._rng.expovariate(rate)
                self.to_come -= 1
                plan = next(plans)
                if not self._down:
                    self.exchange.place(plan)
                    self.placed += 1

        self._world.start(arrivals())
        return {}

    async def _do_state(self) -> dict[str, Any]:
        """How it stands."""
        exchange, floor = self.exchange, self.exchange.floor
        return {
            "live": len(exchange.ledger.open), "placed": self.placed, "to_come": self.to_come, "written": exchange.ledger.written,
            "members": sum(len(queue.members) for queue in floor.queues.values()), "listeners": len(self.server.sessions),
            "open_members": sum(not m.paused for queue in floor.queues.values() for m in queue.members.values()),
            "too_slow": self.server.too_slow, "asked": exchange.actions.counted, "channels": [short_of(c) for c in floor.channels.values()],
        }  # fmt: skip

    async def _do_phones(self, seats: list[str], there: bool) -> dict[str, Any]:
        """Phones register, or go."""
        for seat in seats:
            self.exchange.floor.register(seat, there)
        return {}

    async def _do_fault(self, name: str, **how: Any) -> dict[str, Any]:
        """Break something."""
        if name not in ("clock", "restart"):
            self.exchange.ledger.fault(time.time(), name, **how)
        match name:
            case "cut":
                self.server.cut()
            case "half-open":
                self.server.half_open()
            case "hold":
                self.server.hold(how["seconds"])
            case "manner":
                self._mouth.manner = Manner(**how)
            case "clock":
                self.exchange.shift_clock(how["by"])
            case "restart":
                await self._restart(how["down_s"])
        return {}

    async def _restart(self, down_s: float) -> None:
        self._down = True
        self.exchange.ledger.fault(time.time(), "restart", down_s=down_s)
        self._mouth.forget()
        self.server.shut()
        self.exchange.stop()
        await asyncio.sleep(down_s)
        self.exchange.boot()
        self._down = False
        await self.server.open()


def short_of(c: Any) -> dict[str, Any]:
    """A channel in short."""
    return {"name": c.name, "state": c.state, "call": c.linkedid}


async def serve() -> None:
    """Listen, say where, and do what is told until nobody tells any more."""
    pbx = Pbx(settings_line())
    await pbx.server.open()
    lines = await asked()
    say(port=pbx.server.port)
    while line := await lines.readline():
        say(**(await pbx.do(json.loads(line))))


if __name__ == "__main__":
    asyncio.run(serve())
