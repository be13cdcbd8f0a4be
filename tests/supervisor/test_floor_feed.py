"""The floor's feed: what nobody looks at is not drawn, and whoever looks sees what is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from crm_core.kernel.feed import Feed
from crm_core.kernel.feeds import Feeds
from supervisor.projection import GATHER_S, TABLES, Floors
from tests.services.house import House, house


@pytest.fixture
async def here(filled: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(filled, tmp_path) as found:
        yield found


def floors_of(here: House) -> Floors:
    d = here.directory
    feeds = Feeds(lambda address: Feed(address.name, TABLES))
    return Floors(here.bus, feeds, here.seats, d.people, d.queues, d.title, lambda _: {"up": True, "since": None, "why": ""})


def state_of(feed: Feed, user_id: int) -> str:
    return str(feed.state["seats"][str(user_id)]["state"])


async def test_a_floor_that_nobody_looks_at_is_drawn_when_somebody_looks(here: House) -> None:
    floors = floors_of(here)
    feed = floors.feed(here.unit_id)
    sitting = await here.sit("wang", "8001")
    here.ring("8001", 5)
    await asyncio.sleep(GATHER_S * 1.5)
    assert state_of(feed, sitting.user_id) == "signed_out" and feed.seq == 1, "nothing was drawn"
    assert state_of(floors.feed(here.unit_id), sitting.user_id) == "ringing"
    drawn = feed.seq
    assert floors.feed(here.unit_id).seq == drawn, "what did not change is not told again"


async def test_whoever_follows_is_told_in_a_moment_and_events_make_the_state(here: House) -> None:
    floors = floors_of(here)
    seen: dict[str, dict[str, Any]] = {}

    def take(data: bytes) -> None:
        message = orjson.loads(data)
        if message["t"] == "snapshot":
            seen.update(message["state"])
            return
        for table, key, row in message["put"]:
            seen.setdefault(table, {})[key] = row
        for table, key in message["drop"]:
            seen[table].pop(key, None)

    sitting = await here.sit("wang", "8001")
    feed = floors.feed(here.unit_id)
    leave = feed.join(None, take)
    here.ring("8001", 5)
    await asyncio.sleep(GATHER_S * 1.5)
    assert seen["seats"][str(sitting.user_id)]["state"] == "ringing" and seen == feed.state
    leave()
    here.answer("8001", 5)
    await asyncio.sleep(GATHER_S * 1.5)
    assert state_of(feed, sitting.user_id) == "ringing", "nobody looks any more"
    since = feed.cursor
    floors.feed(here.unit_id).join(since, take)
    assert seen["seats"][str(sitting.user_id)]["state"] == "talking" and seen == feed.state, "who resumes gets what was not drawn"
