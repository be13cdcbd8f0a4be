"""Flows lead where they say, rules of a kind are asked, and document numbers have neither holes nor doubles."""

from __future__ import annotations

import asyncio

import pytest

from tests.records.test_every_record import KINDS, made
from tests.web.program import Running
from tests.web.things import customer_called

pytestmark = pytest.mark.asyncio(loop_scope="module")
TICKET = next(kind for kind in KINDS if kind.name == "ticket")


async def test_a_ticket_goes_only_where_its_flow_leads(shared_everywhere: Running) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    ticket = await made(admin, TICKET, 0, customer, solution="")
    path = f"/api/v1/tickets/{ticket}"

    async def move(stage: str, **fields: str) -> tuple[int, str]:
        answer = await admin.post(f"{path}/stage", {"stage": stage, "fields": fields})
        return answer.status, answer.json["error"] if answer.status != 204 else ""

    assert await move("nowhere") == (409, "no_way")
    assert await move("solved") == (400, "no_solution"), "solved wants to know how"
    assert await move("solved", solution="bearing replaced") == (204, "")
    assert await move("new") == (409, "no_way")
    assert await move("closed") == (204, "")
    assert await move("working") == (204, ""), "opened again"
    steps = [step for step in (await admin.get(f"{path}/history")).json["changes"] if step["action"] == "move"]
    assert [step["fields"]["stage"] for step in steps] == [["closed", "working"], ["solved", "closed"], ["new", "solved"]]
    many = await admin.post("/api/v1/tickets/many/stage", {"ids": [ticket, "1"], "stage": "waiting"})
    assert many.json == {"done": 1, "refused": {"not_found": 1}}


async def test_numbers_made_at_once_have_no_holes_and_no_doubles(shared_everywhere: Running) -> None:
    """Among twenty that are made at the same time are five that are refused: they take no number."""
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    first = (await admin.get(f"/api/v1/tickets/{await made(admin, TICKET, 0, customer)}")).json["number"]
    bodies = [{"subject": "at once"} if n % 4 else {"subject": ""} for n in range(20)]
    answers = await asyncio.gather(*(admin.post("/api/v1/tickets", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [400] * 5
    ids = [answer.json["id"] for answer in answers if answer.status == 200]
    numbers = sorted([(await admin.get(f"/api/v1/tickets/{one}")).json["number"] for one in ids])
    start = int(first[-4:])
    assert numbers == [f"{first[:-4]}{n:04}" for n in range(start + 1, start + 16)]


async def test_views_are_kept_shared_and_forgotten(shared_everywhere: Running) -> None:
    admin, boss = await shared_everywhere.browser("admin"), await shared_everywhere.browser("zhang")
    body = {"name": "急件", "query": "q=%E4%B8%BB%E8%BD%B4&priority=urgent&sort=due_at&after=x&nonsense=1", "shared": True}
    view = (await boss.post("/api/v1/tickets/views", body)).json["id"]
    page = (await admin.get("/tickets")).text
    assert "急件" in page and "q=%E4%B8%BB%E8%BD%B4&amp;priority=urgent&amp;sort=due_at" in page and "nonsense" not in page
    assert (await admin.ask("DELETE", f"/api/v1/views/{view}")).status == 404, "somebody else's"
    assert (await boss.ask("DELETE", f"/api/v1/views/{view}")).status == 204
    assert "急件" not in (await admin.get("/tickets")).text
    assert (await boss.post("/api/v1/tickets/views", {"name": " "})).status == 400
