"""What the screens say when something is not there: the page slept, the network went, the microphone was refused or pulled out.

On return the screen equals the truth, nothing typed is lost, and each trouble is told with its cure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.stories.house import House, People, Person, house, people, until  # noqa: F401 - fixtures
from tests.stories.proxy import Proxy

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(120)]

# What a page shows beside what the server would write into it now.
DIFFERS = """async () => {
  const fresh = async (path, feed) => {
    const text = await fetch(path, {headers: {'X-Fragment': 'main'}}).then(answer => answer.text());
    return JSON.parse(new DOMParser().parseFromString(text, 'text/html').getElementById(feed).textContent).state;
  };
  const text = (node, what) => node?.querySelector(what)?.textContent.trim() ?? 'nothing';
  const found = [];
  const same = (what, shown, true_) => { if (String(shown) !== String(true_)) found.push(`${what}: shows ${shown}, is ${true_}`); };
  if (document.getElementById('page').dataset.page === 'desk') {
    const state = await fresh('/', 'feed-desk');
    same('state', document.getElementById('state-chip').dataset.state, state.seat.me.state);
    same('calls', document.querySelector('[data-test=call-view]').checkVisibility() ? 1 : 0, Object.keys(state.calls || {}).length);
    for (const [name, queue] of Object.entries(state.queues || {})) same(name, text(document, `#queues [data-key=${name}] [data-part]`), queue.waiting);
    for (const [name, figure] of Object.entries(state.day.me)) if (figure.kind === 'count') same(name, text(document, `#day [data-key=${name}] .fig`), figure.value ?? '–');
  } else {
    const state = await fresh('/floor', 'feed-floor');
    for (const [id, seat] of Object.entries(state.seats)) {
      const row = document.querySelector(`[data-user="${id}"]`);
      same(seat.name, row?.dataset.state, seat.state);
      same(`${seat.name}'s calls`, text(row, '[data-part=calls]'), seat.calls);
    }
    same('answered', text(document, '#figures [data-key=answered] .fig'), state.figures.all.answered.value);
  }
  return found;
}"""


class Far:
    """The house as somebody has it at the other end of a line that can be cut."""

    def __init__(self, house: House, url: str) -> None:  # noqa: F811
        self._house, self.url = house, url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house, name)


@pytest_asyncio.fixture
async def line(house: House) -> AsyncIterator[Proxy]:  # noqa: F811
    """A line to the house that a test may cut."""
    proxy = Proxy(house.url)
    yield proxy
    proxy.refuses = False
    await proxy.stop()


async def come_over(people: People, house: House, line: Proxy, logins: list[str]) -> list[Person]:  # noqa: F811
    """People whose browsers reach the house by that line."""
    far: Any = Far(house, await line.start())
    there = People(people._browser, far)
    return [await there.come(login, seat="8001" if login == "wang" else "") for login in logins]


async def true_again(page: Page, timeout: float = 12.0) -> None:
    """Wait until the page shows what is."""
    found: list[str] = []
    for _ in range(int(timeout / 0.5)):
        found = await page.evaluate(DIFFERS)
        if not found:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(found)


async def test_pages_that_slept_show_the_truth(house: House, people: People, line: Proxy) -> None:  # noqa: F811
    """Desk and floor frozen, their lines cut while calls come, are answered and given up: awake, they equal the server's books."""
    wang, zhang = await come_over(people, house, line, ["wang", "zhang"])
    await zhang.page.goto(f"{zhang.house.url}floor")
    sleepers = [await person.page.context.new_cdp_session(person.page) for person in (wang, zhang)]
    for devtools in sleepers:
        await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    line.refuses = True
    line.cut()
    li = await people.come("li", seat="8002")
    answered = await house.call("13900008001", silent=True)
    await li.state("ringing", timeout=30_000)
    await li.page.keyboard.press("F2")
    await li.state("talking")
    gone = await house.call("13900008002", hold_s=2, silent=True)
    await gone.result()
    await answered.hang_up()
    await li.finish()
    line.refuses = False
    for devtools in sleepers:
        await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    await wang.state("ready", timeout=20_000)
    for person in (wang, zhang):
        await true_again(person.page)
        await expect(person.at("strip")).to_be_hidden()
    row = zhang.page.locator("[data-test=seat-row]", has_text="李娜")
    await expect(row).to_contain_text("就绪")
    caller = await house.call("13900008003", silent=True)
    await expect(zhang.page.locator("[data-test=seat-row][data-state=ringing]")).to_have_count(1)
    await caller.hang_up()
    await wang.get_up()


