"""One box over everything: customers and records by name, initials, number and last digits, for those who may see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.test_every_record import KINDS, made
from tests.web.program import Browser, Running
from tests.web.things import customer_called

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found(browser: Browser, words: str) -> list[dict[str, Any]]:
    answer = await browser.get("/api/v1/search", params={"q": words})
    assert answer.status == 200, answer.text
    hits: list[dict[str, Any]] = answer.json["hits"]
    return hits


async def test_everything_is_found_by_what_people_know_of_it(shared_everywhere: Running) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    for kind in KINDS:
        record = await made(admin, kind, 0, customer, **{kind.entity.title: f"紫外线灯 {kind.name}"})
        assert f"/{kind.entity.path}/{record}" in [hit["href"] for hit in await found(admin, f"外线灯 {kind.name}")]
    assert f"/customers/{customer}" in [hit["href"] for hit in await found(admin, "同号")]
    assert f"/customers/{customer}" in [hit["href"] for hit in await found(admin, "7777")], "by the last digits of a number"
    assert "紫外线灯 product" in [hit["title"] for hit in await found(admin, "zwxd")], "by initials"
    ticket = (await admin.get("/api/v1/tickets?q=紫外线灯")).json["rows"][0]
    assert [hit["href"] for hit in await found(admin, ticket["number"])] == [f"/tickets/{ticket['id']}"]
    page = (await admin.get("/search?q=紫外线灯")).text
    assert page.count('data-test="hit"') == len(KINDS)


async def test_nobody_finds_what_they_may_not_see(shared_everywhere: Running) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    for kind in KINDS:
        await made(admin, kind, 0, customer, **{kind.entity.title: "暗室红灯"})
    titles = {
        login: len(await found(await shared_everywhere.browser(login), "暗室红灯")) for login in ("admin", "guest", "heinz", "qian")
    }
    assert titles == {"admin": 4, "guest": 0, "heinz": 0, "qian": 3}
    for words in ("", "%", "_", "'", '"); drop', "\x00", "紫" * 500):
        await found(admin, words)
    assert not any(hit["title"] == "暗室红灯" for hit in await found(admin, "%")), "a percent sign is itself"


async def test_a_customer_s_page_shows_what_is_open(shared_everywhere: Running) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    ticket = next(kind for kind in KINDS if kind.name == "ticket")
    record = await made(admin, ticket, 0, customer, subject="还没解决的事")
    page = (await admin.get(f"/customers/{customer}")).text
    assert page.count("还没解决的事") == 2, "among the open matters and in the timeline"
    assert f"/tickets/new?customer_id={customer}" in page
    assert (await admin.post(f"/api/v1/tickets/{record}/stage", {"stage": "solved"})).status == 204
    assert (await admin.get(f"/customers/{customer}")).text.count("还没解决的事") == 1, "solved: in the timeline alone"
