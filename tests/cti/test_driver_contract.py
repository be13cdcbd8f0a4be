"""What every line to a PBX promises, proved on a real Asterisk and on the scripted PBX by the same tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from config.demo.callers import Caller
from config.demo.phones import Habit
from cti.domain.leg import LegPhase
from cti.events import CallAnswered, CallOffered, CallQueued, OfferEnded, PhoneRegistered
from cti.pbx.asterisk.ari import Ari
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.scripted import PhoneHabit, ScriptedDriver, ScriptedPbx
from cti.pbx_events import Booted, LinkUp, OfferResult
from cti.ports import Capability, Member, PbxDriver, PbxRefused
from tests.cti.watch import Watch, watching
from tests.lab.asterisk_lab import ARI, MANAGER, AsteriskLab, asterisk_lab  # noqa: F401  # a fixture is found by its name

QUICK, NEVER = "1031", "1032"  # one phone answers after half a second and never hangs up, the other rings for ever
ABSENT = "1033"


@dataclass(frozen=True, slots=True)
class World:
    """A PBX and the means to call it: `call(number, dialled, hold_s)` places a call from outside and returns at its end."""

    driver: PbxDriver
    call: Callable[[str, str, float], Awaitable[None]]


@pytest_asyncio.fixture
async def scripted() -> AsyncIterator[World]:
    pbx = ScriptedPbx(
        numbers={"8001": "support", "8002": "sales"},
        habits={QUICK: PhoneHabit(ring_s=0.5), NEVER: PhoneHabit(ring_s=None)},
        now=time.time,
        sleep=asyncio.sleep,
    )

    async def call(number: str, dialled: str, hold_s: float) -> None:
        await pbx.caller(number=number, to=dialled, patience_s=hold_s, talk_s=hold_s)

    yield World(ScriptedDriver(pbx), call)


@pytest_asyncio.fixture
async def asterisk(asterisk_lab: AsteriskLab, tmp_path: Path) -> AsyncIterator[World]:  # noqa: F811
    lab = asterisk_lab
    driver = AsteriskDriver(
        host="127.0.0.1",
        port=lab.ports.ami,
        user=MANAGER.user,
        secret=MANAGER.secret,
        journal=tmp_path / "journal",
        ari=Ari(lab.ari_address, ARI.user, ARI.secret),
    )
    quick = lab.phones([QUICK], Habit(ring_s=(0.5, 0.5)))
    never = lab.phones([NEVER], Habit(answers="never"))
    await quick.start()
    await never.start()

    async def call(number: str, dialled: str, hold_s: float) -> None:
        await lab.callers.call(Caller(number=number, to=dialled, hold_s=hold_s))

    yield World(driver, call)
    await quick.unregister()
    await never.unregister()


@pytest.fixture(params=["scripted", pytest.param("asterisk", marks=pytest.mark.pbx)])
def world(request: pytest.FixtureRequest) -> World:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, World)
    return made


@pytest_asyncio.fixture
async def watch(world: World) -> AsyncIterator[Watch]:
    async with watching(world.driver) as made:
        yield made
        await world.driver.set_members([])


def member(extension: str, queue: str = "support", *, paused: bool = False, reason: str = "") -> Member:
    return Member(queue=queue, extension=extension, name=f"Desk {extension}", paused=paused, reason=reason)


async def test_it_begins_with_the_boot_and_the_link(watch: Watch) -> None:
    booted = next(event for event in watch.heard if isinstance(event, Booted))
    assert any(isinstance(event, LinkUp) for event in watch.heard)
    snapshot = await watch.driver.snapshot()
    assert booted.epoch == snapshot.epoch == watch.board.epoch != ""
    assert snapshot.at is not None and abs(snapshot.at - time.time()) < 2
    registered = {phone.extension for phone in snapshot.phones if phone.registered}
    assert {QUICK, NEVER} <= registered and ABSENT not in registered
    assert watch.board.registered(QUICK)


async def test_members_are_made_what_they_should_be(watch: Watch) -> None:
    driver = watch.driver

    async def seen() -> set[tuple[str, str, bool, str]]:
        members = (await driver.snapshot()).members
        return {(m.queue, m.extension, m.paused, m.reason) for m in members}

    wanted = [member(QUICK), member(NEVER, paused=True, reason="Lunch"), member(QUICK, "sales")]
    await driver.set_members(wanted)
    assert await seen() == {
        ("support", QUICK, False, ""),
        ("support", NEVER, True, "Lunch"),
        ("sales", QUICK, False, ""),
    }
    await driver.set_members(wanted)
    both = [member(QUICK, paused=True, reason="WrapUp"), member(QUICK, "sales", paused=True, reason="WrapUp")]
    await driver.put_members(both)
    assert {m for m in await seen() if m[1] == QUICK} == {("support", QUICK, True, "WrapUp"), ("sales", QUICK, True, "WrapUp")}
    await driver.drop_member("sales", QUICK)
    await driver.drop_member("sales", QUICK)
    await driver.put_members([member(QUICK, paused=True, reason="Meeting")])
    await driver.put_members([member(NEVER), member(NEVER, "sales")])
    assert await seen() == {
        ("support", QUICK, True, "Meeting"),
        ("support", NEVER, False, ""),
        ("sales", NEVER, False, ""),
    }
    await driver.set_members([member(NEVER)])
    assert await seen() == {("support", NEVER, False, "")}
    await watch.until(lambda: len(watch.board.members()) == 1)
    assert not watch.board.member("support", NEVER).paused  # type: ignore[union-attr]


async def test_members_that_somebody_else_took_away_are_made_again(watch: Watch) -> None:
    driver = watch.driver
    await driver.set_members([member(QUICK), member(QUICK, "sales")])
    await driver.set_members([member(QUICK)])
    await driver.put_members([member(QUICK, paused=True, reason="A"), member(QUICK, "sales", paused=True, reason="A")])
    await driver.drop_member("support", QUICK)
    await driver.put_members([member(QUICK), member(QUICK, "sales")])
    members = (await driver.snapshot()).members
    assert {(m.queue, m.paused) for m in members if m.extension == QUICK} == {("support", False), ("sales", False)}


async def test_a_call_rings_the_seat_and_is_told_to_its_end(world: World, watch: Watch) -> None:
    await watch.driver.set_members([member(QUICK)])
    calling = asyncio.ensure_future(world.call("13900000001", "8001", 2.5))
    await watch.until(lambda: watch.of(CallOffered))
    assert [part.phase for part in watch.board.at_extension(QUICK)] == [LegPhase.RINGING]
    assert [wait.queue for wait in watch.board.waiting()] == ["support"]
    await watch.until(lambda: watch.of(CallAnswered))
    assert [part.phase for part in watch.board.at_extension(QUICK)] == [LegPhase.CONNECTED]
    assert watch.board.waiting() == []
    await calling
    await watch.until(lambda: watch.facts)
    (fact,) = watch.facts
    assert (fact.direction, fact.caller, fact.dialed, fact.outcome) == ("inbound", "13900000001", "8001", "answered")
    (entry,) = fact.entries
    assert (entry.queue, entry.outcome) == ("support", "answered")
    assert [(offer.extension, offer.result) for offer in entry.offers] == [(QUICK, OfferResult.ANSWERED)]
    assert entry.wait_s is not None and 0.4 < entry.wait_s < 1.2
    (segment,) = fact.segments
    assert (segment.extension, segment.queue) == (QUICK, "support")
    assert 1.2 < segment.talk_s < 2.7
    assert watch.board.calls() == []


async def test_a_caller_who_gives_up_has_abandoned(world: World, watch: Watch) -> None:
    await watch.driver.set_members([member(NEVER)])
    await world.call("13900000002", "8001", 1.0)
    await watch.until(lambda: watch.facts)
    (fact,) = watch.facts
    assert (fact.outcome, fact.entries[0].outcome) == ("abandoned", "abandoned")
    assert [(offer.extension, offer.result) for offer in fact.entries[0].offers] == [(NEVER, OfferResult.CALLER_LEFT)]
    assert watch.board.at_extension(NEVER) == ()


async def test_a_call_is_hung_up_on_command(world: World, watch: Watch) -> None:
    await watch.driver.set_members([member(QUICK)])
    calling = asyncio.ensure_future(world.call("13900000003", "8001", 20.0))
    await watch.until(lambda: watch.of(CallAnswered))
    (part,) = watch.board.at_extension(QUICK)
    await watch.driver.hang_up(part.leg)
    await watch.until(lambda: watch.facts)
    await watch.driver.hang_up(part.leg)
    await calling
    assert watch.facts[0].outcome == "answered"
    assert watch.board.at_extension(QUICK) == ()


async def test_the_seat_is_rung_first_when_it_dials(watch: Watch) -> None:
    leg = f"lx-{time.monotonic_ns()}"
    await watch.driver.originate(extension=QUICK, number=NEVER, caller_id="", leg=leg)
    await watch.driver.originate(extension=QUICK, number=NEVER, caller_id="", leg=leg)
    await watch.until(lambda: any(part.phase is LegPhase.RINGING for part in watch.board.at_extension(NEVER)))
    assert [part.leg for part in watch.board.at_extension(QUICK)] == [leg]
    await watch.driver.hang_up(leg)
    await watch.until(lambda: watch.facts)
    (fact,) = watch.facts
    assert (fact.pbx_call_id, fact.direction, fact.caller, fact.dialed) == (leg, "internal", QUICK, NEVER)
    assert fact.outcome == "no_answer"
    offered = [(event.extension, event.queue) for event in watch.of(CallOffered)]  # type: ignore[attr-defined]
    assert offered == [(QUICK, ""), (NEVER, "")]
    assert not watch.of(CallQueued)


async def test_no_seat_is_rung_that_can_not_be(watch: Watch) -> None:
    with pytest.raises(PbxRefused) as refusal:
        await watch.driver.originate(extension=ABSENT, number=QUICK, caller_id="", leg="lx-absent")
    assert ABSENT in refusal.value.say
    assert watch.board.calls() == []


async def test_small_commands_are_taken(watch: Watch) -> None:
    await watch.driver.heartbeat(True)
    await watch.driver.heartbeat(False)
    await watch.driver.reload()
    if Capability.BROWSER_PHONE in watch.driver.capabilities:
        await watch.driver.set_phone_secret("2001", "aVeryGoodSecret1")
    assert Capability.QUEUES | Capability.HANG_UP | Capability.ORIGINATE in watch.driver.capabilities


async def test_closing_ends_the_run(world: World) -> None:
    async with watching(world.driver) as watch:
        assert watch.joined == 1
    assert watch.of(PhoneRegistered)
    assert not watch.of(OfferEnded)
