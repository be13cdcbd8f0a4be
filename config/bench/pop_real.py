"""`pop-real`: a real INVITE to a real Asterisk, the card in a real browser: how long a caller is on the line before the agent sees who.

The demo as people run it, one signed-in agent with a browser phone. The parts come from the PBX's own time stamps in the journal, from
the page's socket and from the page's document; all clocks are one machine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from config.bench.processes import HelperFailed
from config.bench.product import free_port
from config.bench.results import Result, Tell
from config.bench.sip_caller import SipCaller
from config.bench.watch import Watch

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

LOGIN: Final = "wang"
SEAT: Final = "8001"
QUEUE_NUMBER: Final = "4008880000"  # its queue rings only agents who sit at browsers
REACH_MS: Final = 120.0
SHOWN_S: Final = 0.6
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection", "--disable-background-networking", "--no-first-run",
)  # fmt: skip
WATCH: Final = """() => {
  window.__bench = { told: [], shown: [] };
  const now = () => performance.timeOrigin + performance.now();
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", (event) => {
        if (typeof event.data === "string" && event.data.includes('"name":"call.offered"')) window.__bench.told.push(now());
      });
    }
  };
  let last = "";
  const look = () => {
    const node = document.querySelector("[data-test=caller-name]");
    const text = node && node.checkVisibility() ? node.textContent : "";
    if (text !== last) { last = text; if (text) window.__bench.shown.push([now(), text]); }
  };
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(look).observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
  });
}"""

GET_UP: Final = """async () => {
  const post = (path) => fetch("/api/v1/seat/" + path, { method: "POST", headers: { "X-CSRF-Token": document.documentElement.dataset.csrf } });
  await post("finish");
  await post("sign-out");
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """One call, in ms: from the INVITE to the PBX's AgentCalled, from there to the page's socket, from there to the document."""

    to_offer: float
    to_socket: float
    to_card: float

    @property
    def whole(self) -> float:
        return self.to_offer + self.to_socket + self.to_card


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    from playwright.async_api import async_playwright

    wanted, tries = (3, 3) if quick else (15, 45)
    demo, watch = RealDemo(folder / "real"), Watch()
    try:
        tell("Starting the demo: Asterisk, the product")
        await demo.start()
        async with async_playwright() as playwright:
            tell("Starting a browser; an agent sits down")
            browser = await launch(playwright)
            page = await demo.sit_down(browser)
            await watch.start()
            quiet, noisy = await _calls(demo, page, watch, wanted, tries, tell)
            await browser.close()
        return [_result(quiet, noisy, wanted, watch)]
    finally:
        await demo.stop()
        await watch.stop()


async def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, or the one that Playwright brought."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    return await playwright.chromium.launch(executable_path=path, args=list(FLAGS))


async def _calls(demo: RealDemo, page: Page, watch: Watch, wanted: int, tries: int, tell: Tell) -> tuple[list[Pop], list[Pop]]:
    caller = await SipCaller.open(demo.pbx, demo.facts["trunk_address"])
    quiet: list[Pop] = []
    noisy: list[Pop] = []
    numbers = demo.numbers(tries + 2)
    for count, number in enumerate(numbers):
        await watch.begin_span()
        pop = await _one(demo, page, caller, number)
        (quiet if await watch.end_span() else noisy).append(pop)
        if count == 1:
            quiet, noisy = [], []  # the first two warm up page and PBX
            tell("Warm: measuring")
        if len(quiet) == wanted:
            break
    caller.close()
    return quiet, noisy


async def _one(demo: RealDemo, page: Page, caller: SipCaller, number: str) -> Pop:
    """One call: rings, is shown, and the caller hangs up."""
    await page.evaluate("window.__bench.told.length = window.__bench.shown.length = 0")
    sent = caller.call(number, QUEUE_NUMBER)
    for _ in range(100):
        await asyncio.sleep(0.1)
        seen: dict[str, Any] = await page.evaluate("window.__bench")
        if seen["told"] and seen["shown"]:
            break
    else:
        raise HelperFailed(f"a call was not shown: {seen}")
    await asyncio.sleep(SHOWN_S)
    await caller.hang_up()
    await page.wait_for_selector('[data-test=state-chip][data-state="ready"]')
    await asyncio.sleep(SHOWN_S)
    offered = demo.offered_at(number)
    told, shown = seen["told"][0] / 1000, seen["shown"][0][0] / 1000
    return Pop(to_offer=(offered - sent) * 1000, to_socket=(told - offered) * 1000, to_card=(shown - told) * 1000)


def _result(quiet: list[Pop], noisy: list[Pop], wanted: int, watch: Watch) -> Result:
    pops = quiet or noisy
    value = median(pop.whole for pop in pops)
    parts = {
        "invite_to_offer_ms": median(pop.to_offer for pop in pops),
        "offer_to_socket_ms": median(pop.to_socket for pop in pops),
        "socket_to_card_ms": median(pop.to_card for pop in pops),
        "longest_ms": max(pop.whole for pop in pops),
    }
    return Result(
        name="pop-real", value=round(value, 1), unit="ms", runs=len(pops), noise=watch.heard(), reach=f"median <= {REACH_MS:g} ms",
        met=value <= REACH_MS, void=len(quiet) < wanted, parts={name: round(part, 1) for name, part in parts.items()},
    )  # fmt: skip


class RealDemo:
    """`lingxi run --demo --quiet` in a process and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.facts: dict[str, Any] = {}

    async def start(self) -> None:
        """Start it and wait until it says where to click."""
        self._folder.mkdir(parents=True, exist_ok=True)
        facts = self._folder / "run" / "demo.json"
        facts.unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LINGXI_") or name == "LINGXI_ASTERISK"}
        own = {"LINGXI_HOME": str(self._folder), "LINGXI_WEB__PORT": str(free_port()), "LINGXI_LOGS__FORMAT": "text"}
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "config.main", "run", "--demo", "--quiet", env={**kept, **own}, stdout=log, stderr=log
            )
        while not facts.exists():
            if self._process.returncode is not None:
                raise HelperFailed("The demo did not start:\n" + (self._folder / "log").read_text()[-2000:])
            await asyncio.sleep(0.1)
        self.facts = json.loads(facts.read_text())

    @property
    def pbx(self) -> tuple[str, int]:
        """Where Asterisk takes SIP."""
        return self.facts["pbx"]["address"], int(self.facts["pbx"]["sip"])

    async def sit_down(self, browser: Browser) -> Page:
        """An agent at a seat with a browser phone, ready."""
        context = await browser.new_context(viewport={"width": 1366, "height": 700}, locale="zh-CN")
        page = await context.new_page()
        await page.add_init_script(f"({WATCH})()")
        await page.goto(f"{self.facts['url']}signin")
        await page.fill("input[name=login]", LOGIN)
        await page.fill("input[name=password]", self.facts["accounts"][LOGIN])
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda url: "signin" not in url)
        await page.goto(self.facts["url"])
        await page.evaluate(GET_UP)  # an earlier run may have been cut short
        await page.goto(self.facts["url"])
        seat = page.locator("[data-test=seat]")
        labels = await seat.locator("option").all_text_contents()
        await seat.select_option(label=next(label for label in labels if SEAT in label))
        await page.keyboard.press("F2")
        await page.wait_for_selector('[data-test=state-chip][data-state="ready"]')
        for _ in range(100):
            if await page.evaluate("window.lingxi?.phone?.state?.registered === true"):
                return page
            await asyncio.sleep(0.1)
        raise HelperFailed("the browser's phone did not register")

    def numbers(self, count: int) -> list[str]:
        """Numbers of one customer each."""
        db = sqlite3.connect(f"file:{self._folder / 'lingxi.sqlite3'}?mode=ro", uri=True)
        found = db.execute(
            "select written from contact_point where kind = 'mobile' group by key having count(distinct customer_id) = 1 limit ?",
            (count,),
        ).fetchall()
        db.close()
        return [row[0] for row in found]

    def offered_at(self, number: str) -> float:
        """When the PBX said that it calls the seat for this caller, by its own stamp."""
        last = max((self._folder / "journal" / "demo").glob("*.ami"))
        blocks = [block for block in last.read_bytes().split(b"\r\n\r\n") if block.startswith(b"Event: AgentCalled")]
        mine = next(block for block in reversed(blocks) if f"CallerIDNum: {number}".encode() in block)
        stamp = re.search(rb"\r\nTimestamp: ([\d.]+)", mine)
        assert stamp is not None
        return float(stamp[1])

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), 25)
            except TimeoutError:
                self._process.kill()
