"""A masked number never leaves the server whole: everything an agent can get (pages, fragments, API, sockets) is read during a call and
searched for the digits of every customer and caller, whatever way they found in: as a caller's name, in a transfer, in a note's author."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import insert, select, update

from crm_core.entities.people import ContactPoint
from cti.storage import Call, CallLeg, Transfer
from tests.web.crawl import crawl
from tests.web.program import Running
from tests.web.things import call_of

LIVE, TRANSFERRED, DIALLED = "13988887777", "13566665555", "15055554444"


async def secrets_of(running: Running) -> set[str]:
    """Every number that nobody without the right may see whole, as the digits people dial."""
    points = await running.rows(select(ContactPoint.key))
    callers = await running.rows(select(Call.caller))
    digits = {re.sub(r"\D", "", row["key"]).removeprefix("86") for row in points}
    digits |= {re.sub(r"\D", "", row["caller"]) for row in callers}
    return {one for one in digits if len(one) >= 7} | {LIVE, TRANSFERRED, DIALLED}


def leaks(told: dict[str, str], secrets: set[str]) -> list[str]:
    found = []
    for where, text in told.items():
        joined = re.sub(r"(?<=\d)[ \-](?=\d)", "", text)
        runs = set(re.findall(r"\d{7,}", text) + re.findall(r"\d{7,}", joined))
        found += [f"{where}: {secret}" for secret in secrets if any(secret in run for run in runs)]
    return found


async def everything(running: Running, login: str) -> dict[str, str]:
    """All that somebody can read, by address."""
    browser = await running.browser(login)
    told = await crawl(browser, ["/", "/me", "/home", "/customers", "/calls", "/demo", "/floor", "/customers/new"])
    for path in list(told):
        if re.fullmatch(r"/(customers|calls)/\d+", path):
            told[f"/api/v1{path}"] = (await browser.get(f"/api/v1{path}")).body.decode()
    for page in range(1, 4):
        for path in (f"/api/v1/customers?page={page}", f"/api/v1/calls?page={page}"):
            told[path] = (await browser.get(path)).body.decode()
    for path in ("/api/v1/words", "/api/v1/seats", "/api/v1/phone", "/api/openapi.json"):
        told[path] = (await browser.get(path)).body.decode()
    for path in ("/", "/calls", "/customers"):
        told[f"{path} (fragment)"] = (await browser.get(path, headers={"X-Fragment": "main"})).body.decode()
    return told


async def past_calls(running: Running) -> list[int]:
    """Calls of wang whose numbers stand in odd places."""
    named = await call_of(running, "wang", caller=LIVE, caller_name=f"+86 {LIVE}")
    passed, dialled = await call_of(running, "wang"), await call_of(running, "wang")
    row = (await running.rows(select(Call.unit_id, Call.pbx_id).where(Call.id == passed)))[0]
    async with running.program.database.begin() as db:
        one = {
            "id": running.program.new_id(),
            "call_id": passed,
            "kind": "blind",
            "by": "8001",
            "to": TRANSFERRED,
            "result": "completed",
            "at": 1.0,
        }
        await db.execute(insert(Transfer).values(**row, **one))
        out = {"direction": "outbound", "caller": "8001", "dialed": DIALLED, "caller_key": f"+86{DIALLED}"}
        await db.execute(update(Call).where(Call.id == dialled).values(**out))
        await db.execute(update(CallLeg).where(CallLeg.call_id == dialled).values(number=DIALLED, endpoint=DIALLED))
    return [named, passed, dialled]


async def test_nothing_an_agent_can_read_holds_a_whole_number(program: Running) -> None:
    made = await past_calls(program)
    wang = await program.sit("wang", "8001")
    async with wang.socket() as socket:
        await socket.join("desk")
        program.call(number=LIVE, name=f"{LIVE[:3]} {LIVE[3:7]} {LIVE[7:]}")
        call_id = await socket.until(lambda s: next((k for k, c in s["desk"]["calls"].items() if c["looked_up"]), None))
        told = await everything(program, "wang")
        program.habit("8001", ring_s=0.0)
        await program.hang_up_all()
        program.call(number=LIVE, name=LIVE, talk_s=0.4)
        await socket.until(lambda s: any(c["phase"] == "wrap_up" for c in s["desk"]["calls"].values()))
        told |= {f"{path} (after the call)": text for path, text in (await everything(program, "wang")).items()}
        told["socket"] = "\n".join(socket.raw)
    assert call_id in told["socket"]
    assert {f"/calls/{i}" for i in made} <= set(told), "the crawl did not find the calls it is about"
    assert len(told) > 150
    assert leaks(told, await secrets_of(program)) == []


async def test_a_board_on_the_wall_holds_no_whole_number(program: Running) -> None:
    zhang = await program.browser("zhang")
    async with zhang.socket() as socket:
        await socket.join("floor")
        program.call(number=LIVE, name=LIVE, patience_s=5)
        program.call(number="13900007777", name="13900007777", patience_s=5)
        await socket.until(lambda s: len([e for e in s["floor"]["queues"]["vip"]["entries"] if e["number"]]) == 2)
        told = {
            "socket": "\n".join(socket.raw),
            "/floor": (await zhang.get("/floor")).text,
            "/floor/queues": (await zhang.get("/floor/queues")).text,
        }
    assert leaks(told, {LIVE, "13900007777"}) == []


async def test_who_may_see_numbers_whole_sees_them(program: Running) -> None:
    """The other side of the same coin: the search above can find a number where there is one."""
    called = await call_of(program, "wang")
    zhang = await program.browser("zhang")
    told = {path: (await zhang.get(path)).text for path in (f"/calls/{called}", "/customers", "/api/v1/customers")}
    assert {leak.split(":")[0] for leak in leaks(told, await secrets_of(program))} == set(told)


@pytest.mark.parametrize("login", ["wang", "qian"])
async def test_a_refusal_tells_no_number(program: Running, login: str) -> None:
    browser = await program.browser(login)
    point = (await program.rows(select(ContactPoint.id, ContactPoint.key).limit(1)))[0]
    told = {
        "dial": (await browser.post("/api/v1/dial", {"contact_point_id": str(point["id"])})).body.decode(),
        "demo": (await browser.post("/api/v1/demo/call", {"dial": "1", "customer_id": "1"})).body.decode(),
    }
    assert leaks(told, await secrets_of(program)) == []
