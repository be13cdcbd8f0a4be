"""What the board and the PBX do not agree on is found, healed with its reason, and an event on its way is left alone; late events alarm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count

import pytest
from structlog.testing import capture_logs

from config.demo.callers import Caller
from config.demo.phones import Habit
from crm_core.kernel.bus import MemoryBus
from crm_core.kernel.clock import SystemClock
from cti.domain.board import CallBoard
from cti.events import CallEnded
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx_events import Endpoint, LegAnswered, LegEnded, LegStarted, Party
from cti.ports import Batch, Member
from cti.services.drift import Drift, differences
from cti.services.lag import FOR_S, LATE_S, WINDOW_S, Lag
from cti.services.lines import PbxLine
from tests.lab.asterisk_lab import MANAGER, AsteriskLab, asterisk_lab  # noqa: F401  # a fixture is found by its name


@pytest.mark.parametrize(
    ("board", "pbx", "found"),
    [
        ({}, {}, {}),
        ({"a": True, "b": None}, {"a": True, "b": False}, {}),
        ({"a": True}, {}, {"a": "the PBX has no such leg"}),
        ({}, {"a": False}, {"a": "the board has no such leg"}),
        ({"a": False}, {"a": True}, {"a": "answered, and the board has not heard of it"}),
        ({"a": True}, {"a": False}, {"a": "not answered, and the board believes so"}),
    ],
)
def test_differences(board: Mapping[str, bool | None], pbx: Mapping[str, bool], found: Mapping[str, str]) -> None:
    assert differences(board, pbx) == found


class Answers:
    """A driver that is only asked who stands there."""

    def __init__(self, *answers: Mapping[str, bool]) -> None:
        self.answers = list(answers)

    async def standing(self) -> Mapping[str, bool]:
        return self.answers.pop(0)


def board_with(*legs: str) -> CallBoard:
    board = CallBoard(1, 1, "boot", count(1).__next__)
    for leg in legs:
        trunk = Endpoint(party=Party.TRUNK, name="carrier")
        board.apply(LegStarted(call=leg, leg=leg, endpoint=trunk, number="1", name="", dialed="2", inward=True, at=1.0))
        board.apply(LegAnswered(leg=leg, at=1.0))
    return board


def drift(board: CallBoard, *answers: Mapping[str, bool]) -> tuple[Drift, list[int]]:
    healed: list[int] = []

    async def heal() -> None:
        healed.append(1)

    return Drift("demo", Answers(*answers), board, heal), healed  # type: ignore[arg-type]


async def test_a_difference_seen_once_is_an_event_on_its_way() -> None:
    one, healed = drift(board_with("a"), {"a": True, "b": True}, {"a": True}, {"a": True, "b": True})
    for _ in range(3):
        await one.compare()
    assert healed == []


async def test_a_difference_seen_twice_is_healed_with_its_reason() -> None:
    one, healed = drift(board_with("a"), {}, {}, {"a": True})
    with capture_logs() as logs:
        for _ in range(3):
            await one.compare()
    assert healed == [1] and one.healed == 1
    assert [line["why"] for line in logs] == [{"a": "the PBX has no such leg"}]


# --------------------------------------------------------------------------------------------------------------------------- lag


def test_late_events_alarm_after_a_while_and_no_longer_once_they_come_in_time() -> None:
    lag = Lag()
    for n in range(10):
        lag.heard(at=100.0 + n, now=100.02 + n)
    assert lag.seconds < 0.01 and not lag.alarming(110)
    for n in range(10, 14):
        lag.heard(at=100.0 + n - LATE_S - 0.5, now=100.02 + n)
    assert lag.seconds == pytest.approx(LATE_S + 0.5)
    assert not lag.alarming(111) and lag.alarming(110.02 + FOR_S)
    lag.heard(at=115, now=115.02)
    assert not lag.alarming(115.02)


@pytest.mark.parametrize("apart", [-3600.0, -1.0, 0.0, 7.0, 3600.0])
def test_a_clock_set_apart_is_no_lag(apart: float) -> None:
    lag = Lag()
    for n in range(200):
        lag.heard(at=1000.0 + n - apart, now=1000.01 + n)
    assert lag.seconds < 0.001 and lag.apart_s == pytest.approx(apart + 0.01)
    assert not lag.alarming(1200 + WINDOW_S)


# --------------------------------------------------------------------------------------------- a real PBX whose word was lost


class Deaf(AsteriskDriver):
    """Loses what it is told to lose."""

    deaf_to: Callable[[object], bool] = staticmethod(lambda _event: False)

    async def _vouched(self, batch: Batch) -> Batch:
        heard = [event for event in batch.events if not self.deaf_to(event)]
        return await super()._vouched(Batch(events=heard, position=batch.position, rebuilt=batch.rebuilt, unheard=batch.unheard))


async def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.05)


@pytest.mark.pbx
async def test_a_lost_hang_up_leaves_no_call_standing(asterisk_lab: AsteriskLab, tmp_path: object) -> None:  # noqa: F811
    lab, bus, ended = asterisk_lab, MemoryBus(), list[CallEnded]()
    driver = Deaf(host="127.0.0.1", port=lab.ports.ami, user=MANAGER.user, secret=MANAGER.secret, journal=tmp_path / "journal")  # type: ignore[operator]
    seat = Member(queue="support", extension="1021", name="Desk 1021")
    line = PbxLine(
        unit_id=1, pbx_id=1, name="lab", driver=driver, bus=bus, clock=SystemClock(), new_id=count(1).__next__, members=lambda _: [seat]
    )  # fmt: skip
    bus.subscribe("unit.1.pbx.1.call.ended", lambda _, event: ended.append(event))  # type: ignore[arg-type, return-value]
    phone = lab.phones(["1021"], Habit(ring_s=(0.3, 0.3)))
    await phone.start()
    work = asyncio.create_task(line.run())
    try:
        await until(lambda: line.up)
        driver.deaf_to = lambda event: isinstance(event, LegEnded)
        calling: Awaitable[object] = lab.callers.call(Caller(number="13900000021", to="8001", hold_s=1.5))
        await calling
        assert len(line.board.calls()) == 1, "the end was not heard"
        gone_at = time.time()
        with capture_logs() as logs:
            await until(lambda: ended)
        assert time.time() - gone_at < 15
        assert [event.fact.outcome for event in ended] == ["answered"] and ended[0].fact.unobserved
        assert any("brought in line" in line["event"] for line in logs)
    finally:
        await line.close()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await phone.unregister()
