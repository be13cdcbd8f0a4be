"""Customers: found, made and changed, each by right; two who change the same one do not overwrite one another unseen. On both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from crm_core.customers import PAGE, Customers
from crm_core.entities.org import Audit, User
from crm_core.entities.people import ContactPoint, Customer
from crm_core.kernel.access import Principal, Scope
from crm_core.kernel.errors import NotAllowed, NotFound, Refusal
from crm_core.signin import principal_of
from tests.web.program import Running


async def person(here: Running, login: str) -> Principal:
    async with here.program.database.read() as db:
        return await principal_of(db, await here.user_id(login))


def customers(here: Running) -> Customers:
    return here.program.customers


def limited(who: Principal, action: str, scope: Scope) -> Principal:
    return replace(who, grants={**who.grants, ("customer", action): scope})


async def test_a_customer_is_made_found_and_read(everywhere: Running) -> None:
    wang = await person(everywhere, "wang")
    made = await customers(everywhere).create(
        wang, name="浙江宏远机械", kind="company", level="A", contact="张建国", numbers=["138 1234 1234", "0571-88123456"]
    )
    for words in ("宏远", "zjhy", "13812341234", "1234", "0571-88123456", "浙江宏远机械"):
        found = await customers(everywhere).page(wang, words)
        assert made in [row["id"] for row in found.rows], words
    card = await customers(everywhere).card(wang, made)
    assert [(p.shown, p.kind) for p in card.points] == [("138****1234", "mobile"), ("0571****3456", "landline")]
    assert card.contacts[0]["name"] == "张建国" and card.owner == "王小明"
    zhang = await person(everywhere, "zhang")
    assert (await customers(everywhere).card(zhang, made)).points[0].shown == "13812341234"
    notes = await everywhere.rows(select(Audit.action, Audit.user_id).where(Audit.thing_id == made))
    assert notes == [{"action": "create", "user_id": wang.user_id}]


WRONG = [
    ({"name": ""}, "no_name"), ({"name": " \u202e\x00 "}, "no_name"), ({"name": "x", "kind": "robot"}, "wrong_kind"),
    ({"name": "x", "level": "Z"}, "wrong_level"), ({"name": "x", "numbers": ["8001"]}, "wrong_number"), ({"name": "x", "numbers": ["anonymous"]}, "wrong_number"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "code"), WRONG, ids=lambda value: str(value)[:30])
async def test_what_is_wrong_with_a_new_customer_is_named_and_nothing_is_made(
    program: Running, values: dict[str, Any], code: str
) -> None:
    before = len(await program.rows(select(Customer.id)))
    with pytest.raises(Refusal) as refusal:
        await customers(program).create(await person(program, "wang"), **values)
    assert refusal.value.code == code
    assert len(await program.rows(select(Customer.id))) == before


async def test_the_longest_words_fit_on_every_database(everywhere: Running) -> None:
    wang, long = await person(everywhere, "wang"), "İ长\x00🦊" * 3000
    made = await customers(everywhere).create(wang, name=long, kind="company", region=long, contact=long, numbers=["9" * 400])
    await customers(everywhere).change(wang, made, None, name=long, region=long, industry=long, remark=long)
    row = await everywhere.one(select(Customer.__table__).where(Customer.id == made))
    assert len(row["remark"]) == 2000 and "\x00" not in row["remark"] + row["name"] + row["region"]


async def test_the_second_of_two_who_change_the_same_customer_is_told(everywhere: Running) -> None:
    wang, li = await person(everywhere, "wang"), await person(everywhere, "li")
    made = await customers(everywhere).create(wang, name="两人改")
    seen = (await customers(everywhere).card(li, made)).row["changed_at"]
    everywhere.clock.pass_time(1)
    await customers(everywhere).change(wang, made, seen, remark="wang's")
    with pytest.raises(Refusal) as refusal:
        await customers(everywhere).change(li, made, seen, remark="li's")
    assert refusal.value.code == "changed_meanwhile"
    assert (await customers(everywhere).card(wang, made)).row["remark"] == "wang's"
    now = (await customers(everywhere).card(li, made)).row["changed_at"]
    await customers(everywhere).change(li, made, now, remark="li's")


async def test_of_many_changes_at_once_one_is_taken(everywhere: Running) -> None:
    wang = await person(everywhere, "wang")
    made = await customers(everywhere).create(wang, name="一起改")
    seen = (await customers(everywhere).card(wang, made)).row["changed_at"]
    everywhere.clock.pass_time(1)
    tries = [customers(everywhere).change(wang, made, seen, remark=f"{n}") for n in range(6)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(one).__name__ for one in ends].count("NoneType") == 1


async def test_a_right_reaches_as_far_as_its_scope(program: Running) -> None:
    wang = await person(program, "wang")
    mine = await customers(program).create(wang, name="我的")
    team = await customers(program).create(await person(program, "li"), name="组里的")
    async with program.program.database.begin() as db:
        feng = (await db.execute(select(User.id, User.team_id).where(User.login == "feng"))).one()
        await db.execute(update(Customer).where(Customer.id == team).values(team_id=wang.team_id))
    other = await customers(program).create(replace(wang, user_id=feng.id, team_id=feng.team_id), name="别组的")
    for scope, expected in ((Scope.OWN, {mine}), (Scope.TEAM, {mine, team}), (Scope.UNIT, {mine, team, other})):
        who = limited(wang, "see", scope)
        page = await customers(program).page(who, "的")
        assert {row["id"] for row in page.rows} == expected
        for customer in (mine, team, other):
            if customer in expected:
                await customers(program).exists(who, customer)
            else:
                with pytest.raises(NotFound):
                    await customers(program).card(who, customer)
                with pytest.raises(NotFound):
                    await customers(program).change(who, customer, None, name="x")
    with pytest.raises(NotAllowed):
        await customers(program).change(limited(wang, "edit", Scope.OWN), other, None, name="x")
    with pytest.raises(NotAllowed):
        await customers(program).page(limited(wang, "see", Scope.NONE))


async def test_dialling_goes_by_a_number_s_identifier_within_one_s_own_unit(program: Running) -> None:
    points = await program.rows(
        select(ContactPoint.id, ContactPoint.key).where(ContactPoint.key == "+8613900007777").order_by(ContactPoint.id)
    )
    wang, heinz = await person(program, "wang"), await person(program, "heinz")
    assert (await customers(program).dialable(wang, points[0]["id"]))[1] == "+8613900007777"
    for who, point in ((heinz, points[0]), (wang, points[1])):
        with pytest.raises(NotFound):
            await customers(program).dialable(who, point["id"])
    with pytest.raises(NotFound):
        await customers(program).dialable(wang, 5)


async def test_pages_together_hold_every_customer_once(everywhere: Running) -> None:
    wang = await person(everywhere, "wang")
    for sort in ("-last", "name", "-number", "created", "nonsense"):
        first = await customers(everywhere).page(wang, sort=sort)
        pages = (first.count + PAGE - 1) // PAGE
        ids = [row["id"] for n in range(1, pages + 1) for row in (await customers(everywhere).page(wang, sort=sort, page=n)).rows]
        assert len(ids) == len(set(ids)) == first.count and not first.more


@pytest.mark.parametrize("words", ["%", "_", "\\", "'; drop table customer; --", "%%%%", "a" * 500, "😀", "\\%", "100%"])
async def test_what_is_searched_is_a_text_and_no_pattern(everywhere: Running, words: str) -> None:
    assert (await customers(everywhere).page(await person(everywhere, "wang"), words)).count == 0
