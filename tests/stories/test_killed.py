"""Lingxi is killed without a word while people talk, and started again over the same PBX. The PBX is no child of it here.

Calls go on; the desk shows them again; they stand in the books once, with their length, their agent and their recording, also those
that ended while nobody listened.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Locator, async_playwright, expect

from config.bench.processes import children
from config.demo.callers import LiveCaller
from config.demo.phones import Habit, PhoneGroup
from config.demo.run import Demo, with_home
from config.settings_reading import load
from tests.peers.need import free_port
from tests.stories.house import House, People, house_or_skip, launch, until

UNHEARD = "13933330009"  # calls while nobody listens, and gives up before the PBX's own guard lets anybody out of wrap-up
SUPPORT = "057188000001"  # all five agents serve its queue
pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(150)]


class PbxOnly(Demo):
    """The demo's Asterisk, phones and rows, with the product in a process of its own."""

    async def start_pbx(self) -> None:
        """Start the PBX, and write the settings by which `lingxi run` finds it."""
        await self.prepare()
        await self.program.abandon()
        ports, manager, ari = self.pbx.own.ports, self.pbx.plan.manager, self.pbx.plan.ari
        at = self.pbx.own.address
        settings = f"""
[[pbx]]
name = "demo"
host = "{at}"
ami_port = {ports.ami}
ami_user = "{manager.user}"
ami_secret = "{manager.secret}"
ari_url = "http://{at}:{ports.http}/ari"
ari_user = "{ari.user}"
ari_secret = "{ari.secret}"
ws_url = "ws://{at}:{ports.http}/ws"
recordings_spool = "{self.pbx.recordings}"
books = "{self.pbx.books}"
[phones]
area_code = "0571"
"""
        (self.home / "lingxi.toml").write_text(settings)


def start(house: House) -> subprocess.Popen[bytes]:
    """Start the product and wait until it is ready."""
    log = (house.home / "log.txt").open("ab")
    process = subprocess.Popen([sys.executable, "-m", "config.main", "run"], env=house.environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{house.environment['LINGXI_WEB__PORT']}/readyz"
    deadline = time.monotonic() + 30
    while subprocess.run(["curl", "-sf", url], capture_output=True, check=False).returncode:
        assert process.poll() is None and time.monotonic() < deadline, house.log()[-3000:]
        time.sleep(0.1)
    return process


async def test_killed_while_people_talk(tmp_path: Path) -> None:
    """kill -9 in a call, ten seconds away, back: nothing is missing and nothing is there twice."""
    house = house_or_skip(tmp_path)
    house.environment["LINGXI_WEB__PORT"] = str(free_port())
    settings = load(environ={"LINGXI_HOME": str(tmp_path), "LINGXI_WEB__PORT": house.environment["LINGXI_WEB__PORT"]})
    pbx = PbxOnly(with_home(settings), house.tree, lambda _: None, lively=False)
    await pbx.start_pbx()
    house.adopt_pbx(pbx)
    product = await asyncio.to_thread(start, house)
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright, house)
            people = People(browser, house)
            wang = await people.come("wang", seat="8001")
            caller = await house.call("13922220001")
            await wang.state("ringing")
            await wang.page.keyboard.press("F2")
            await wang.state("talking")
            await asyncio.sleep(2)
            os.kill(product.pid, signal.SIGKILL)
            product.wait()
            await asyncio.sleep(10)
            product = await asyncio.to_thread(start, house)
            zhang = await people.come("zhang")
            await zhang.page.goto(f"{house.url}floor")
            row = zhang.page.locator("[data-test=seat-row]", has_text="王小明")
            await until_text(row, "通话中")
            await caller.hang_up()
            await until_text(row, "话后处理")
            booked = await until(lambda: house.rows("select * from call where caller = '13922220001'"), 15)
            assert len(booked) == 1 and booked[0]["outcome"] == "answered" and 12 < booked[0]["talk_s"] < 40
            stored = await until(lambda: house.rows("select * from recording where call_id = ?", booked[0]["id"]), 10)
            assert stored[0]["state"] == "stored" and abs(stored[0]["duration_s"] - booked[0]["talk_s"]) < 1.5
            await browser.close()
    finally:
        product.terminate()
        product.wait(20)
        await pbx.pbx.stop()


@asynccontextmanager
async def at_desks(house: House, pbx: PbxOnly) -> AsyncIterator[dict[str, str]]:
    """Agents at desk phones that answer by themselves, signed in over the product's HTTP: extension → name."""
    seats = house.rows("select id, extension, secret from seat where phone = 'desk' order by extension limit 5")
    habit = Habit(ring_s=(0.3, 0.3), sound=house.home / "agent.wav")
    phones = PhoneGroup(
        house.tree, pbx.callers_address, house.home / "phones", [(s["extension"], s["secret"]) for s in seats], habit
    )
    await phones.start()
    try:
        yield {
            seat["extension"]: await sat_down(house, login, seat["id"])
            for login, seat in zip(agents_of(house), seats, strict=False)
        }
    finally:
        await phones.stop()


