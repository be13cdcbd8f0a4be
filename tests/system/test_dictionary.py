"""The data dictionary as people change it: adding, renaming, colouring, ordering, retiring; each told in the audit log, each of one unit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from crm_core.entities.org import Audit
from tests.web.program import Browser, Running

BASE = "/api/v1/system/dictionary"


async def options(browser: Browser, name: str) -> dict[str, dict[str, Any]]:
    lists = (await browser.get(BASE)).json["lists"]
    return {one["key"]: one for one in next(one["options"] for one in lists if one["name"] == name)}


async def test_an_option_is_added_renamed_coloured_and_offered_at_once(everywhere: Running) -> None:
    boss = await everywhere.browser("zhang")
    made = await boss.post(f"{BASE}/options", {"list": "ticket_kind", "zh": "保养", "en": "Regular service", "tone": "teal"})
    assert (made.status, made.json) == (200, {"key": "regular_service"})
    again = await boss.post(f"{BASE}/options", {"list": "ticket_kind", "en": "Regular service"})
    assert again.json == {"key": "regular_service_2"}, "the same words make another key"
    change = {"list": "ticket_kind", "key": "regular_service", "zh": "定期保养", "tone": "violet"}
    assert (await boss.put(f"{BASE}/options", change)).status == 204
    one = (await options(boss, "ticket_kind"))["regular_service"]
    assert (one["zh"], one["en"], one["tone"], one["retired"]) == ("定期保养", "Regular service", "violet", False)
    assert "定期保养" in (await boss.get("/tickets/new")).text
    assert (await boss.post("/api/v1/tickets", {"subject": "x", "kind": "regular_service"})).status == 200
    assert (await options(boss, "ticket_kind"))["regular_service"]["used"] == 1


async def test_renaming_one_of_the_product_s_own_moves_nothing(program: Running) -> None:
    boss = await program.browser("zhang")
    before = list(await options(boss, "priority"))
    for key in (before[2], before[0]):
        assert (await boss.put(f"{BASE}/options", {"list": "priority", "key": key, "en": f"Our {key}"})).status == 204
    after = await options(boss, "priority")
    assert list(after) == before and after[before[0]]["en"] == f"Our {before[0]}"
    made = (await boss.post(f"{BASE}/options", {"list": "priority", "en": "Some day"})).json["key"]
    assert list(await options(boss, "priority")) == [*before, made], "what is added stands at the end"


async def test_the_order_is_kept_and_one_that_is_stale_is_refused(program: Running) -> None:
    boss = await program.browser("zhang")
    turned = list(reversed(await options(boss, "priority")))
    assert (await boss.put(f"{BASE}/order", {"list": "priority", "keys": turned})).status == 204
    assert list(await options(boss, "priority")) == turned
    page = (await boss.get("/system/dictionary?list=priority")).text
    assert [page.index(f'data-key="{key}"') for key in turned] == sorted(page.index(f'data-key="{key}"') for key in turned)
    for keys in (turned[1:], [*turned, "new"], [*turned[:-1], turned[0]], []):
        assert (await boss.put(f"{BASE}/order", {"list": "priority", "keys": keys})).status == 409


async def test_a_retired_option_is_kept_on_old_records_and_comes_back(program: Running) -> None:
    boss = await program.browser("zhang")
    ticket = (await boss.post("/api/v1/tickets", {"subject": "old", "kind": "wish"})).json["id"]
    assert (await boss.put(f"{BASE}/options", {"list": "ticket_kind", "key": "wish", "retired": True})).status == 204
    assert (await boss.post("/api/v1/tickets", {"subject": "x", "kind": "wish"})).json["error"] == "wrong_fields"
    assert (await boss.put(f"/api/v1/tickets/{ticket}", {"subject": "still", "kind": "wish", "version": 1})).status == 200
    assert "bring-back" in (await boss.get("/system/dictionary?list=ticket_kind")).text
    assert (await boss.put(f"{BASE}/options", {"list": "ticket_kind", "key": "wish", "retired": False})).status == 204
    assert (await boss.post("/api/v1/tickets", {"subject": "x", "kind": "wish"})).status == 200


async def test_each_change_is_one_line_of_the_audit_log(program: Running) -> None:
    boss = await program.browser("zhang")
    await boss.put(f"{BASE}/options", {"list": "priority", "key": "low", "zh": "不急"})
    await boss.put(f"{BASE}/options", {"list": "priority", "key": "low", "zh": "不急"})
    await boss.put(f"{BASE}/options", {"list": "priority", "key": "low", "tone": "pink"})
    lines = await program.rows(select(Audit.user_id, Audit.action, Audit.detail).where(Audit.kind == "dictionary"))
    assert [(one["user_id"], one["action"]) for one in lines] == [(await program.user_id("zhang"), "change")]
    assert json.loads(lines[0]["detail"]) == {"name": "priority/low", "set": {"zh": ["", "不急"]}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "options", {"list": "no such list", "en": "X"}, 404), ("POST", "options", {"list": "priority"}, 400),
        ("POST", "options", {"list": "priority", "en": " \x00\n "}, 400), ("POST", "options", {"list": "priority", "en": "X", "tone": "pink"}, 400),
        ("POST", "options", {"list": "priority", "en": "X", "key": "a/b?c"}, 400), ("POST", "options", {"list": "priority", "en": "X", "key": "low"}, 409),
        ("POST", "options", {"list": "priority", "en": "X", "unit_id": 1}, 400), ("POST", "options", {"list": 7, "en": None}, 400),
        ("PUT", "options", {"list": "priority", "key": "nobody", "en": "X"}, 404), ("PUT", "options", {"list": "", "key": "low", "en": "X"}, 404),
        ("PUT", "options", {"list": "priority", "key": "low", "tone": ""}, 400), ("PUT", "order", {"list": "nowhere", "keys": []}, 404),
    ],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_odd_input_is_refused(shared: Running, method: str, path: str, body: Any, status: int) -> None:
    boss = await shared.browser("zhang")
    assert (await boss.ask(method, f"{BASE}/{path}", body)).status == status


async def test_names_are_texts_on_the_page(program: Running) -> None:
    boss = await program.browser("zhang")
    await boss.post(f"{BASE}/options", {"list": "priority", "zh": '<script>alert(1)</script>" onclick="x', "key": "odd"})
    for lang in ("zh", "en"):
        await boss.put("/api/v1/me/looks", {"lang": lang})
        page = await boss.get("/system/dictionary?list=priority")
        assert page.status == 200 and "<script>alert" not in page.text and '" onclick="' not in page.text
    assert (await boss.get("/system/dictionary?list=nowhere")).status == 404


async def test_another_unit_keeps_its_own_words(program: Running) -> None:
    boss, karla = await program.browser("zhang"), await program.browser("karla")
    await boss.put(f"{BASE}/options", {"list": "priority", "key": "low", "en": "Whenever", "retired": True})
    await boss.post(f"{BASE}/options", {"list": "priority", "en": "Only here"})
    theirs = await options(karla, "priority")
    assert "only_here" not in theirs and theirs["low"]["said"] != "Whenever" and not theirs["low"]["retired"]


async def test_the_first_page_of_system_is_the_first_one_that_is_theirs(program: Running) -> None:
    for login, status in (("zhang", 303), ("admin", 303), ("wang", 403), ("guest", 403)):
        answer = await (await program.browser(login)).get("/system")
        assert answer.status == status, login
    assert answer.status == 403
    page = (await (await program.browser("zhang")).get("/system/dictionary")).text
    assert 'data-test="nav-system"' in page and 'data-test="tab-roles"' not in page
    assert 'data-test="nav-system"' not in (await (await program.browser("wang")).get("/customers")).text
