"""Sign-in beneath the door: sessions, tokens and passwords as the database keeps them; the doors themselves are in tests/web/test_doors."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from config.accounts import first_rows
from config.upgrade import upgrade
from crm_core.entities.org import ApiToken, Session, User
from crm_core.kernel.access import Scope, reach
from crm_core.kernel.clock import ManualClock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotSignedIn, Refusal
from crm_core.kernel.ids import IdMaker
from crm_core.signin import MAX_FAILURES, SignIn, check_password
from tests.web.program import PASSWORD, Running


async def test_the_first_administrator_gets_one_password_once(tmp_path: object) -> None:
    database, clock = Database("sqlite+aiosqlite:///:memory:"), ManualClock()
    await upgrade(database)
    async with database.begin() as db:
        password = await first_rows(db, IdMaker(clock), clock.now())
    assert password is not None and len(password) >= 16
    async with database.begin() as db:
        assert await first_rows(db, IdMaker(clock), clock.now()) is None
        row = (await db.execute(select(User.__table__))).mappings().one()
    assert row["must_change"] and password not in str(dict(row)) and row["password_hash"].startswith("$argon2id$")
    signs = SignIn(database, clock, IdMaker(clock))
    cookie = await signs.sign_in("admin", password, address="here", agent="")
    assert (await signs.visit(cookie)).must_change
    await database.close()


async def test_a_new_password_ends_every_other_session(everywhere: Running) -> None:
    signs = everywhere.program.sign_in
    here, there = [await signs.sign_in("wang", PASSWORD, address="", agent="") for _ in range(2)]
    visit = await signs.visit(here)
    assert (await signs.visit(there)).principal.login == "wang"
    with pytest.raises(Refusal):
        await signs.set_password(visit.principal.user_id, "not the old one", "a long new password", visit.session_id)
    await signs.set_password(visit.principal.user_id, PASSWORD, "a long new password", visit.session_id)
    assert (await signs.visit(here)).principal.login == "wang"
    with pytest.raises(NotSignedIn):
        await signs.visit(there)
    assert await signs.sign_in("wang", "a long new password", address="", agent="")


async def test_many_wrong_passwords_at_once_count_one_by_one(everywhere: Running) -> None:
    signs = everywhere.program.sign_in
    tries = [signs.sign_in("wang", "wrong", address="", agent="") for _ in range(3 * MAX_FAILURES)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert [one.code for one in ends if isinstance(one, Refusal)].count("wrong_password") == MAX_FAILURES
    with pytest.raises(Refusal, match="locked"):
        await signs.sign_in("wang", PASSWORD, address="", agent="")


async def test_what_a_browser_says_of_itself_fits_and_breaks_nothing(everywhere: Running) -> None:
    cookie = await everywhere.program.sign_in.sign_in("wang", PASSWORD, address="\x00" + "9" * 500, agent="\ud800\x00" + "x" * 5000)
    assert (await everywhere.program.sign_in.visit(cookie)).principal.login == "wang"
    row = await everywhere.one(select(Session.__table__))
    assert len(row["agent"]) == 200 and len(row["address"]) == 64


async def test_a_cookie_is_good_for_its_session_only(everywhere: Running) -> None:
    signs = everywhere.program.sign_in
    one, other = [await signs.sign_in("wang", PASSWORD, address="", agent="") for _ in range(2)]
    await signs.sign_out(one)
    with pytest.raises(NotSignedIn):
        await signs.visit(one)
    assert (await signs.visit(other)).principal.login == "wang"
    for wrong in ("", other + "x", other[:-1], "\udcff"):
        with pytest.raises(NotSignedIn):
            await signs.visit(wrong)


async def test_a_token_is_kept_as_a_digest_and_limits_its_person(everywhere: Running) -> None:
    signs = everywhere.program.sign_in
    token = await signs.make_token("zhang", "报表", ("call:see", "floor:see", "token:edit"), 1)
    who = await signs.bearer(token)
    assert reach(who, "see", "call") is Scope.UNIT and reach(who, "see", "customer") is Scope.NONE
    assert reach(who, "edit", "token") is Scope.NONE, "a scope gives no right that its person lacks"
    assert token not in str(await everywhere.rows(select(ApiToken.__table__)))
    everywhere.clock.pass_time(86401)
    with pytest.raises(NotSignedIn):
        await signs.bearer(token)


async def test_a_token_of_somebody_who_left_opens_nothing(program: Running) -> None:
    token = await program.program.sign_in.make_token("zhang", "", ("call:see",), 1)
    async with program.program.database.begin() as db:
        await db.execute(update(User).where(User.login == "zhang").values(active=False))
    with pytest.raises(NotSignedIn):
        await program.program.sign_in.bearer(token)


@pytest.mark.parametrize("scope", ["", "call", "call:", ":see", "call see", "*:*", "call:see;x"])
async def test_a_scope_that_is_none_is_refused(program: Running, scope: str) -> None:
    with pytest.raises(Refusal, match="wrong_scope"):
        await program.program.sign_in.make_token("zhang", "", (scope,), 1)


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("a sentence is good", True),
        ("short", False),
        ("wang and his dog", False),
        ("1111111111112222", False),
        ("密码是一句很长的话哦", True),
    ],
)
def test_a_password_is_long_and_not_too_easy(password: str, good: bool) -> None:
    if good:
        check_password(password, "wang")
    else:
        with pytest.raises(Refusal, match="weak_password"):
            check_password(password, "wang")