async def sat_down(house: House, login: str, seat_id: int) -> str:
    """Sign in and sit down as a browser would; the login."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        form = {"login": login, "password": agents_of(house)[login], "next": "/me"}
        async with browser.post(f"{house.url}signin", data=form) as page:
            csrf = re.search(r'data-csrf="([^"]+)"', await page.text())
        assert csrf is not None, f"{login} could not sign in"
        body = {"seat_id": str(seat_id), "state": "ready", "take_over": True}
        async with browser.post(f"{house.url}api/v1/seat/sign-in", json=body, headers={"X-CSRF-Token": csrf[1]}) as answer:
            assert answer.ok, await answer.text()
    return login


def agents_of(house: House) -> dict[str, str]:
    """Logins and passwords of the demo's agents."""
    agents = {row["login"] for row in house.rows("select login from user_account where role = 'agent'")}
    return {login: password for login, password in house.facts["accounts"].items() if login in agents}


async def test_everything_is_killed_with_five_calls_alive(tmp_path: Path) -> None:
    """kill -9 of the product and of its reader; three calls end and one comes and goes in the gap of 20 s: all are in the books."""
    house = house_or_skip(tmp_path)
    house.environment["LINGXI_WEB__PORT"] = str(free_port())
    settings = load(environ={"LINGXI_HOME": str(tmp_path), "LINGXI_WEB__PORT": house.environment["LINGXI_WEB__PORT"]})
    pbx = PbxOnly(with_home(settings), house.tree, lambda _: None, lively=False)
    await pbx.start_pbx()
    house.adopt_pbx(pbx)
    product = await asyncio.to_thread(start, house)
    try:
        async with at_desks(house, pbx) as sat:
            spans: dict[str, list[float]] = {}
            callers = {}
            for number in (f"1393333000{n}" for n in range(5)):
                spans[number] = [time.time()]
                callers[number] = await house.call(number, to=SUPPORT, hold_s=90)
                await until(lambda: len(talking(house)) == len(callers), 20)
            readers = children(product.pid)
            for pid in (product.pid, *readers):
                os.kill(pid, signal.SIGKILL)
            product.wait()
            killed_at = time.monotonic()
            assert len(readers) == 1
            await asyncio.sleep(3)
            for number in list(callers)[:3]:
                await hang_up(callers[number], spans[number])
            spans[UNHEARD] = [time.time()]
            await hang_up(await house.call(UNHEARD, to=SUPPORT, hold_s=90), spans[UNHEARD], after_s=3)
            await asyncio.sleep(20 - (time.monotonic() - killed_at))
            product = await asyncio.to_thread(start, house)
            await asyncio.sleep(2)
            for number in list(callers)[3:]:
                await hang_up(callers[number], spans[number])
            await until(lambda: len(house.rows("select id from call where caller like '1393333%'")) == 6, 20)
            await until(lambda: house.rows("select count(*) as n from recording where state = 'stored'")[0]["n"] == 5, 20)
            compare(house, spans, sat)
    finally:
        product.terminate()
        product.wait(20)
        await pbx.pbx.stop()


def talking(house: House) -> list[dict[str, Any]]:
    return house.rows("select id from seat_state where state = 'talking' and to_at is null")


async def hang_up(caller: LiveCaller, span: list[float], after_s: float = 0.0) -> None:
    await asyncio.sleep(after_s)
    span.append(time.time())
    await caller.hang_up()


def compare(house: House, spans: dict[str, list[float]], sat: dict[str, str]) -> None:
    """The books beside what the test did."""
    for number, (began, ended) in spans.items():
        calls = house.rows("select * from call where caller = ?", number)
        assert len(calls) == 1, f"{number} stands there {len(calls)} times"
        call = calls[0]
        gave_up = number == UNHEARD
        assert (call["outcome"], call["unobserved"]) == ("abandoned" if gave_up else "answered", 0), number
        assert abs(call["started_at"] - began) < 1 and abs(call["ended_at"] - ended) < 1, number
        talks = house.rows(
            "select s.extension, s.talk_s, u.login from segment s join user_account u on u.id = s.user_id where s.call_id = ?",
            call["id"],
        )
        assert [talk["login"] for talk in talks] == [sat[talk["extension"]] for talk in talks], number
        assert len(talks) == (0 if gave_up else 1) and all(0 < talk["talk_s"] < ended - began for talk in talks), number
        for stored in house.rows("select * from recording where call_id = ?", call["id"]):
            assert stored["state"] == "stored" and abs(stored["duration_s"] - talks[0]["talk_s"]) < 1.5, number
    assert house.rows("select count(*) as n from call where caller like '1393333%' and rebuilt = 1")[0]["n"] >= 4
    assert talking(house) == []


async def until_text(row: Locator, text: str) -> None:
    """Wait until the row says so."""
    await expect(row).to_contain_text(text, timeout=15_000)
