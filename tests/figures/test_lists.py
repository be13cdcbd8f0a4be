"""Every figure on the desk and on the floor is a link to exactly the calls it counts: each is followed, every page of it, and counted."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select

from cti.storage import Queue
from tests.figures.plain import counted
from tests.figures.test_figures import books_of
from tests.web.program import TODAY, Browser, Running


async def listed(browser: Browser, href: str) -> tuple[int, int]:
    """How many rows the pages of a list have together, and what its head says."""
    found, page, pages, head = 0, 1, 1, -1
    while page <= pages:
        text = (await browser.get(f"{href}&page={page}")).text
        found += len(re.findall(r'data-test="call-row"', text))
        head = int((re.search(r'data-count="(\d+)"', text) or [0, "-1"])[1])
        answer = (await browser.get(f"/api/v1{href}&page={page}")).json
        pages = answer["pages"]
        assert answer["count"] == head
        page += 1
    return found, head


def numbers_of(told: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every figure of a feed's state, with where it stands."""
    found = []
    for table, rows in told.items():
        for key, row in rows.items():
            groups = [row] if table in ("day", "figures") else [row.get("figures", {})]
            found += [
                (f"{table}.{key}.{name}", f) for group in groups for name, f in group.items() if isinstance(f, dict) and "href" in f
            ]
    return found


async def test_every_figure_of_floor_and_desk_leads_to_what_it_counts(program: Running) -> None:
    unit = await program.one(select(Queue.unit_id).where(Queue.name == "support"))
    today = (await books_of(program.rows, unit["unit_id"])).of_day(TODAY)
    followed = 0
    for login, feed, enough in (("zhang", "floor", 4 * 8), ("wang", "desk", 5), ("li", "desk", 5)):
        browser = await program.browser(login)
        if feed == "desk":
            await browser.get("/")
        async with browser.socket() as socket:
            await socket.join(feed)
            state = await socket.until(lambda s, feed=feed, enough=enough: s[feed] if len(numbers_of(s[feed])) >= enough else None)
        for where, figure in numbers_of(state):
            part = today
            queue, agent = re.search(r"queue=([a-z]+)", figure["href"]), re.search(r"agent=(\d+)", figure["href"])
            part = part.of_queue(queue[1]) if queue else part
            part = part.of_agent(int(agent[1])) if agent else part
            name = (re.search(r"figure=([a-z_]+)", figure["href"]) or ["", ""])[1]
            rows, head = await listed(browser, figure["href"])
            assert rows == head == counted(name, part), f"{login} {where}"
            if figure["kind"] == "count":
                assert rows == figure["value"], f"{login} {where}"
            elif figure["kind"] == "percent":
                assert rows == figure["num"], f"{login} {where}"
            followed += 1
    assert followed >= 4 * 8 + 2 * 5


async def test_a_seat_on_the_board_leads_to_the_calls_it_counts(program: Running) -> None:
    browser = await program.browser("zhang")
    async with browser.socket() as socket:
        await socket.join("floor")
        seats = await socket.until(lambda s: s["floor"]["seats"] if any(r["calls"] for r in s["floor"]["seats"].values()) else None)
    for row in seats.values():
        if "figure=" in row["href"]:
            assert (await listed(browser, row["href"]))[0] == row["calls"], row["name"]


async def test_a_call_moves_the_figures_of_its_agent_queue_and_floor(program: Running) -> None:
    wang, zhang = await program.sit("wang", "8001"), await program.browser("zhang")
    await wang.get("/")
    async with wang.socket() as desk, zhang.socket() as floor:
        await desk.join("desk")
        await floor.join("floor")
        before = await desk.until(lambda s: s["desk"].get("day", {}).get("me"))
        whole = await floor.until(lambda s: s["floor"]["figures"].get("all"))
        mine, all_before = before["answered"]["value"], whole["offered"]["value"]
        program.habit("8001", ring_s=0.05, talk_s=0.3)
        await program.call(number="13900007777")
        await desk.until(lambda s: s["desk"]["day"]["me"]["answered"]["value"] == mine + 1)
        await floor.until(lambda s: s["floor"]["figures"]["all"]["offered"]["value"] == all_before + 1)
        program.habit("8001", ring_s=None)
        talked = desk.state["desk"]["day"]["me"]["aht"]["num"]
        program.clock.pass_time(15)
        await wang.post("/api/v1/seat/finish")
        await desk.until(lambda s: s["desk"]["day"]["me"]["aht"]["num"] >= talked + 15)


async def test_somebody_else_s_figures_are_not_an_agent_s_to_open(program: Running) -> None:
    wang, li = await program.browser("wang"), await program.user_id("li")
    for query in (
        f"figure=handled&agent={li}",
        "figure=offered",
        "figure=answered&queue=vip",
        f"figure=missed&day={TODAY}&agent={li}",
    ):
        assert (await wang.get(f"/calls?{query}")).status == 403
        assert (await wang.get(f"/api/v1/calls?{query}")).status == 403
