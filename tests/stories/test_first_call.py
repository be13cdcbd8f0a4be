"""The first call, as its people have it: a caller over SIP, the right screen, both voices in the recording, the figures moved.

Real Asterisk, SIPp callers with sound, Chromium. Everything is done and seen at the edge: SIP in, browser out.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import wave
from typing import Any

import numpy
import pytest
from playwright.async_api import expect

from tests.stories.house import AGENT_HZ, CALLER_HZ, House, People, Person, house, people, until  # noqa: F401 - fixtures

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(120)]

WATCH_SEAT = """name => { const row = () => [...document.querySelectorAll('[data-test=seat-row]')].find(r => r.textContent.includes(name));
  window.__seen = []; let last = ''; const look = () => { const cell = row()?.querySelector('[data-test=seat-state]') ?? row();
    const state = cell?.dataset.state ?? row()?.dataset.state ?? ''; if (state && state !== last) { last = state; window.__seen.push([state, Date.now()]); } };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true}); look(); }"""


def pitch(sound: bytes, channel: int) -> float:
    """The strongest frequency of a side, in Hz; 0.0 where it is silent."""
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getnchannels() == 2
        samples = numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)[:, channel].astype(float)
        rate = file.getframerate()
    if numpy.sqrt((samples**2).mean()) < 50:
        return 0.0
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    return float(numpy.argmax(spectrum[1:]) + 1) * rate / len(samples)


async def figure(person: Person, name: str, queue: str = "") -> Any:
    """A figure of the day as the floor's page has it."""
    await person.page.goto(f"{person.house.url}floor/queues")
    feed = await person.page.evaluate("JSON.parse(document.getElementById('feed-floor').textContent).state")
    return (feed["queues"][queue]["figures"] if queue else feed["figures"]["all"])[name]["value"]


def newest_call(house: House) -> dict[str, Any]:  # noqa: F811
    rows = house.rows("select * from call where epoch != 'history' order by started_at desc limit 1")
    return rows[0] if rows else {}


async def test_the_first_call(house: House, people: People) -> None:  # noqa: F811
    """The card before the answer, both voices, the timeline, the seat on the supervisor's page, the day's figures."""
    number, [customer] = house.number_of(1)
    wang, zhang = await people.come("wang", seat="8001"), await people.come("zhang")
    answered = await figure(zhang, "answered", "vip")
    await zhang.page.goto(f"{house.url}floor")
    await zhang.page.evaluate(WATCH_SEAT, "王小明")
    caller = await house.call(number)
    await wang.state("ringing")
    await expect(wang.at("caller-name").first).to_contain_text(await person_of(house, number))
    await expect(wang.at("caller-number").first).to_contain_text("****")
    assert await wang.at("state-chip").get_attribute("data-state") == "ringing", "the card must be there before the answer"
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await asyncio.sleep(5)
    await wang.at("notes").fill("主轴有异响，周三前上门")
    await wang.page.keyboard.press("F4")
    assert (await caller.result()).ended_by == "pbx"
    await asyncio.sleep(1)  # nobody wraps up faster than a board is drawn
    await wang.finish()
    call = await until(
        lambda: next(iter(house.rows("select * from recording where state = 'stored' order by at desc limit 1")), None)
    )
    await seat_was_seen(zhang, wang)
    await recording_holds_both_voices(wang, call["call_id"])
    await timeline_has_it(wang, customer["id"], call["call_id"])
    await until_async(lambda: figure(zhang, "answered", "vip"), answered + 1)
    assert wang.trouble == [] and zhang.trouble == []
    digits = number[-8:]
    assert wang.sip and not any(digits in frame for frame in wang.sip), "the whole number reached a browser phone"


async def person_of(house: House, number: str) -> str:  # noqa: F811
    rows = house.rows(
        "select coalesce(k.name, c.name) as name from contact_point p join customer c on c.id = p.customer_id left join contact k on k.id = p.contact_id "
        "where p.written = ?", number
    )  # fmt: skip
    return str(rows[0]["name"])


async def until_async(ask: Any, wanted: Any, timeout: float = 8.0) -> None:
    """Ask until the answer is as wanted."""
    found = None
    for _ in range(int(timeout / 0.25)):
        found = await ask()
        if found == wanted:
            return
        await asyncio.sleep(0.25)
    assert found == wanted


async def seat_was_seen(zhang: Person, wang: Person) -> None:
    """The supervisor's page showed each state, each within a second of its change."""
    await until_async(
        lambda: zhang.page.evaluate("window.__seen.map(one => one[0]).slice(-5)"),
        ["ready", "ringing", "talking", "wrap_up", "ready"],
    )
    seen = [(state, at) for state, at in await zhang.page.evaluate("window.__seen")]
    query = "select s.state, s.from_at from seat_state s join user_account u on u.id = s.user_id where u.login = ? order by s.from_at desc limit 4"
    await until(lambda: [row["state"] for row in zhang.house.rows(query, wang.login)] == [state for state, _ in seen[:-5:-1]])
    changes = {row["state"]: row["from_at"] * 1000 for row in zhang.house.rows(query, wang.login)}
    for state, at in seen[-4:]:
        assert at - changes[state] < 1000, f"{state} was {at - changes[state]:.0f} ms late"


