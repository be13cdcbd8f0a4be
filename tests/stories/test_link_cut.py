"""The control link to the PBX is cut for half a minute while people talk. The demo runs in this process, a proxy stands in its AMI.

The call goes on; one ends and one begins unseen; afterwards the screens equal what the PBX has, and the books miss nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from config.demo.run import Demo, with_home
from config.lines import asterisk
from config.settings_reading import load
from cti.pbx.asterisk.provision import Login
from cti.ports import PbxDriver
from tests.cti.tcp_proxy import TcpProxy
from tests.peers.need import free_port
from tests.stories.house import House, People, house_or_skip, launch, until

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(150)]
CUT_S = 30.0


class CuttableDemo(Demo):
    """The demo with its AMI behind a proxy."""

    proxy: TcpProxy
    proxy_port: int

    async def prepare(self) -> None:
        self.proxy_port = free_port()
        await super().prepare()
        self.proxy = TcpProxy(self.pbx.own.address, self.pbx.own.ports.ami)
        await self.proxy.start(self.proxy_port)

    def _way_in(self, manager: Login, ari: Login) -> Callable[[str], PbxDriver]:
        own = self.pbx.own
        address = f"http://{own.address}:{own.ports.http}/ari"

        def make(position: str) -> PbxDriver:
            return asterisk(
                self.home,
                name="demo",
                host=own.address,
                port=self.proxy_port,
                user=manager.user,
                secret=manager.secret,
                ari=(address, ari.user, ari.secret),
                books=self.pbx.books,
            )(position)

        return make


async def test_the_link_is_cut_for_half_a_minute(tmp_path: Path) -> None:
    """A call answered before the cut ends in it, one begins and ends in it, another caller waits through its end."""
    outside: House = house_or_skip(tmp_path)
    settings = load(environ={"LINGXI_HOME": str(tmp_path), "LINGXI_WEB__PORT": str(free_port())})
    demo = CuttableDemo(with_home(replace(settings)), outside.tree, lambda _: None, lively=False)
    await demo.prepare()
    serving = asyncio.create_task(demo.run())
    try:
        await until((tmp_path / "run" / "demo.json").exists, 20)
        outside.adopt()
        await cut_story(demo, outside)
    finally:
        demo.program.stop()
        await asyncio.wait_for(serving, 20)
        await demo.proxy.stop()


async def cut_story(demo: CuttableDemo, house: House) -> None:
    async with async_playwright() as playwright:
        browser = await launch(playwright, house)
        people = People(browser, house)
        wang = await people.come("wang", seat="8001")
        first = await house.call("13911110001")
        await wang.state("ringing")
        await wang.page.keyboard.press("F2")
        await wang.state("talking")
        demo.proxy.refusing = True
        demo.proxy.cut()
        await wang.js("!document.querySelector('[data-test=strip]').hidden")
        await wang.state("talking")
        await asyncio.sleep(CUT_S / 3)
        hung_up_at = time.time()
        await first.hang_up()
        unheard = await house.call("13911110003", to="057188000002", hold_s=3)
        await unheard.result()
        waiting = await house.call("13911110002", to="057188000002", hold_s=90)
        await asyncio.sleep(CUT_S * 2 / 3)
        demo.proxy.refusing = False
        await wang.js("document.querySelector('[data-test=strip]').hidden", timeout=15)
        await wang.js("document.querySelector('[data-test=state-chip]').dataset.state !== 'talking'", timeout=10)
        booked = await until(lambda: house.rows("select * from call where caller = '13911110001' and outcome = 'answered'"), 15)
        assert len(booked) == 1 and (booked[0]["rebuilt"], booked[0]["unobserved"]) == (1, 0)
        assert abs(booked[0]["ended_at"] - hung_up_at) < 1
        between = await until(lambda: house.rows("select * from call where caller = '13911110003'"), 15)
        assert [(call["rebuilt"], call["unobserved"]) for call in between] == [(1, 0)]
        waits = house.rows("select outcome, wait_s from queue_entry where call_id = ?", between[0]["id"])
        talks = house.rows("select user_id, talk_s from segment where call_id = ?", between[0]["id"])
        assert [wait["outcome"] for wait in waits] == [between[0]["outcome"]]
        assert bool(talks) == (between[0]["outcome"] == "answered") and all(talk["user_id"] for talk in talks)
        assert abs(between[0]["ended_at"] - between[0]["started_at"] - 3) < 1
        stored = await until(lambda: house.rows("select * from recording where call_id = ?", booked[0]["id"]), 10)
        assert stored[0]["state"] == "stored"
        await waiting.hang_up()
        await until(lambda: house.rows("select * from call where caller = '13911110002'"), 15)
        assert len(house.rows("select * from call where caller like '1391111%'")) == 3
        await people.here[0].get_up()
        await browser.close()
