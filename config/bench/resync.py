"""`resync`: thousands of seats and many calls, the line to the PBX is cut, much happens meanwhile: how soon the board is right again.

The product's own line with its driver and its reader stands before a synthetic PBX. What is timed begins when the PBX says to the
account that hears events that it is up, and ends when the board has taken in how things stand; then it is compared with the truth, seat
by seat, call by call, member by member.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from config.bench.processes import HelperFailed
from config.bench.results import Result, Tell
from config.bench.standing_pbx import RINGING, TALKING, WAITING, StandingPbx
from config.bench.watch import Watch
from config.tidy import set_up
from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.ids import IdMaker
from cti.domain.board import CallBoard
from cti.domain.leg import LegPhase
from cti.events import PbxLinkChanged
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.ports import Member
from cti.services.lines import PbxLine

REACH_S: Final = 1.0
QUEUES: Final = 12
FIRST_SEAT: Final = 10_001
CHANGED: Final = 0.1  # of the calls, while nobody hears
PATIENCE_S: Final = 90.0
LOOK_S: Final = 0.05
_PHASE: Final = {RINGING: LegPhase.RINGING, TALKING: LegPhase.CONNECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    seats: int
    calls: int
    cuts: int
    most_tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut: seconds from the PBX's word that it is up until the line knew that, and until the board was right; and what was not."""

    up_s: float
    right_s: float
    wrong: tuple[str, ...]


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    plan = Plan(seats=120, calls=60, cuts=1, most_tries=1) if quick else Plan(seats=3000, calls=1500, cuts=7, most_tries=20)
    set_up()
    watch, centre = Watch(), Centre(folder / "resync", plan)
    async with AsyncExitStack() as stack:
        for part in (watch, centre):
            stack.push_async_callback(part.stop)
        tell(f"{plan.seats:,} seats become members of their queues, {plan.calls:,} people call")
        await centre.start()
        await watch.start()
        good, noisy = list[Cut](), list[Cut]()
        for _ in range(plan.most_tries):
            await watch.begin_span()
            cut = await centre.cut()
            quiet = await watch.end_span()
            (good if quiet else noisy).append(cut)
            tell(
                f"right again after {cut.right_s * 1000:.0f} ms, {len(cut.wrong)} differences"
                + ("" if quiet else "; too noisy, does not count")
            )
            if len(good) == plan.cuts:
                break
        return [_result(plan, good or noisy, [*good, *noisy], len(good) < plan.cuts, watch)]


def _result(plan: Plan, cuts: Sequence[Cut], every: Sequence[Cut], void: bool, watch: Watch) -> Result:
    took, wrong = median(cut.right_s for cut in cuts), [what for cut in every for what in cut.wrong]
    return Result(
        name="resync", value=round(took * 1000), unit="ms", runs=len(cuts), noise=watch.heard(), void=void,
        reach=f"the board equal to the truth <= {REACH_S:g} s after the PBX is up", met=took <= REACH_S and not wrong,
        parts={"seats": plan.seats, "calls": plan.calls, "up_ms": round(median(cut.up_s for cut in cuts) * 1000),
               "each": [round(cut.right_s * 1000) for cut in cuts], "differences": len(wrong), "first": wrong[:3]},
    )  # fmt: skip