async def recording_holds_both_voices(wang: Person, call_id: int) -> None:
    """Tone A on the caller's side, tone B on the agent's."""
    sound = await wang.page.request.get(f"{wang.house.url}recordings/{call_id}/sound")
    assert sound.status == 200
    body = await sound.body()
    assert abs(pitch(body, 0) - CALLER_HZ) < 15, f"left: {pitch(body, 0)} Hz"
    assert abs(pitch(body, 1) - AGENT_HZ) < 15, f"right: {pitch(body, 1)} Hz"
    part = await wang.page.request.get(f"{wang.house.url}recordings/{call_id}/sound", headers={"Range": "bytes=44-1043"})
    assert part.status == 206 and len(await part.body()) == 1000


async def timeline_has_it(wang: Person, customer_id: int, call_id: int) -> None:
    """The call and its notes hang on the customer's timeline, and the player plays and seeks."""
    await wang.page.goto(f"{wang.house.url}customers/{customer_id}")
    first = wang.at("timeline-entry").first
    await expect(first).to_contain_text("主轴有异响")
    await wang.page.goto(f"{wang.house.url}calls/{call_id}")
    await wang.at("player-play").click()
    playing = "document.querySelector('[data-test=player-audio]').currentTime > 0.3"
    await wang.js(playing)
    await wang.page.evaluate("document.querySelector('[data-test=player-audio]').currentTime = 3")
    await wang.js("document.querySelector('[data-test=player-audio]').currentTime >= 3")


async def test_a_press_before_its_script_is_there(house: House, people: People) -> None:  # noqa: F811
    """A slow line brings the page before its script: the press waits for it, and the form never goes to an address of its own."""
    wang = await people.come("wang")

    async def late(route: Any) -> None:
        await asyncio.sleep(2)
        await route.continue_()

    await wang.page.route("**/static/desk/desk.js*", late)
    await wang.page.goto(house.url, wait_until="load")
    await wang.at("seat").select_option(label=await wang._label("8001"))
    await wang.at("sign-in-ready").click()
    await expect(wang.at("sign-in-ready")).to_have_attribute("aria-busy", "true")
    await wang.state("ready")
    assert wang.page.url == house.url


async def test_a_caller_who_gives_up_while_it_rings(house: House, people: People) -> None:  # noqa: F811
    """The card goes, the seat is ready again, the wait counts as abandoned."""
    wang, zhang = await people.come("wang", seat="8001"), await people.come("zhang")
    abandoned = await figure(zhang, "abandoned", "vip")
    caller = await house.call("13900002222", hold_s=3)
    await wang.state("ringing")
    assert (await caller.result()).ended_by == "caller"
    await wang.state("ready")
    await expect(wang.at("caller-card")).to_be_hidden()
    await until_async(lambda: figure(zhang, "abandoned", "vip"), abandoned + 1)


async def test_a_seat_that_does_not_answer_and_then_another(house: House, people: People) -> None:  # noqa: F811
    """The second agent gets the same card; the first one has missed it."""
    number, [customer] = house.number_of(1)
    wang = await people.come("wang", seat="8001")
    before = newest_call(house).get("id")
    caller = await house.call(number)
    await wang.state("ringing")
    li = await people.come("li", seat="8002")
    await li.state("ringing", timeout=30_000)
    await wang.state("ready")
    await expect(li.at("caller-name").first).to_contain_text(await person_of(house, number))
    await li.page.keyboard.press("F2")
    await li.state("talking")
    await asyncio.sleep(1)
    await caller.hang_up()
    await li.state("wrap_up")
    call = await until(
        lambda: (
            newest_call(house) if newest_call(house).get("outcome") == "answered" and newest_call(house)["id"] != before else None
        )
    )
    offers = house.rows("select result from offer where call_id = ? order by started_at", call["id"])
    assert [offer["result"] for offer in offers] == ["no_answer", "answered"]
    assert customer["id"] in [row["thing_id"] for row in house.rows("select thing_id from call_link where call_id = ?", call["id"])]


