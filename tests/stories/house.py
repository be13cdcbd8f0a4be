"""The whole demo as a user has it: `lingxi run --demo` as a process, real Asterisk below it, Chromium in front of it.

A story asks for `house` (the running demo) and `people` (browsers of those who work there). One demo serves all stories of a
module; stories leave their agents signed out. Nothing in here looks into the product's process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright, expect

from config.demo.asterisk_tree import AsteriskTree
from config.demo.callers import TRUNK_ADDRESS, Caller, Callers, LiveCaller
from config.demo.run import Demo, passwords_of
from config.demo.sounds import tone, write_wav
from tests.lab.asterisk_lab import peers_or_skip
from tests.peers.need import free_port, missing

CALLER_HZ, AGENT_HZ = 440.0, 880.0
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-domain-reliability",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
expect.set_options(timeout=10_000)


class House:
    """The running demo, seen from outside."""

    def __init__(self, home: Path, tree: AsteriskTree, extra: dict[str, str] | None = None) -> None:
        self.home, self.tree = home, tree
        self.environment = {
            **os.environ,
            "LINGXI_HOME": str(home),
            "LINGXI_WEB__PORT": str(free_port()),
            "LINGXI_LOGS__FORMAT": "text",
            **(extra or {}),
        }
        if tree.root is not None:
            self.environment["LINGXI_ASTERISK"] = str(tree.root)
        self.tone = home / "caller.wav"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says where to click."""
        self.home.mkdir(parents=True, exist_ok=True)
        write_wav(self.tone, tone(CALLER_HZ, 2.0))
        write_wav(self.home / "agent.wav", tone(AGENT_HZ, 2.0))
        facts = self.home / "run" / "demo.json"
        facts.unlink(missing_ok=True)
        log = (self.home / "log.txt").open("ab")
        command = [sys.executable, "-m", "config.main", "run", "--demo", "--quiet"]
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not facts.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the demo did not start:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        self.facts = json.loads(facts.read_text())

    def adopt(self) -> None:
        """Look at a demo that a test runs itself."""
        write_wav(self.tone, tone(CALLER_HZ, 2.0))
        write_wav(self.home / "agent.wav", tone(AGENT_HZ, 2.0))
        self.facts = json.loads((self.home / "run" / "demo.json").read_text())

    def adopt_pbx(self, demo: Demo) -> None:
        """Look at a product that a test starts over a demo's PBX."""
        write_wav(self.tone, tone(CALLER_HZ, 2.0))
        write_wav(self.home / "agent.wav", tone(AGENT_HZ, 2.0))
        own = demo.pbx.own
        self.facts = {
            "url": f"http://127.0.0.1:{self.environment['LINGXI_WEB__PORT']}/",
            "accounts": passwords_of(self.home),
            "pbx": {"address": own.address, "sip": own.ports.sip},
            "trunk_address": TRUNK_ADDRESS,
        }

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(20)

    def log(self) -> str:
        """What it said so far."""
        return (self.home / "log.txt").read_text(errors="replace")

    def last_words(self) -> str:
        """The end of its log, and how its process fares."""
        end = None if self.process is None else self.process.poll()
        return f"{self.log()[-12_000:]}\n(process: {'running' if end is None else f'ended with {end}'})"

    @property
    def url(self) -> str:
        """Where to click."""
        return str(self.facts["url"])

    async def call(
        self, number: str, to: str = "4008880000", hold_s: float = 60, name: str = "", silent: bool = False
    ) -> LiveCaller:
        """Somebody calls in over SIP, with a tone of CALLER_HZ."""
        pbx = self.facts["pbx"]
        callers = Callers(self.tree, (pbx["address"], pbx["sip"]), self.home / "callers", address=self.facts["trunk_address"])
        return await callers.place(Caller(number=number, to=to, name=name, sound=None if silent else self.tone, hold_s=hold_s))

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Look into the books."""
        connection = sqlite3.connect(f"file:{self.home / 'lingxi.sqlite3'}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def number_of(self, matches: int) -> tuple[str, list[dict[str, Any]]]:
        """A number that belongs to exactly so many customers, and these customers (number, name, id)."""
        found = self.rows(
            "select key, written from contact_point where kind = 'mobile' group by key having count(distinct customer_id) = ? limit 1",
            matches,
        )
        customers = self.rows(
            "select c.id, c.name, c.number from customer c join contact_point p on p.customer_id = c.id where p.key = ? order by p.id",
            found[0]["key"],
        )
        return found[0]["written"], customers


def house_or_skip(home: Path, extra: dict[str, str] | None = None) -> House:
    """A demo that is not started yet; skips or fails where a peer is missing."""
    tree = peers_or_skip()
    if not Path(CHROMIUM).exists():
        missing("Chromium", "chromium")
    return House(home, tree, extra)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The demo of these stories, gone before the next ones begin: several at once would tread on one another's toes."""
    made = house_or_skip(tmp_path_factory.mktemp("house"))
    made.start()
    yield made
    made.stop()


