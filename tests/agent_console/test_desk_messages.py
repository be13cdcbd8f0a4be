"""What is sent to a desk while calls come and go: few messages, none that shows half of what happened, and the state they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent_console.projection import POP_DEADLINE_S, TABLES, Desks
from crm_core.kernel.feed import Feed
from crm_core.kernel.feeds import Feeds
from crm_core.matches import Match
from crm_core.places import NOWHERE
from cti.events import CallStarted, Direction, OfferEnded
from cti.pbx_events import OfferResult
from tests.services.house import House, house


class Screen:
    """A tab that follows one desk: it keeps the messages and applies them as a browser does."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.events: list[dict[str, Any]] = []
        self.state: dict[str, dict[str, Any]] = {}
        feed.join(None, self._take)

    def _take(self, data: bytes) -> None:
        message = orjson.loads(data)
        if message["t"] == "snapshot":
            self.state = message["state"]
            return
        self.events.append(message)
        for table, key, row in message["put"]:
            self.state.setdefault(table, {})[key] = row
        for table, key in message["drop"]:
            self.state[table].pop(key, None)

    def told(self) -> list[tuple[str, set[str]]]:
        """Every event since the last time, with the tables it put or dropped rows of; and the state is that of the desk."""
        assert self.state == self.feed.state
        found = [(e["name"], {table for table, *_ in (*e["put"], *e["drop"])}) for e in self.events]
        self.events.clear()
        return found


@pytest.fixture
async def here(filled: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(filled, tmp_path) as found:
        yield found


async def desk_of_wang(here: House) -> tuple[Desks, Screen]:
    feeds = Feeds(lambda address: Feed(address.name, TABLES))
    desks = Desks(
        here.bus, feeds, here.seats, here.links, here.clock, NOWHERE, principal=here.directory.principal, titles=here.directory.title,
        pbx_up=lambda _: True, waiting=lambda _unit, name: {"title": name, "waiting": 0, "longest_since": None},
    )  # fmt: skip
    sitting = await here.sit("wang", "8001")
    return desks, Screen(desks.feed(here.unit_id, sitting.user_id))


class SlowLookup:
    """A database that answers when it is let."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    def find_now(self, _unit_id: int, _key: str) -> Sequence[Match] | None:
        return None

    async def find(self, _unit_id: int, _key: str) -> Sequence[Match]:
        await self.answers.wait()
        return ()

    async def close(self) -> None: ...


def rings(here: House, call_id: int) -> None:
    """A call is there, and the phone of 8001 is rung."""
    direction = Direction.INBOUND
    here.say(CallStarted, call_id=call_id, direction=direction, caller="13900007777", caller_name="", dialed="0571")
    here.ring("8001", call_id)


async def test_a_call_from_ringing_to_ready_is_four_messages_each_with_its_seat(here: House) -> None:
    _, screen = await desk_of_wang(here)
    rings(here, 5)
    assert screen.told() == [("call.offered", {"seat", "calls"})]
    assert screen.state["seat"]["me"]["state"] == screen.state["calls"]["5"]["phase"] == "ringing"
    here.answer("8001", 5)
    assert screen.told() == [("call.answered", {"seat", "calls"})]
    assert screen.state["seat"]["me"]["state"] == screen.state["calls"]["5"]["phase"] == "talking"
    here.leave("8001", 5)
    assert screen.told() == [("seat.changed", {"seat", "calls"})]
    assert screen.state["seat"]["me"]["state"] == screen.state["calls"]["5"]["phase"] == "wrap_up"
    here.wrap_up_passes(here.seats.all()[0])
    assert screen.told() == [("seat.changed", {"seat", "calls"})]
    assert screen.state["seat"]["me"]["state"] == "ready" and not screen.state["calls"]


async def test_a_ringing_nobody_answers_goes_with_its_seat(here: House) -> None:
    _, screen = await desk_of_wang(here)
    rings(here, 6)
    screen.told()
    here.say(OfferEnded, call_id=6, offer_id=7, extension="8001", queue="support", result=OfferResult.NO_ANSWER, rang_s=15.0)
    assert screen.told() == [("call.offer_ended", {"seat", "calls"})]
    assert screen.state["seat"]["me"]["state"] == "ready" and not screen.state["calls"]


async def test_the_card_is_there_in_the_same_breath_where_the_answer_is_at_hand(here: House) -> None:
    _, screen = await desk_of_wang(here)
    rings(here, 5)
    assert screen.state["calls"]["5"]["looked_up"] is True


async def test_a_card_that_comes_late_is_a_message_of_its_own(here: House) -> None:
    lookup = here.links._lookup = SlowLookup()
    _, screen = await desk_of_wang(here)
    rings(here, 8)
    assert screen.told() == [("seat.changed", {"seat"})]
    await asyncio.sleep(POP_DEADLINE_S + 0.02)
    assert screen.told() == [("call.offered", {"calls"})]
    assert screen.state["calls"]["8"]["looked_up"] is False
    lookup.answers.set()
    await asyncio.sleep(0.01)
    assert screen.told() == [("call.caller_known", {"calls"})]
    assert screen.state["calls"]["8"]["looked_up"] is True
