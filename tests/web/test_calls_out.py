"""Calls that a seat makes, on its desk: whom it calls stands there from the first moment on, masked by right like any other number, with
the customer; between colleagues both see who the other is. What somebody outside sends as a number makes nobody a colleague."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from crm_core.entities.people import ContactPoint, Customer
from crm_core.numbers import mask
from cti.storage import Call, CallLink
from tests.web.program import Browser, Running, Socket

OUTSIDE_ANSWERS_S = 1.0  # as the played PBX has it


async def number_of(here: Running, customers: int) -> list[dict[str, Any]]:
    """The points of a number that belongs to so many customers of the demo's centre: point, customer and name, as written."""
    unit_id = next(line.unit_id for line in here.program.lines.values() if line.name == "demo")
    keys = (
        select(ContactPoint.key)
        .where(ContactPoint.unit_id == unit_id, ContactPoint.kind == "mobile")
        .group_by(ContactPoint.key)
        .having(func.count(ContactPoint.customer_id.distinct()) == customers)
        .order_by(ContactPoint.key)
        .limit(1)
    )
    key = (await here.one(keys))["key"]
    points = select(ContactPoint.id, ContactPoint.customer_id, ContactPoint.written, Customer.name)
    joined = points.join(Customer, Customer.id == ContactPoint.customer_id)
    return await here.rows(joined.where(ContactPoint.key == key, ContactPoint.unit_id == unit_id).order_by(ContactPoint.id))


async def dial(browser: Browser, point: dict[str, Any]) -> None:
    answer = await browser.post("/api/v1/dial", {"contact_point_id": str(point["id"])})
    assert answer.status == 204, answer.text


def told(socket: Socket) -> list[dict[str, Any]]:
    """Every row of a call that the desk was told, in order."""
    events = [m for m in socket.heard if m["t"] == "event" and m["feed"] == "desk"]
    return [row for event in events for table, _, row in event["put"] if table == "calls"]


def only(state: dict[str, Any]) -> dict[str, Any]:
    """The one call on the desk, {} while there is none."""
    calls = list(state["desk"]["calls"].values())
    return calls[0] if len(calls) == 1 else {}


@pytest_asyncio.fixture
async def here(program: Running) -> AsyncIterator[Running]:
    """A running product whose seats' own phones answer at once when the PBX rings them to call out."""
    yield program
    for pbx in program.pbxs.values():
        for line in list(pbx.lines.values()):
            line.over.set()


@pytest.mark.parametrize(("login", "whole"), [("wang", False), ("zhang", True)])
async def test_the_desk_shows_whom_it_dials_while_it_dials(here: Running, login: str, whole: bool) -> None:
    [point] = await number_of(here, 1)
    browser = await here.sit(login, "8001", state="paused", reason="lunch")
    here.habit("8001", ring_s=0.3)
    async with browser.socket() as socket:
        await socket.join("desk")
        await dial(browser, point)
        await socket.until(lambda s: only(s).get("looked_up"))
        before = await here.rows(select(Call.id).where(Call.direction == "outbound", Call.epoch.like("scripted%")))
        assert before == [], "the call must not be over yet"
        shown = point["written"] if whole else mask(point["written"])
        for row in told(socket):
            assert (row["phase"], row["direction"], row["number"], row["answered_at"]) == ("ringing", "outbound", shown, None)
            assert row["customer_id"] == str(point["customer_id"])
        row = only(socket.state)
        assert row["number_kind"] == "outside" and [m["customer_id"] for m in row["matches"]] == [str(point["customer_id"])]
        await socket.until(lambda s: only(s).get("phase") == "talking")
        assert (only(socket.state)["number"], only(socket.state)["customer_id"]) == (shown, str(point["customer_id"]))
        await here.hang_up_all()
        await socket.until(lambda s: not s["desk"]["calls"])
        assert whole or not any(point["written"] in text for text in socket.raw)
    await here.settle()
    call = await here.one(select(Call.__table__).order_by(Call.started_at.desc()))
    assert call["direction"] == "outbound"
    link = await here.one(select(CallLink.thing_id).where(CallLink.call_id == call["id"]))
    assert link["thing_id"] == point["customer_id"], "the call must hang on the customer's timeline"


async def test_of_several_with_that_number_it_is_the_one_who_was_dialled(here: Running) -> None:
    first, second, *_ = await number_of(here, 2)
    wang = await here.sit("wang", "8001")
    async with wang.socket() as socket:
        await socket.join("desk")
        for point in (second, first):
            await dial(wang, point)
            row = await socket.until(lambda s: only(s).get("looked_up") and only(s))
            assert row["customer_id"] == str(point["customer_id"]) and len(row["matches"]) == 2
            await here.hang_up_all()
            await socket.until(lambda s: not s["desk"]["calls"])