async def test_a_network_that_went_away(house: House, people: People, line: Proxy) -> None:  # noqa: F811
    """Ten seconds without a server in the middle of a call: the strip says so, the typing is kept, and arrives on return."""
    [wang] = await come_over(people, house, line, ["wang"])
    caller = await house.call("13900008004", silent=True)
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await wang.at("notes").fill("前半句")
    line.refuses = True
    line.cut()
    await wang.page.context.set_offline(True)
    await expect(wang.at("strip")).to_contain_text("与服务器断开")
    await wang.at("notes").press_sequentially("，断网时写的后半句", delay=30)
    await expect(wang.at("notes-said")).to_contain_text("已存本机")
    await wang.state("talking")
    await asyncio.sleep(7)
    assert "断网时写的后半句" in await wang.at("notes").input_value()
    await wang.page.context.set_offline(False)
    line.refuses = False
    await expect(wang.at("strip")).to_be_hidden()
    await expect(wang.at("notes-said")).to_contain_text("已保存")
    await until(lambda: house.rows("select text from call_note where text = '前半句，断网时写的后半句'"))
    await wang.js("window.lingxi.phone.state.registered === true", timeout=20)
    await wang.state("talking")
    await wang.page.keyboard.press("F4")
    await wang.state("wrap_up")
    assert (await caller.result()).ended_by == "pbx"
    await wang.get_up()


@pytest.mark.parametrize(
    ("name", "cure"), [("NotAllowedError", "点地址栏左侧图标"), ("NotFoundError", "插好耳机"), ("NotReadableError", "别的程序")]
)
async def test_no_microphone(house: House, people: People, name: str, cure: str) -> None:  # noqa: F811
    """Ready is refused with the cure beside the button; paused is not."""
    wang = await people.come("wang")
    refuse = f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{name}'));"
    await wang.page.add_init_script(refuse)
    await wang.page.goto(house.url)
    await wang.at("seat").select_option(label=await wang._label("8001"))
    await wang.page.keyboard.press("F2")
    await expect(wang.at("refusal")).to_contain_text(cure)
    await expect(wang.at("strip")).to_contain_text(cure)
    await wang.state("signed_out")
    await wang.at("sign-in-paused").click()
    await wang.state("paused")
    await wang.at("health").click()
    await expect(wang.at("health-menu")).to_contain_text(cure)


async def test_a_headset_pulled_out_in_the_call(house: House, people: People) -> None:  # noqa: F811
    """It is told at once, with the cure; the call goes on, and the trouble goes when a call has a microphone again."""
    wang = await people.come("wang", seat="8001")
    caller = await house.call("13900008005", silent=True)
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await wang.js("!!window.lingxi.phone.session?.connection?.getSenders().length")
    await wang.page.evaluate(
        "window.lingxi.phone.session.connection.getSenders().find(s => s.track?.kind === 'audio').track.dispatchEvent(new Event('ended'))"
    )
    await expect(wang.at("strip")).to_contain_text("插好耳机")
    await wang.state("talking")
    await caller.hang_up()
    await wang.finish()
    again = await house.call("13900008006", silent=True)
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await expect(wang.at("strip")).to_be_hidden()
    await again.hang_up()


async def test_no_calls_without_a_microphone(house: House, people: People) -> None:  # noqa: F811
    """The last headset goes between calls: the seat is unreachable and says why; plugged in again, it is ready by itself."""
    wang = await people.come("wang", seat="8001")
    lose = """() => { const there = navigator.mediaDevices; window.__had = [there.getUserMedia, there.enumerateDevices];
        there.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); there.enumerateDevices = async () => [];
        there.dispatchEvent(new Event('devicechange')); }"""
    await wang.page.evaluate(lose)
    await wang.state("unreachable")
    await expect(wang.at("strip")).to_contain_text("插好耳机")
    await wang.page.keyboard.press("Control+Alt+r")
    await expect(wang.page.locator(".bar [data-test=refusal]")).to_contain_text("插好耳机")
    find = """() => { const there = navigator.mediaDevices; [there.getUserMedia, there.enumerateDevices] = window.__had;
        there.dispatchEvent(new Event('devicechange')); }"""
    await wang.page.evaluate(find)
    await wang.state("ready")
    await expect(wang.at("strip")).to_be_hidden()
    assert wang.trouble == []
