"""The look-up beneath the pop, on both databases: a number finds its owners of one unit and of no other, oldest first, whatever it holds."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from crm_core.entities.people import ContactPoint, Customer
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