class Person:
    """Somebody at a browser."""

    def __init__(self, page: Page, house: House, login: str) -> None:
        self.page, self.house, self.login = page, house, login
        self.trouble: list[str] = []
        self.sip: list[str] = []
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("console", lambda m: self.trouble.append(m.text) if m.type == "error" else None)
        self.failed: list[str] = []
        page.on("requestfailed", lambda request: self.failed.append(f"{request.method} {request.url}: {request.failure}"))
        page.on("crash", lambda _: self.failed.append("the page has crashed"))
        page.on(
            "websocket",
            lambda ws: ws.on("framereceived", lambda data: self.sip.append(str(data))) if ws.url.endswith("/sip") else None,
        )

    def at(self, test: str) -> Any:
        """The node of that name."""
        return self.page.locator(f'[data-test="{test}"]')

    async def sign_in(self) -> None:
        """Through the form."""
        await self.page.goto(f"{self.house.url}signin")
        await self.page.fill("input[name=login]", self.login)
        await self.page.fill("input[name=password]", self.house.facts["accounts"][self.login])
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(lambda url: "signin" not in url)

    async def sit_down(self, seat: str = "") -> None:
        """At a seat, ready, with the phone registered."""
        await self.page.goto(self.house.url)
        if seat:
            await self.at("seat").select_option(label=await self._label(seat))
        await self.page.keyboard.press("F2")
        await self.state("ready")
        await self.js("window.lingxi?.phone?.state?.registered === true")

    async def _label(self, seat: str) -> str:
        texts = await self.at("seat").locator("option").all_text_contents()
        return next(text for text in texts if seat in text)

    async def js(self, expression: str, timeout: float = 10.0) -> None:
        """Wait until an expression is true in the page (asked from outside: the page's own policy forbids eval)."""
        deadline = time.monotonic() + timeout
        while not await self.page.evaluate(expression):
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come true within {timeout} s: {expression}")
            await asyncio.sleep(0.05)

    async def state(self, name: str, timeout: float = 10_000) -> None:
        """Wait until the chip says so."""
        await expect(self.at("state-chip")).to_have_attribute("data-state", name, timeout=timeout)

    async def finish(self) -> None:
        """End the wrap-up by key, once its button is there."""
        await self.state("wrap_up")
        await expect(self.at("wrap-up-finish")).to_be_visible()
        await self.page.keyboard.press("F2")
        await self.state("ready")

    async def get_up(self) -> None:
        """Sign out of the seat, whatever state it is in."""
        script = """async () => { const token = document.documentElement.dataset.csrf;
            const post = (p) => fetch('/api/v1/seat/' + p, {method: 'POST', headers: {'X-CSRF-Token': token}}).then(r => r.status);
            await post('finish'); return await post('sign-out'); }"""
        await self.page.evaluate(script)


class People:
    """The browsers of a story: one Chromium, a context each."""

    def __init__(self, browser: Browser, house: House) -> None:
        self._browser, self._house = browser, house
        self.here: list[Person] = []

    def last_words(self) -> str:
        """What went wrong in their browsers."""
        return "\n".join(f"{one.login} at {one.page.url}: {one.trouble[-20:]} {one.failed[-20:]}" for one in self.here)

    async def come(self, login: str, lang: str = "zh-CN", seat: str = "") -> Person:
        """Somebody signs in (and sits down)."""
        context: BrowserContext = await self._browser.new_context(viewport={"width": 1366, "height": 700}, locale=lang)
        person = Person(await context.new_page(), self._house, login)
        self.here.append(person)
        await person.sign_in()
        if seat:
            await person.sit_down(seat)
        return person


async def launch(playwright: Playwright, house: House) -> Browser:
    """A Chromium whose microphone hears a tone of AGENT_HZ."""
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={house.home / 'agent.wav'}"]
    return await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)


@pytest_asyncio.fixture
async def people(house: House) -> AsyncIterator[People]:
    """Those who work there, for one story; everybody gets up at its end."""
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        browser = await launch(playwright, house)
        stack.push_async_callback(browser.close)
        made = People(browser, house)
        yield made
        for person in made.here:
            if not person.page.is_closed():
                await person.get_up()


async def until(what: Any, timeout: float = 10.0) -> Any:
    """Wait until `what()` gives something true, and return it."""
    deadline = time.monotonic() + timeout
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {timeout} s")
        await asyncio.sleep(0.05)
    return found
