"""Finished calls into the books: once each whatever is heard twice, with the people who took part, the customer, and the thresholds that
were valid; whatever the parts of a call are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select
from structlog.testing import capture_logs

from crm_core.entities.people import Customer
from cti.events import (
    CallBooked,
    CallEnded,
    CallFact,
    CallStarted,
    Direction,
    EntryFact,
    EntryOutcome,
    LegFact,
    OfferFact,
    Outcome,
    SegmentFact,
    TransferFact,
)
from cti.pbx_events import OfferResult, TransferKind
from cti.storage import Call, CallLeg, CallLink, Offer, QueueEntry, Segment, Transfer
from tests.services.house import House, house
from tests.web.program import NOON

TABLES = (Call, CallLeg, QueueEntry, Offer, Segment, Transfer)


@pytest.fixture
async def here(filled: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(filled, tmp_path) as found:
        yield found


@dataclass
class Maker:
    """Makes finished calls."""

    here: House

    def fact(self, call_id: int = 900, *, caller: str = "13900007777", extension: str = "8001", **more: Any) -> CallFact:
        times = {"started_at": NOON, "answered_at": NOON + 9, "ended_at": NOON + 60}
        offers = tuple(
            OfferFact(offer_id=call_id + n, extension=e, started_at=NOON + 2, ended_at=NOON + 9, result=r)
            for n, (e, r) in enumerate(((("8002"), OfferResult.NO_ANSWER), (extension, OfferResult.ANSWERED)), 1)
        )
        entry = EntryFact(
            entry_id=call_id + 5,
            queue="vip",
            joined_at=NOON + 1,
            left_at=NOON + 9,
            wait_s=8.0,
            outcome=EntryOutcome.ANSWERED,
            offers=offers,
        )
        talk = SegmentFact(
            segment_id=call_id + 6, leg_a=call_id + 7, leg_b=call_id + 8, extension=extension, queue="vip", started_at=NOON + 9, ended_at=NOON + 60,
            talk_s=45.0, hold_s=6.0,
        )  # fmt: skip
        legs = tuple(
            LegFact(
                leg_id=call_id + 6 + n, pbx_leg_id=f"x-{n}", party=party, endpoint=endpoint, number=number, started_at=NOON, rang_at=None,
                answered_at=NOON + 9, ended_at=NOON + 60, hangup_cause=16,
            )
            for n, (party, endpoint, number) in enumerate((("trunk", "carrier", caller), ("seat", extension, extension)), 1)
        )  # fmt: skip
        passed = TransferFact(kind=TransferKind.BLIND, by=extension, to="9" * 300, result="completed", at=NOON + 30)
        whole: dict[str, Any] = {
            "unit_id": self.here.unit_id, "pbx_id": self.here.pbx_id, "epoch": "e", "pbx_call_id": f"p-{call_id}", "call_id": call_id,
            "direction": Direction.INBOUND, "caller": caller, "caller_name": "", "dialed": "4008880000", **times, "outcome": Outcome.ANSWERED,
            "recording_file": "", "legs": legs, "entries": (entry,), "segments": (talk,), "transfers": (passed,),
        }  # fmt: skip
        return CallFact(**{**whole, **more})


@pytest.fixture
def make(here: House) -> Maker:
    return Maker(here)


async def counts(here: House, call_id: int = 900) -> dict[str, int]:
    found = {}
    for table in TABLES:
        column = table.id if table is Call else table.call_id
        found[table.__tablename__] = (await here.rows(select(func.count().label("n")).where(column == call_id)))[0]["n"]
    return found


def booked(here: House) -> list[CallBooked]:
    return [event for event in here.events if isinstance(event, CallBooked)]


async def test_a_call_that_ended_stands_in_every_table(here: House, make: Maker) -> None:
    wang, li = (await here.sit("wang", "8001")).user_id, (await here.sit("li", "8002")).user_id
    here.say(CallEnded, call_id=900, fact=make.fact())
    assert await counts(here) == {"call": 1, "call_leg": 2, "queue_entry": 1, "offer": 2, "segment": 1, "transfer": 1}
    call = (await here.rows(select(Call.__table__).where(Call.id == 900)))[0]
    assert (call["user_id"], call["caller_key"], call["queue"], call["talk_s"], call["day"]) == (
        wang,
        "+8613900007777",
        "vip",
        45.0,
        "2026-11-18",
    )
    entry = (await here.rows(select(QueueEntry.__table__).where(QueueEntry.call_id == 900)))[0]
    assert (entry["user_id"], entry["sl_threshold_s"], entry["short_abandon_s"]) == (wang, 10, 5)
    offers = await here.rows(select(Offer.extension, Offer.user_id, Offer.result).where(Offer.call_id == 900))
    assert {(o["extension"], o["user_id"], o["result"]) for o in offers} == {("8002", li, "no_answer"), ("8001", wang, "answered")}
    assert (await here.rows(select(Segment.user_id).where(Segment.call_id == 900)))[0]["user_id"] == wang
    assert [set(event.user_ids) for event in booked(here)] == [{wang, li}]


async def test_the_same_call_heard_twice_stands_there_once(here: House, make: Maker) -> None:
    await here.sit("wang", "8001")
    fact = make.fact()
    with capture_logs() as logs:
        for one in (fact, fact, replace(fact, outcome=Outcome.FAILED)):
            here.say(CallEnded, call_id=900, fact=one)
        assert (await counts(here))["call"] == 1
        here.say(CallEnded, call_id=900, fact=fact)
        await here.books.settled()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [], "hearing twice is no mistake"
    assert await counts(here) == {"call": 1, "call_leg": 2, "queue_entry": 1, "offer": 2, "segment": 1, "transfer": 1}
    assert (await here.rows(select(Call.outcome).where(Call.id == 900)))[0]["outcome"] == "answered"


async def test_two_pbxs_and_two_boots_may_name_their_calls_alike(here: House, make: Maker) -> None:
    for call_id, epoch in ((900, "first boot"), (920, "second boot")):
        here.say(CallEnded, call_id=call_id, fact=make.fact(call_id, epoch=epoch, pbx_call_id="the-same"))
    assert (await counts(here, 900))["call"] == (await counts(here, 920))["call"] == 1


async def test_a_call_hangs_on_the_only_customer_with_its_number(here: House, make: Maker) -> None:
    here.say(CallStarted, call_id=900, direction=Direction.INBOUND, caller="139 0000 7777", caller_name="", dialed="4008880000")
    for _ in range(200):
        if here.links.customer_of(900) is not None:
            break
        await asyncio.sleep(0.005)
    here.say(CallEnded, call_id=900, fact=make.fact())
    linked = await here.rows(select(CallLink.thing_id, CallLink.made_by).where(CallLink.call_id == 900))
    ours = (await here.rows(select(Customer.id).where(Customer.name == "杭州同号公司")))[0]["id"]
    assert linked == [{"thing_id": ours, "made_by": "number"}]


async def test_what_an_agent_chose_stays_chosen(here: House, make: Maker) -> None:
    other = (await here.rows(select(Customer.id).where(Customer.unit_id == here.unit_id).limit(1)))[0]["id"]
    await here.links.choose(here.unit_id, here.pbx_id, 900, other, 5)
    here.say(CallEnded, call_id=900, fact=make.fact())
    linked = await here.rows(select(CallLink.thing_id, CallLink.made_by).where(CallLink.call_id == 900))
    assert linked == [{"thing_id": other, "made_by": "agent"}]


@pytest.mark.parametrize(
    "more",
    [
        {"started_at": None, "answered_at": None, "ended_at": None},
        {"legs": (), "entries": (), "segments": (), "transfers": ()},
        {"caller": "", "caller_name": "名" * 500, "dialed": "8" * 900},
        {"direction": Direction.OUTBOUND, "caller": "8001", "dialed": "013812345678"},
        {"unobserved": True, "outcome": Outcome.ABANDONED, "segments": ()},
    ],
    ids=["no times", "no parts", "long words", "outbound", "unobserved"],
)
async def test_whatever_is_known_of_a_call_is_kept(here: House, make: Maker, more: dict[str, Any]) -> None:
    here.say(CallEnded, call_id=900, fact=make.fact(**more))
    assert (await counts(here))["call"] == 1 and len(booked(here)) == 1


async def test_a_day_is_that_on_which_the_call_began_where_the_unit_is(here: House, make: Maker) -> None:
    evening = NOON + 9 * 3600 - 5  # 23:59:55 in Shanghai
    here.say(CallEnded, call_id=900, fact=make.fact(started_at=evening, ended_at=evening + 60))
    here.say(CallEnded, call_id=930, fact=make.fact(930, started_at=evening + 10))
    days = await here.rows(select(Call.id, Call.day).where(Call.id.in_((900, 930))).order_by(Call.id))
    assert [row["day"] for row in days] == ["2026-11-18", "2026-11-19"]


async def test_who_left_the_seat_before_the_call_was_booked_had_it_all_the_same(here: House, make: Maker) -> None:
    wang = await here.sit("wang", "8001")
    here.clock.pass_time(120)
    await here.seats.sign_out(wang.user_id)
    here.say(CallEnded, call_id=900, fact=make.fact())
    assert (await here.rows(select(Segment.user_id).where(Segment.call_id == 900)))[0]["user_id"] == wang.user_id


async def test_a_call_told_late_belongs_to_who_sat_there_then(here: House, make: Maker) -> None:
    """Read back from the journal after somebody else took the seat."""
    wang = await here.sit("wang", "8001")
    here.clock.pass_time(120)
    await here.seats.sign_out(wang.user_id)
    here.clock.pass_time(60)
    await here.sit("li", "8001")
    here.say(CallEnded, call_id=900, fact=make.fact())
    assert (await here.rows(select(Segment.user_id).where(Segment.call_id == 900)))[0]["user_id"] == wang.user_id
    assert (await here.rows(select(Call.user_id).where(Call.id == 900)))[0]["user_id"] == wang.user_id


async def test_a_part_of_a_booked_call_read_back_from_the_journal_is_no_call(here: House, make: Maker) -> None:
    """Its beginning lies before the place from which a start reads on, so that its second seat looks like a call of its own."""
    made = make.fact()
    whole = replace(made, legs=tuple(replace(leg, leg_id=here.new_id()) for leg in made.legs))
    here.say(CallEnded, call_id=900, fact=whole)
    await here.books.settled()
    again = replace(whole.legs[-1], leg_id=here.new_id())
    part = replace(make.fact(950), pbx_call_id=again.pbx_leg_id, legs=(again,))
    here.line.replaying = True
    here.say(CallEnded, call_id=950, fact=part)
    here.say(CallEnded, call_id=970, fact=make.fact(970, pbx_call_id="another", legs=()))
    booked = await here.rows(select(Call.id).where(Call.id.in_((900, 950, 970))).order_by(Call.id))
    assert [row["id"] for row in booked] == [900, 970]
