"""Seats: sitting down, taking over, moving, next states, wrap-up and its end, and the intervals that tell who sat where, when; also over a
restart. The PBX is a line that remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from crm_core.days import day_of
from crm_core.kernel.errors import Conflict, NotAllowed, NotFound, Refusal, Unavailable
from cti.domain.seat import SeatState
from cti.events import (
    CallAnswered,
    CallEnded,
    CallFact,
    CallHeld,
    CallResumed,
    Direction,
    LegFact,
    OfferEnded,
    Outcome,
    PhoneLost,
    PhoneRegistered,
    SeatChanged,
    SeatLeftCall,
    SegmentFact,
)
from cti.pbx_events import OfferResult
from cti.storage import SeatSession, Segment
from cti.storage import SeatState as SeatStateRow
from tests.services.house import House, house
from tests.web.program import TODAY


@pytest.fixture
async def here(filled: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(filled, tmp_path) as found:
        yield found


async def intervals(here: House) -> list[tuple[str, float, float | None]]:
    rows = await here.rows(select(SeatStateRow.__table__).order_by(SeatStateRow.from_at, SeatStateRow.id))
    return [(row["state"], row["from_at"], row["to_at"]) for row in rows]


# ----------------------------------------------------------------------------------------------------------------- sitting down


async def test_somebody_sits_down_and_the_pbx_may_offer_calls_of_their_queues(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    assert sitting.state is SeatState.READY and here.line.open_for("8001") == {"support", "vip"}
    assert here.line.driver.secrets["8001"] == sitting.secret and len(sitting.secret) > 20
    rows = await here.rows(select(SeatSession.__table__))
    assert [(r["extension"], r["signed_out_at"]) for r in rows] == [("8001", None)]


async def test_a_browser_s_secret_is_new_each_time_and_a_desk_phone_s_stays(here: House) -> None:
    first = (await here.sit("wang", "8001")).secret
    assert (await here.sit("wang", "8001")).secret != first
    desk = (await here.sit("wang", "8011")).secret
    assert (await here.sit("wang", "8011")).secret == desk and "8011" not in here.line.driver.secrets


async def test_sitting_down_paused_needs_a_reason_and_offers_nothing(here: House) -> None:
    with pytest.raises(Refusal, match="no_reason"):
        await here.sit("wang", "8001", state="paused")
    sitting = await here.sit("wang", "8001", state="paused", reason="lunch")
    assert (sitting.state, sitting.reason) == (SeatState.PAUSED, "lunch") and here.line.open_for("8001") == set()


async def test_a_seat_in_use_is_taken_only_when_one_says_so(here: House) -> None:
    await here.sit("wang", "8001")
    with pytest.raises(Conflict, match="seat_in_use") as refusal:
        await here.sit("li", "8001")
    assert refusal.value.detail == {"seat": "8001", "name": "王小明"}
    taken = await here.sit("li", "8001", take_over=True)
    assert here.seats.at(here.pbx_id, "8001") is taken and here.seats.of_user((await here.person("wang")).user_id) is None
    rows = await here.rows(select(SeatSession.__table__).order_by(SeatSession.id))
    assert [(r["ended_by"], r["signed_out_at"] is None) for r in rows] == [("taken_over", False), ("", True)]


async def test_nobody_is_taken_out_of_a_call(here: House) -> None:
    await here.sit("wang", "8001")
    here.ring("8001", 70)
    here.answer("8001", 70)
    with pytest.raises(Conflict, match="seat_in_call"):
        await here.sit("li", "8001", take_over=True)
    with pytest.raises(Conflict, match="in_call"):
        await here.sit("wang", "8002")
    with pytest.raises(Conflict, match="in_call"):
        await here.seats.sign_out((await here.person("wang")).user_id)


async def test_moving_to_another_seat_leaves_the_first_one(here: House) -> None:
    await here.sit("wang", "8001")
    await here.sit("wang", "8002")
    assert here.seats.at(here.pbx_id, "8001") is None and here.line.open_for("8001") == set()
    assert {key for key in here.line.members if key[1] == "8001"} == set()
    assert here.line.open_for("8002") == {"support", "vip"}


async def test_a_seat_that_is_none_or_another_unit_s_is_refused(here: House) -> None:
    with pytest.raises(NotFound):
        await here.seats.sign_in(await here.person("wang"), 12345, state="ready")
    with pytest.raises(NotAllowed):
        await here.seats.sign_in(await here.person("heinz"), await here.seat("8001"), state="ready")
    with pytest.raises(NotAllowed):
        await here.seats.sign_in(await here.person("guest"), await here.seat("8001"), state="ready")


async def test_with_the_phone_system_away_nobody_sits_down_and_nobody_loses_their_seat(here: House) -> None:
    wang = await here.sit("wang", "8001")
    here.line.driver.away = True
    with pytest.raises(Unavailable):
        await here.sit("li", "8001", take_over=True)
    assert here.seats.at(here.pbx_id, "8001") is wang


async def test_a_pbx_that_is_not_in_the_settings_refuses_in_words(here: House) -> None:
    here.seats.lines = {}
    with pytest.raises(Unavailable):
        await here.sit("wang", "8001")
    with pytest.raises(Unavailable):
        await here.sit("wang", "8011")


async def test_two_who_sit_down_at_once_do_not_share_a_seat(here: House) -> None:
    tries = await asyncio.gather(here.sit("wang", "8001"), here.sit("li", "8001"), return_exceptions=True)
    assert [type(one).__name__ for one in tries].count("Conflict") == 1
    assert len(here.seats.all()) == 1
    assert here.line.driver.secrets["8001"] == here.seats.all()[0].secret, "the one who sits there could not register"


async def test_a_double_click_makes_one_sitting(here: House) -> None:
    await asyncio.gather(*(here.sit("wang", "8001") for _ in range(3)))
    rows = await here.rows(select(SeatSession.__table__))
    assert len([r for r in rows if r["signed_out_at"] is None]) == 1 and len(here.seats.all()) == 1
    assert here.line.driver.secrets["8001"] == here.seats.all()[0].secret


# ------------------------------------------------------------------------------------------------------------------ in a call


async def test_a_call_goes_through_its_states_and_ends_in_wrap_up(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    states = [sitting.state]
    here.ring("8001", 70)
    states.append(sitting.state)
    assert here.line.open_for("8001") == {"support", "vip"}
    here.answer("8001", 70)
    states.append(sitting.state)
    assert here.line.open_for("8001") == set()
    here.say(CallHeld, call_id=70, extension="8001")
    states.append(sitting.state)
    here.say(CallResumed, call_id=70, extension="8001")
    here.leave("8001", 70)
    states.append(sitting.state)
    assert here.line.open_for("8001") == set()
    here.wrap_up_passes(sitting)
    states.append(sitting.state)
    assert states == [*map(SeatState, ("ready", "ringing", "talking", "held", "wrap_up", "ready"))]
    assert here.line.open_for("8001") == {"support", "vip"}


@pytest.mark.parametrize("result", [r for r in OfferResult if r is not OfferResult.ANSWERED])
async def test_a_call_that_is_not_answered_leaves_the_seat_ready(here: House, result: OfferResult) -> None:
    sitting = await here.sit("wang", "8001")
    here.ring("8001", 70)
    here.say(OfferEnded, call_id=70, offer_id=71, extension="8001", queue="support", result=result, rang_s=5.0)
    assert sitting.state is SeatState.READY and sitting.call_id is None


async def test_a_wish_during_a_call_comes_true_after_the_wrap_up(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    here.ring("8001", 70)
    here.answer("8001", 70)
    here.seats.want(sitting.user_id, "paused", "rest")
    assert sitting.state is SeatState.TALKING
    here.leave("8001", 70)
    here.seats.finish(sitting.user_id)
    assert (sitting.state, sitting.reason) == (SeatState.PAUSED, "rest") and here.line.open_for("8001") == set()


async def test_finishing_is_harmless_where_there_is_no_wrap_up(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    here.seats.finish(sitting.user_id)
    here.ring("8001", 70)
    here.answer("8001", 70)
    here.seats.finish(sitting.user_id)
    assert sitting.state is SeatState.TALKING
    here.seats.finish(999)


async def test_the_timer_of_a_wrap_up_that_was_finished_ends_no_later_one(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    for call_id in (70, 80):
        here.ring("8001", call_id)
        here.answer("8001", call_id)
        here.leave("8001", call_id)
        if call_id == 70:
            first = sitting.timer
            here.seats.finish(sitting.user_id)
            assert first is not None and first.cancelled()
    assert sitting.state is SeatState.WRAP_UP and sitting.wrap_up_call == 80


async def test_a_lost_phone_makes_a_ready_seat_unreachable_until_it_is_back(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    here.say(PhoneLost, extension="8001")
    assert (sitting.state, sitting.reason) == (SeatState.UNREACHABLE, "phone_lost") and here.line.open_for("8001") == set()
    here.say(PhoneRegistered, extension="8001")
    assert sitting.state is SeatState.READY and here.line.open_for("8001") == {"support", "vip"}


async def test_wrap_up_time_stands_on_the_talk_it_followed(here: House) -> None:
    sitting = await here.sit("wang", "8001")
    row = {
        "id": 5,
        "unit_id": here.unit_id,
        "pbx_id": here.pbx_id,
        "call_id": 70,
        "leg_a": 1,
        "leg_b": 2,
        "user_id": sitting.user_id,
        "day": TODAY,
    }
    async with here.database.begin() as db:
        await db.execute(insert(Segment).values(**row, started_at=here.clock.now()))
    here.answer("8001", 70)
    here.leave("8001", 70)
    here.clock.pass_time(12)
    here.seats.finish(sitting.user_id)
    assert (await here.rows(select(Segment.acw_s).where(Segment.id == 5)))[0]["acw_s"] == pytest.approx(12)


# ------------------------------------------------------------------------------------------------------------------ the books


SCRIPT = st.lists(
    st.sampled_from(
        [
            "ring",
            "miss",
            "answer",
            "hold",
            "resume",
            "leave",
            "finish",
            "ready",
            "lunch",
            "lost",
            "back",
            "move",
            "out",
            "in",
            "over",
            "wait",
        ]
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(SCRIPT, st.data())
def test_intervals_of_one_person_never_overlap_and_leave_no_gap_within_a_session(
    filled: Path, tmp_path: Path, script: list[str], data: st.DataObject
) -> None:
    asyncio.run(play(filled, tmp_path, script))


async def play(filled: Path, folder: Path, script: list[str]) -> None:
    async with house(filled, folder) as here:
        person = (await here.person("wang")).user_id
        call_id, at = 70, "8001"
        await here.sit("wang", at)
        for word in script:
            here.clock.pass_time(0.5)
            try:
                match word:
                    case "ring":
                        call_id += 10
                        here.ring(at, call_id)
                    case "miss":
                        here.say(
                            OfferEnded,
                            call_id=call_id,
                            offer_id=1,
                            extension=at,
                            queue="support",
                            result=OfferResult.NO_ANSWER,
                            rang_s=1.0,
                        )
                    case "answer":
                        here.answer(at, call_id)
                    case "hold":
                        here.say(CallHeld, call_id=call_id, extension=at)
                    case "resume":
                        here.say(CallResumed, call_id=call_id, extension=at)
                    case "leave":
                        here.leave(at, call_id)
                    case "finish":
                        here.seats.finish(person)
                    case "ready" | "lunch":
                        here.seats.want(person, "ready" if word == "ready" else "paused", "lunch")
                    case "lost" | "back":
                        here.say(PhoneLost if word == "lost" else PhoneRegistered, extension=at)
                    case "move":
                        other = "8002" if at == "8001" else "8001"
                        await here.sit("wang", other)
                        at = other
                    case "out":
                        await here.seats.sign_out(person)
                    case "in":
                        await here.sit("wang", at)
                    case "over":
                        await here.sit("li", at, take_over=True)
                    case "wait":
                        here.clock.pass_time(30)
            except Refusal:
                pass
            for sitting in here.seats.all():
                wants = (
                    sitting.state in (SeatState.READY, SeatState.RINGING)
                    and not sitting.intent.wrap_up
                    and not sitting.intent.pause_reason
                )
                assert bool(here.line.open_for(sitting.extension)) == wants, (word, sitting.state)
        await check_intervals(here)


async def check_intervals(here: House) -> None:
    sessions = {row["id"]: row for row in await here.rows(select(SeatSession.__table__))}
    rows = await here.rows(select(SeatStateRow.__table__).order_by(SeatStateRow.from_at, SeatStateRow.id))
    for session_id, session in sessions.items():
        mine = [row for row in rows if row["session_id"] == session_id]
        assert mine and mine[0]["from_at"] == session["signed_in_at"]
        for one, following in pairwise(mine):
            assert one["to_at"] == following["from_at"] and one["from_at"] <= one["to_at"]
        assert (mine[-1]["to_at"] is None) == (session["signed_out_at"] is None)
        assert all(row["day"] == day_of(row["from_at"], "Asia/Shanghai") for row in mine)
    for user_id in {session["user_id"] for session in sessions.values()}:
        own = sorted((s["signed_in_at"], s["signed_out_at"] or float("inf")) for s in sessions.values() if s["user_id"] == user_id)
        assert all(before[1] <= after[0] for before, after in pairwise(own)), "somebody sat in two places at once"
    for extension in {session["extension"] for session in sessions.values()}:
        own = sorted(
            (s["signed_in_at"], s["signed_out_at"] or float("inf")) for s in sessions.values() if s["extension"] == extension
        )
        assert all(before[1] <= after[0] for before, after in pairwise(own)), "two sat at one seat"


# ------------------------------------------------------------------------------------------------------------------- restarts


async def test_after_a_restart_everybody_sits_where_they_sat(filled: Path, tmp_path: Path) -> None:
    async with house(filled, tmp_path) as before:
        await before.sit("wang", "8001")
        await before.sit("li", "8011", state="paused", reason="lunch")
    async with house(filled, tmp_path, again=[before]) as after:
        states = {s.extension: (s.state, s.reason) for s in after.seats.all()}
        assert states == {"8001": (SeatState.READY, ""), "8011": (SeatState.PAUSED, "lunch")}
        assert after.line.open_for("8001") == {"support", "vip"} and after.line.open_for("8011") == set()
        assert after.seats.who_sat(after.pbx_id, "8011") == (await after.person("li")).user_id
        assert len(await intervals(after)) == 2, "a restart is no change of state"


async def test_a_wrap_up_goes_on_over_a_restart_and_ends_when_it_would_have(filled: Path, tmp_path: Path) -> None:
    async with house(filled, tmp_path) as before:
        sitting = await before.sit("wang", "8001")
        before.ring("8001", 70)
        before.answer("8001", 70)
        before.seats.want(sitting.user_id, "paused", "rest")
        before.leave("8001", 70)
        ends = sitting.wrap_up_ends
    before.clock.pass_time(5)
    async with house(filled, tmp_path, again=[before]) as after:
        found = after.seats.all()[0]
        assert (found.state, found.wrap_up_ends, found.intent.next_state) == (SeatState.WRAP_UP, ends, "paused")
        after.wrap_up_passes(found)
        assert (found.state, found.reason, after.clock.now()) == (SeatState.PAUSED, "rest", ends)


async def test_a_wrap_up_that_ended_while_nobody_watched_is_no_longer_than_it_was(filled: Path, tmp_path: Path) -> None:
    async with house(filled, tmp_path) as before:
        sitting = await before.sit("wang", "8001")
        row = {
            "id": 5,
            "unit_id": before.unit_id,
            "pbx_id": before.pbx_id,
            "call_id": 70,
            "leg_a": 1,
            "leg_b": 2,
            "user_id": sitting.user_id,
            "day": TODAY,
        }
        async with before.database.begin() as db:
            await db.execute(insert(Segment).values(**row))
        before.answer("8001", 70)
        before.leave("8001", 70)
    before.clock.pass_time(3600)
    async with house(filled, tmp_path, again=[before]) as after:
        found = after.seats.all()[0]
        after.seats._wrap_up_due(found)
        assert found.state is SeatState.READY
        assert (await after.rows(select(Segment.acw_s).where(Segment.id == 5)))[0]["acw_s"] == pytest.approx(20)


async def test_a_start_without_the_pbx_of_an_open_session_is_a_start(filled: Path, tmp_path: Path) -> None:
    async with house(filled, tmp_path) as before:
        await before.sit("wang", "8001")
    async with house(filled, tmp_path, again=[before]) as after:
        fresh = House(after.database, after.clock)
        await fresh.seats.load()
        assert [s.extension for s in fresh.seats.all()] == ["8001"]


async def test_every_change_is_told_once(here: House) -> None:
    await here.sit("wang", "8001")
    here.ring("8001", 70)
    here.ring("8001", 70)
    here.answer("8001", 70)
    here.leave("8001", 70)
    told = [event.state for event in here.events if isinstance(event, SeatChanged)]
    assert told == ["ready", "ringing", "talking", "wrap_up"]


async def test_who_is_told_that_they_sit_sits_there_after_a_crash_too(here: House) -> None:
    """Nothing is waited for here but the answer."""
    await here.sit("wang", "8001")
    async with here.database.read() as db:
        assert (await db.execute(select(SeatSession.signed_out_at))).all() == [(None,)]
    await here.seats.sign_out((await here.person("wang")).user_id)
    async with here.database.read() as db:
        assert (await db.execute(select(SeatSession.ended_by))).all() == [("agent",)]


# ------------------------------------------------------------------------------------------------------ a PBX that is not quite there


async def test_a_seat_found_in_a_call_is_out_of_it_when_the_call_is_over(here: House) -> None:
    """Nobody tells that it left, as it was never seen to answer; its wrap-up follows as ever."""
    sitting = await here.sit("wang", "8001")
    here.answer("8001", 70)
    fact = made_fact(here, 70, "8001")
    here.say(CallEnded, call_id=71, fact=made_fact(here, 71, "8001"))
    assert sitting.state is SeatState.TALKING
    here.say(CallEnded, call_id=70, fact=fact)
    assert sitting.state is SeatState.WRAP_UP and sitting.wrap_up_call == 70


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_pbx_whose_clock_is_an_hour_wrong_changes_no_wrap_up_and_no_agent(here: House, ahead: float) -> None:
    await here.sit("li", "8001")
    here.clock.pass_time(100)
    sitting = await here.sit("wang", "8001", take_over=True)
    here.clock.pass_time(100)
    wrong = here.clock.now() + ahead
    here.say(CallAnswered, at=wrong, call_id=70, extension="8001", queue="support")
    here.clock.pass_time(5)
    here.say(SeatLeftCall, at=wrong + 5, call_id=70, extension="8001", queue="support", talked=True, hung_up_by_seat=False)
    assert sitting.wrap_up_ends == here.clock.now() + 20
    assert here.seats.who_sat(here.pbx_id, "8001", wrong) == sitting.user_id
    assert here.seats.who_sat(here.pbx_id, "8001", wrong - 150) == (await here.person("li")).user_id
    assert all(abs(since - here.clock.now()) < 300 for _, since, _ in await intervals(here))


def made_fact(here: House, call_id: int, extension: str) -> CallFact:
    """A finished call in which a seat talked."""
    talk = SegmentFact(
        segment_id=call_id + 1, leg_a=1, leg_b=2, extension=extension, queue="support", started_at=None, ended_at=None, talk_s=5.0, hold_s=0.0
    )  # fmt: skip
    leg = LegFact(
        leg_id=call_id + 2, pbx_leg_id=f"{call_id}-1", party="seat", endpoint=extension, number=extension, started_at=None, rang_at=None,
        answered_at=None, ended_at=None, hangup_cause=None,
    )  # fmt: skip
    return CallFact(
        unit_id=here.unit_id, pbx_id=here.pbx_id, epoch="e", pbx_call_id=str(call_id), call_id=call_id, direction=Direction.INBOUND,
        caller="13900007777", caller_name="", dialed="", started_at=None, answered_at=None, ended_at=None, outcome=Outcome.ANSWERED,
        recording_file="", legs=(leg,), entries=(), segments=(talk,), transfers=(), unobserved=True,
    )  # fmt: skip
