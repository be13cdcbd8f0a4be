"""The look-up beneath the pop, on both databases: a number finds its owners of one unit and of no other, oldest first, whatever it holds."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from crm_core.entities.people import ContactPoint, Customer
from crm_core.lookup import SqliteLookup
from crm_core.matches import Match
from cti.storage import Pbx
from tests.web.program import SHARED_NUMBER, Running


async def unit_of(here: Running, pbx: str) -> int:
    return int((await here.one(select(Pbx.unit_id).where(Pbx.name == pbx)))["unit_id"])


async def test_a_number_of_two_units_finds_in_each_its_own_owner(everywhere: Running) -> None:
    key = f"+86{SHARED_NUMBER}"
    for pbx, name in (("demo", "杭州同号公司"), ("other", "Schmidt GmbH")):
        unit_id = await unit_of(everywhere, pbx)
        found = await everywhere.program.lookup.find(unit_id, key)
        assert [(m.customer, m.unit_id) for m in found] == [(name, unit_id)]
    assert list(await everywhere.program.lookup.find(12345, key)) == []


async def test_every_owner_of_a_number_is_found(everywhere: Running) -> None:
    unit_id = await unit_of(everywhere, "demo")
    rows = await everywhere.rows(select(ContactPoint.key, ContactPoint.customer_id).where(ContactPoint.unit_id == unit_id))
    owners: dict[str, set[int]] = {}
    for row in rows:
        owners.setdefault(row["key"], set()).add(row["customer_id"])
    assert max(map(len, owners.values())) >= 2, "some number belongs to two"
    found = await asyncio.gather(*(everywhere.program.lookup.find(unit_id, key) for key in owners))
    assert [{m.customer_id for m in one} for one in found] == list(owners.values())
    names = {row["id"]: row["name"] for row in await everywhere.rows(select(Customer.id, Customer.name))}
    assert all(names[m.customer_id] == m.customer for one in found for m in one)


@pytest.mark.parametrize("key", ["", "+", "' or 1=1 --", "%", "+86%", "9" * 400, "😀"])
async def test_what_is_no_key_finds_nobody(everywhere: Running, key: str) -> None:
    assert list(await everywhere.program.lookup.find(await unit_of(everywhere, "demo"), key)) == []


async def test_a_call_is_never_linked_to_a_customer_of_another_unit(program: Running) -> None:
    for pbx, to, name in (("demo", "4008880000", "杭州同号公司"), ("other", "03000000", "Schmidt GmbH")):
        before = set(program.program.links.known)
        task = program.call(number=SHARED_NUMBER, to=to, pbx=pbx, patience_s=0.3)
        while not (new := set(program.program.links.known) - before):
            await asyncio.sleep(0.01)
        customer_id = program.program.links.customer_of(new.pop())
        assert (await program.one(select(Customer.name).where(Customer.id == customer_id)))["name"] == name
        await task


class Slow(SqliteLookup):
    """On a disk where every answer is a slow one; notes the threads that asked."""

    SLOW_S = 0.0

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.threads: list[int] = []

    def _find_aside(self, unit_id: int, key: str) -> Sequence[Match]:
        self.threads.append(threading.get_ident())
        return super()._find_aside(unit_id, key)


async def test_a_slow_disk_holds_the_loop_up_once_and_then_only_a_thread(program: Running) -> None:
    unit_id, key = await unit_of(program, "demo"), f"+86{SHARED_NUMBER}"
    lookup = Slow(program.program.database.url.split(":///", 1)[1])
    first, second = await lookup.find(unit_id, key), await lookup.find(unit_id, key)
    assert first
    assert first == second
    assert len(lookup.threads) == 1
    assert lookup.threads[0] != threading.get_ident()
    await lookup.close()


async def test_a_database_that_is_locked_does_not_stop_the_loop(program: Running, tmp_path: Path) -> None:
    unit_id, key = await unit_of(program, "demo"), f"+86{SHARED_NUMBER}"
    copy = tmp_path / "locked.sqlite3"
    source = sqlite3.connect(program.program.database.url.split(":///", 1)[1])
    locker = sqlite3.connect(copy)
    source.backup(locker)
    source.close()
    locker.executescript("pragma journal_mode=delete; begin exclusive;")
    lookup = SqliteLookup(str(copy))
    asked = asyncio.create_task(lookup.find(unit_id, key))
    done, _ = await asyncio.wait([asked], timeout=0.3)  # the loop turned meanwhile, or this would not have come back
    assert not done
    locker.rollback()
    assert [m.customer for m in await asked] == ["杭州同号公司"]
    locker.close()
    await lookup.close()