class Centre:
    """The PBX and the product's line to it."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        seats = [str(FIRST_SEAT + n) for n in range(plan.seats)]
        self._queues = {
            seat: [f"q{n % QUEUES:02}", f"q{(n + 1 + n // QUEUES % (QUEUES - 1)) % QUEUES:02}"] for n, seat in enumerate(seats)
        }
        self._members = [
            Member(queue=queue, extension=seat, name=f"Agent {seat}", penalty=0, paused=False, reason="")
            for seat, queues in self._queues.items()
            for queue in queues
        ]
        self._work: asyncio.Task[None] | None = None
        self._agreed = asyncio.Event()
        self._agreed.set()  # nothing is waited for yet
        self._agreed_at = self._up_at = 0.0
        self._truth: dict[str, Any] = {}
        self._wrong: tuple[str, ...] = ()

    async def start(self) -> None:
        """Start both, with every member in its queues and every call on the board."""
        shutil.rmtree(self._folder, ignore_errors=True)
        secret = secrets.token_urlsafe(12)
        self._pbx = await StandingPbx.start(secret=secret, seats=self._queues, anybody=False, seed=1)
        driver = AsteriskDriver(
            host="127.0.0.1", port=await self._pbx.port(), user="lingxi", secret=secret, journal=self._folder / "journal"
        )
        clock, bus = SystemClock(), MemoryBus()
        bus.subscribe("unit.1.pbx.1.pbx", self._hear)
        self._line = PbxLine(
            unit_id=1,
            pbx_id=1,
            name="bench",
            driver=driver,
            bus=bus,
            clock=clock,
            new_id=IdMaker(clock),
            members=lambda _: self._members,
        )
        self._line.on_agreed = self._note
        self._work = asyncio.create_task(self._line.run())
        await self._until(self._members_ready)
        await self._pbx.ask(do="begin", count=self._plan.calls)
        await self._until(lambda: len(self._line.board.calls()) == self._plan.calls)

    def _members_ready(self) -> bool:
        """All members are in their queues and want calls, as far as the board knows."""
        return sum(not seen.paused for seen in self._line.board.members()) == len(self._members)

    async def _until(self, holds: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE_S / LOOK_S)):
            if self._work is not None and self._work.done():
                await self._work  # what went wrong is raised
            if holds():
                return
            await asyncio.sleep(LOOK_S)
        raise HelperFailed(f"The line to the PBX did not come to rest within {PATIENCE_S:g} s.")

    def _hear(self, _topic: str, event: object) -> None:
        if isinstance(event, PbxLinkChanged) and event.up:
            self._up_at = time.monotonic()

    def _note(self, _line: PbxLine, _at: float | None) -> None:
        if not self._agreed.is_set():
            self._agreed_at = time.monotonic()
            self._wrong = tuple(differences(self._line.board, self._truth))
            self._agreed.set()

    async def cut(self) -> Cut:
        """Cut the line, let things happen, let the product come back."""
        self._truth = await self._pbx.ask(do="cut", change=CHANGED)
        await self._until(lambda: not self._line.up)
        await asyncio.sleep(0.3)
        self._agreed.clear()
        await self._pbx.ask(do="open")
        await asyncio.wait_for(self._agreed.wait(), PATIENCE_S)
        begun = (await self._pbx.ask(do="state"))["booted_at"]
        await self._until(self._members_ready)
        return Cut(up_s=self._up_at - begun, right_s=self._agreed_at - begun, wrong=self._wrong)

    async def stop(self) -> None:
        """End both."""
        if self._work is not None:
            await self._line.close()
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        if hasattr(self, "_pbx"):
            await self._pbx.stop()


def differences(board: CallBoard, truth: dict[str, Any]) -> Iterator[str]:
    """In what the board is not as things are."""
    calls = truth["calls"]
    legs = {call["call"]: True for call in calls} | {
        call["leg"]: call["phase"] == TALKING for call in calls if call["phase"] != WAITING
    }
    there = board.standing()
    yield from (f"leg {name}" for name in legs.keys() | there.keys() if legs.get(name) != there.get(name))
    at_seats = {call["seat"]: call for call in calls if call["phase"] != WAITING}
    for seat in at_seats.keys() | board.busy_extensions():
        parts, call = board.at_extension(seat), at_seats.get(seat)
        if call is None or [(part.phase, part.caller, part.leg) for part in parts] != [
            (_PHASE[call["phase"]], call["number"], call["leg"])
        ]:
            yield f"seat {seat}"
    lines = {(call["queue"], call["number"]) for call in calls if call["phase"] != TALKING}
    yield from (f"line {queue}" for queue, _ in lines ^ {(wait.queue, wait.caller) for wait in board.waiting()})
    members = {(queue, seat, paused) for queue, seat, paused in truth["members"]}
    yield from (f"member {one}" for one in members ^ {(seen.queue, seen.extension, seen.paused) for seen in board.members()})
    away = set(truth["away"])
    seats = {seat for _, seat, _ in members}
    yield from (f"phone {seat}" for seat in seats if board.registered(seat) is (seat in away))
