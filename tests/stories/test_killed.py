"""Lingxi is killed without a word while people talk, and started again over the same PBX. The PBX is no child of it here.

The call goes on; the desk shows it again; it stands in the books once, with its length and its recording.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.async_api import Locator, async_playwright, expect

from config.demo.run import Demo, with_home
from config.settings_reading import load
from tests.peers.need import free_port
from tests.stories.house import House, People, house_or_skip, launch, until

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


async def until_text(row: Locator, text: str) -> None:
    """Wait until the row says so."""
    await expect(row).to_contain_text(text, timeout=15_000)