async def test_a_number_that_was_not_dialled_after_all_stays_with_no_other_call(here: Running) -> None:
    """The phone was away: the refusal is told in the asker's language, and the next call is nobody's of that number."""
    [point] = await number_of(here, 1)
    wang = await here.sit("wang", "8001")
    pbx = here.pbxs["demo"]
    pbx.phones.discard("8001")
    refused = {
        "zh": "话务系统未受理：8001 的话机没有注册。",
        "en": "The phone system refused: The phone of 8001 is not registered.",
    }
    for language, words in refused.items():
        answer = await wang.post("/api/v1/dial", {"contact_point_id": str(point["id"])}, headers={"Accept-Language": language})
        assert (answer.status, answer.json["error"], answer.json["say"]) == (503, "pbx_refused", words)
        assert answer.json["detail"]["why"] in words
    pbx.phones.add("8001")
    async with wang.socket() as socket:
        await socket.join("desk")
        work = asyncio.create_task(pbx.dial_out("8001", "013955550000", "of-another-program"))
        row = await socket.until(lambda s: only(s))
        assert (row["direction"], row["number"], row["customer_id"], row["matches"]) == ("outbound", "", "", [])
        await here.hang_up_all()
        await work


async def test_a_desk_phone_that_dials_shows_whom_before_they_answer(here: Running) -> None:
    [point] = await number_of(here, 1)
    li = await here.sit("li", "8011")
    async with li.socket() as socket:
        await socket.join("desk")
        work = asyncio.create_task(here.pbxs["demo"].seat_calls("8011", point["written"]))
        row = await socket.until(lambda s: only(s).get("looked_up") and only(s))
        assert (row["phase"], row["direction"], row["number"]) == ("ringing", "outbound", mask(point["written"]))
        assert row["customer_id"] == str(point["customer_id"]) and row["answered_at"] is None
        await li.post("/api/v1/seat/state", {"state": "paused", "reason": "rest"})
        await socket.until(lambda s: s["desk"]["seat"]["me"]["state"] == "paused")
        assert only(socket.state), "a wish of the agent's must not take the call off the desk"
        await socket.until(lambda s: only(s).get("phase") == "talking", OUTSIDE_ANSWERS_S + 10)
        await here.hang_up_all()
        await work
        await socket.until(lambda s: not s["desk"]["calls"])


async def test_who_does_not_answer_goes_from_the_desk_that_called(here: Running) -> None:
    li = await here.sit("li", "8011")
    async with li.socket() as socket:
        await socket.join("desk")
        work = asyncio.create_task(here.pbxs["demo"].seat_calls("8011", "8002"))
        await socket.until(lambda s: only(s).get("phase") == "ringing")
        await here.hang_up_all()
        await work
        await socket.until(lambda s: not s["desk"]["calls"])


async def test_colleagues_see_who_the_other_is(here: Running) -> None:
    wang, li = await here.sit("wang", "8001"), await here.sit("li", "8011")
    here.habit("8001", ring_s=0.3)
    async with wang.socket() as called, li.socket() as caller, (await here.browser("zhang")).socket() as floor:
        await called.join("desk")
        await caller.join("desk")
        await floor.join("floor")
        work = asyncio.create_task(here.pbxs["demo"].seat_calls("8011", "8001"))
        there = await called.until(lambda s: only(s))
        assert (there["phase"], there["direction"], there["number_kind"]) == ("ringing", "internal", "internal")
        assert (there["number"], there["name"], there["matches"]) == ("8011", "李娜", [])
        own = await caller.until(lambda s: only(s))
        assert (own["phase"], own["direction"], own["number_kind"]) == ("ringing", "outbound", "internal")
        assert (own["number"], own["name"]) == ("8001", "王小明")
        for socket, number in ((called, "8011"), (caller, "8001")):
            row = await socket.until(lambda s: only(s).get("phase") == "talking" and only(s))
            assert (row["number"], row["number_kind"]) == (number, "internal")
        seats = await floor.until(
            lambda s: len(talking := [r for r in s["floor"]["seats"].values() if r["state"] == "talking"]) == 2 and talking
        )
        assert {(r["name"], r["with"]["direction"], r["with"]["number"], r["with"]["name"]) for r in seats} == {
            ("王小明", "internal", "8011", "李娜"),
            ("李娜", "internal", "8001", "王小明"),
        }
        await here.hang_up_all()
        await work
    await here.settle()
    call = await here.one(select(Call.__table__).order_by(Call.started_at.desc()))
    assert (call["direction"], call["caller"], call["dialed"], call["outcome"]) == ("internal", "8011", "8001", "answered")
    assert await here.rows(select(CallLink.id).where(CallLink.call_id == call["id"])) == []


async def test_an_empty_seat_that_calls_is_told_by_its_extension(here: Running) -> None:
    wang = await here.sit("wang", "8001")
    async with wang.socket() as socket:
        await socket.join("desk")
        work = asyncio.create_task(here.pbxs["demo"].seat_calls("8012", "8001"))
        row = await socket.until(lambda s: only(s))
        assert (row["number_kind"], row["number"], row["name"]) == ("internal", "8012", "")
        await here.hang_up_all()
        await work


async def test_four_digits_from_outside_make_no_colleague(here: Running) -> None:
    wang, _ = await here.sit("wang", "8001"), await here.sit("li", "8002", state="paused", reason="lunch")
    async with wang.socket() as socket:
        await socket.join("desk")
        here.call(number="8002")
        row = await socket.until(lambda s: only(s).get("looked_up") and only(s))
        assert (row["direction"], row["number_kind"], row["number"], row["name"]) == ("inbound", "odd", "****02", "")
