"""Roles and rights: the matrix, who gains and loses what, changes that hold at once for pages, API and sockets, and nobody locked out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from config.accounts import grant_new_kinds
from config.system import OTHERS
from crm_core.entities.org import Audit, Department, RoleGrant, User
from crm_core.kernel.access import ROLES
from crm_core.kernel.words import chinese
from crm_core.system.rights import ACTION_WORDS, SCOPE_WORDS
from crm_core.web.socket import SIGNED_OUT
from tests.web.program import Running

BASE = "/api/v1/system/roles"


def change(role: str, right: str, was: str, scope: str) -> dict[str, str]:
    kind, _, action = right.partition(":")
    return {"role": role, "kind": kind, "action": action, "was": was, "scope": scope}


def cells(*changes: dict[str, str]) -> dict[str, Any]:
    return {"changes": list(changes)}


def test_every_right_that_a_role_starts_with_can_be_granted_in_words(program: Running) -> None:
    known = {
        f"{kind}:{action}" for kind in [k.kind for k in OTHERS] for action in next(o for o in OTHERS if o.kind == kind).actions
    }
    records = {f"{kind.name}:{action}" for kind in program.program.records.registry for action in ACTION_WORDS}
    started = {f"{grant.kind}:{grant.action}" for grants in ROLES.values() for grant in grants}
    assert started - known - records == set()
    words = {label for kind in OTHERS for label in (kind.label, *kind.actions.values())} | {
        *ACTION_WORDS.values(),
        *SCOPE_WORDS.values(),
    }
    assert {word for word in words if word not in chinese()} == set()


async def test_who_gains_and_loses_is_told_before_anything_is_saved(program: Running) -> None:
    admin = await program.browser("admin")
    wanted = cells(change("agent", "ticket:delete", "none", "own"), change("agent", "customer:create", "unit", "none"))
    effects = (await admin.post(f"{BASE}/effects", wanted)).json["effects"]
    people = [
        r["name"]
        for r in await program.rows(
            select(User.name).where(User.role == "agent", User.active, User.login != "heinz").order_by(User.name)
        )
    ]
    assert [(one["action"], one["gains"], one["count"], one["people"]) for one in effects] == [
        ("delete", True, len(people), people), ("create", False, len(people), people),
    ]  # fmt: skip
    assert "Heinz" not in people and len(people) > 2
    assert (await (await program.browser("wang")).get("/customers/new")).status == 200, "nothing was changed"


async def test_a_change_holds_at_once_for_pages_the_api_the_directory_and_open_sockets(everywhere: Running) -> None:
    admin, wang = await everywhere.browser("admin"), await everywhere.browser("wang")
    token = await everywhere.token("wang", "customer:create", "number:see_whole")
    assert (await wang.get("/customers/new")).status == 200
    user_id = await everywhere.user_id("wang")
    async with wang.socket() as socket:
        await socket.join("desk")
        saved = await admin.put(
            BASE, cells(change("agent", "customer:create", "unit", "none"), change("agent", "number:see_whole", "none", "unit"))
        )
        assert saved.status == 204, saved.text
        while await socket.next(5) is not None:
            pass
        assert socket.closed == SIGNED_OUT
    assert (await wang.get("/customers/new")).status == 403
    assert (await wang.post("/api/v1/customers", {"name": "x"})).status == 403
    assert (await token.post("/api/v1/customers", {"name": "x"})).status == 403
    person = everywhere.program.directory.principal(user_id)
    assert person is not None and person.grants["number", "see_whole"] > 0 and not person.grants["customer", "create"]
    log = await everywhere.rows(select(Audit.user_id, Audit.detail).where(Audit.kind == "role"))
    told = {"name": "agent", "set": {"customer:create": ["unit", "none"], "number:see_whole": ["none", "unit"]}}
    assert [(one["user_id"], json.loads(one["detail"])) for one in log] == [(await everywhere.user_id("admin"), told)]
    page = (await admin.get("/system/roles?role=agent")).text
    assert 'data-test="role-history"' in page and page.count('data-test="cell"') > 40


async def test_what_was_taken_away_stays_away_over_a_new_start(program: Running) -> None:
    admin = await program.browser("admin")
    kinds = {(r["role"], r["action"], r["scope"]) for r in await program.rows(select(RoleGrant).where(RoleGrant.kind == "demo"))}
    assert kinds == {("administrator", "use", 4)}
    assert (await admin.put(BASE, cells(change("administrator", "demo:use", "unit", "none")))).status == 204
    await grant_new_kinds(program.program.database, program.program.new_id)
    unit_id = program.program.lines[next(iter(program.program.lines))].unit_id
    rows = await program.rows(select(RoleGrant.scope).where(RoleGrant.kind == "demo", RoleGrant.unit_id == unit_id))
    assert [row["scope"] for row in rows] == [0]


async def test_nobody_takes_the_last_right_to_change_rights_away(everywhere: Running) -> None:
    admin = await everywhere.browser("admin")
    last = change("administrator", "role:edit", "unit", "none")
    for path, method in ((f"{BASE}/effects", "POST"), (BASE, "PUT")):
        answer = await admin.ask(method, path, cells(last))
        assert (answer.status, answer.json["error"]) == (409, "last_administrator")
    async with everywhere.program.database.begin() as db:
        await db.execute(update(User).where(User.role == "reviewer").values(active=False))
    answer = await admin.put(BASE, cells(last, change("reviewer", "role:edit", "none", "unit")))
    assert answer.status == 409, "a role without people is nobody"
    assert (await admin.put(BASE, cells(last, change("supervisor", "role:edit", "none", "unit")))).status == 204
    assert (await admin.get("/system/roles")).status == 403
    assert (await (await everywhere.browser("zhang")).get("/system/roles")).status == 200


async def test_of_two_who_change_the_same_right_the_second_is_told(program: Running) -> None:
    admin = await program.browser("admin")
    assert (await admin.put(BASE, cells(change("agent", "ticket:delete", "none", "own")))).status == 204
    answer = await admin.put(
        BASE, cells(change("agent", "ticket:delete", "none", "team"), change("agent", "task:export", "none", "unit"))
    )
    assert (answer.status, answer.json["error"]) == (409, "changed_meanwhile")
    assert not [
        r for r in (await admin.get(BASE)).json["grants"] if (r["role"], r["kind"], r["action"]) == ("agent", "task", "export")
    ]


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        (change("agent", "ticket:fly", "none", "own"), 404), (change("agent", "nothing:see", "none", "own"), 404),
        (change("pirate", "ticket:see", "none", "own"), 404), (change("agent", "ticket:delete", "none", "everything"), 400),
        (change("agent", "ticket:delete", "none", "all"), 403), ({"role": "agent"}, 400),
        ({**change("agent", "ticket:delete", "none", "own"), "unit_id": "1"}, 400),
    ],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_odd_changes_are_refused(shared: Running, cell: dict[str, str], status: int) -> None:
    admin = await shared.browser("admin")
    assert (await admin.put(BASE, cells(cell))).status == status
    assert (await admin.post(f"{BASE}/effects", cells(cell))).status == status


async def test_the_other_unit_keeps_its_rights(program: Running) -> None:
    admin, karla = await program.browser("admin"), await program.browser("karla")
    assert (await admin.put(BASE, cells(change("supervisor", "product:create", "unit", "none")))).status == 204
    assert (await karla.get("/products/new")).status == 200
    assert (await (await program.browser("zhang")).get("/products/new")).status == 403


async def test_the_preview_is_what_somebody_may_in_words(program: Running) -> None:
    admin, wang = await program.browser("admin"), await program.user_id("wang")
    seen = (await admin.get(f"{BASE}/preview?person={wang}")).json
    rights = {f"{one['kind']}:{one['action']}": one["scope"] for one in seen["rights"]}
    assert rights["call:see"] == "本人" and rights["ticket:see"] == "全单位" and "ticket:purge" not in rights
    assert len(rights) == len(ROLES["agent"]) and "系统" not in seen["pages"] and "客户" in seen["pages"]
    for lang in ("zh", "en"):
        await admin.put("/api/v1/me/looks", {"lang": lang})
        for path in (f"/system/roles/preview?person={wang}", "/system/roles", "/system/roles?role=guest"):
            page = await admin.get(path)
            assert page.status == 200, page.text[:300]
    for odd in (str(await program.user_id("heinz")), "1"):
        assert (await admin.get(f"{BASE}/preview?person={odd}")).status == 404
    assert (await admin.get("/system/roles/preview?person=x")).status in (400, 404)
    assert (await admin.get("/system/roles?role=pirate")).status == 404


async def test_a_department_s_head_reaches_what_is_below(program: Running) -> None:
    new_id, zhang = program.program.new_id, await program.one(select(User.id, User.unit_id).where(User.login == "zhang"))
    top, middle, low, beside = (new_id() for _ in range(4))
    async with program.program.database.begin() as db:
        for id_, parent in ((top, None), (middle, top), (low, middle), (beside, None)):
            await db.execute(insert(Department).values(id=id_, unit_id=zhang["unit_id"], parent_id=parent, name=str(id_)))
        await db.execute(update(User).where(User.id == zhang["id"]).values(department_id=middle))
    await program.program.directory.load()
    person = program.program.directory.principal(zhang["id"])
    assert person is not None and person.departments == {middle, low}
    program.program.sign_in.forget()
    browser = await program.browser("zhang", fresh=True)
    visit = await program.program.sign_in.visit(next(c.value for c in browser.session.cookie_jar if c.key == "lingxi"))
    assert visit.principal.departments == {middle, low}