async def test_two_customers_with_one_number(house: House, people: People) -> None:  # noqa: F811
    """The agent chooses; the call hangs on the chosen one only."""
    number, customers = house.number_of(2)
    wang = await people.come("wang", seat="8001")
    caller = await house.call(number)
    await wang.state("ringing")
    await expect(wang.at("customer-choice")).to_have_count(2)
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await wang.at("customer-choice").nth(1).click()
    await expect(wang.at("customer-choice")).to_have_count(0)
    await asyncio.sleep(0.5)
    await caller.hang_up()
    await wang.state("wrap_up")
    call = await until(lambda: newest_call(house) if newest_call(house)["caller"] == number else None)
    linked = house.rows("select thing_id, made_by from call_link where call_id = ?", call["id"])
    assert len(linked) == 1 and linked[0]["made_by"] == "agent" and linked[0]["thing_id"] in [c["id"] for c in customers]


async def test_an_unknown_caller_becomes_a_customer(house: House, people: People) -> None:  # noqa: F811
    """A form with the number filled in (masked); saved, the card shows the new customer, and the next call knows them."""
    wang = await people.come("wang", seat="8001")
    number = "13987651234"
    caller = await house.call(number)
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    form = wang.at("new-customer")
    await expect(form.locator("input").nth(2)).to_have_value("139****1234")
    await form.locator("input").first.fill("欧阳试")
    await wang.at("new-customer-save").click()
    await expect(wang.at("caller-name").first).to_contain_text("欧阳试")
    await caller.hang_up()
    await wang.finish()
    again = await house.call(number)
    await wang.state("ringing")
    await expect(wang.at("caller-name").first).to_contain_text("欧阳试")
    await again.hang_up()


async def test_a_withheld_number(house: House, people: People) -> None:  # noqa: F811
    """It is shown as such, and nothing is looked up."""
    wang = await people.come("wang", lang="en-US", seat="8001")
    caller = await house.call("")
    await wang.state("ringing")
    await expect(wang.at("caller-card").first).to_contain_text("withheld")
    await caller.hang_up()


async def test_two_browsers_on_one_seat(house: House, people: People) -> None:  # noqa: F811
    """The second is told who sits there, takes over, and the first is told."""
    wang = await people.come("wang", seat="8001")
    li = await people.come("li")
    await li.page.goto(house.url)
    await li.at("seat").select_option(label=await li._label("8001"))
    await li.page.keyboard.press("F2")
    await expect(li.at("taken")).to_contain_text("王小明")
    await li.at("take-over").click()
    await li.state("ready")
    await wang.state("signed_out")
    caller = await house.call("13900003333")
    await li.state("ringing")
    await wang.state("signed_out")
    await caller.hang_up()


async def test_every_page_during_a_call(house: House, people: People) -> None:  # noqa: F811
    """Links swap the page; the bar, the phone and the socket live on, and so does the call."""
    wang = await people.come("wang", seat="8001")
    caller = await house.call("13900004444")
    await wang.state("ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await wang.page.evaluate("window.__same = true")
    hrefs = await wang.page.eval_on_selector_all("nav a[href]", "links => links.map(a => a.getAttribute('href'))")
    assert len(hrefs) >= 3
    for href in [*hrefs, "/"]:
        await wang.page.evaluate(f"document.querySelector('nav a[href=\"{href}\"]').click()")
        await wang.js(f"location.pathname === '{href}'")
        await wang.state("talking")
        assert await wang.page.evaluate("window.__same === true"), f"{href} loaded the whole page"
    sender = "window.lingxi.phone.state.call"
    assert await wang.page.evaluate(sender)
    await wang.page.keyboard.press("F4")
    await wang.state("wrap_up")
    assert (await caller.result()).ended_by == "pbx"


async def test_a_page_that_slept(house: House, people: People) -> None:  # noqa: F811
    """Frozen by the browser while things happened, it shows the truth when it wakes."""
    zhang = await people.come("zhang")
    await zhang.page.goto(f"{house.url}floor")
    devtools = await zhang.page.context.new_cdp_session(zhang.page)
    await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    wang = await people.come("wang", seat="8001")
    await asyncio.sleep(3)
    await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    row = zhang.page.locator("[data-test=seat-row]", has_text="王小明")
    await expect(row).to_contain_text("就绪")
    assert wang.trouble == []


async def test_the_pbx_restarts(house: House, people: People) -> None:  # noqa: F811
    """Killed without a word, it comes back; all members are in their queues within five seconds, and a call finds its seat."""
    wang = await people.come("wang", seat="8001")
    pid = int((await asyncio.to_thread(pids_of, house))[0])
    os.kill(pid, signal.SIGKILL)
    await until(lambda: "was started again" in house.log(), 20)
    await wang.js("window.lingxi?.phone?.state?.registered === true", timeout=30)
    await wang.state("ready", timeout=20_000)
    caller = await house.call("13900005555")
    await wang.state("ringing")
    await caller.hang_up()


def pids_of(house: House) -> list[str]:  # noqa: F811
    """The demo's Asterisk."""
    found = subprocess.run(["pgrep", "-f", f"{house.home}/pbx/demo/etc/asterisk.conf"], capture_output=True, text=True, check=False)
    return found.stdout.split()
