"""The screens as people have them, in the real demo: every page in both languages and themes, and what must hold while calls ring.

Principles 2 and 3 of the screens: ringing takes no focus, no key and no pixel; the call bar answers whatever is open.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import ViewportSize, expect

from tests.stories.house import House, People, Person, house, people  # noqa: F401 - fixtures
from tests.stories.screens import WATCH_SHIFTS, axe, contrast_in, faults, look

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(180)]

SMALL = ViewportSize(width=1366, height=608)
PUT = """([method, path, body]) => fetch(path, {method, headers: {'Content-Type': 'application/json', 'X-CSRF-Token': document.documentElement.dataset.csrf},
    body: body === null ? undefined : JSON.stringify(body)}).then(answer => answer.status)"""
MENUS = {
    "state-chip": "state-menu", "search-open": "search-menu", "health": "health-menu", "me": "me-menu", "keys": "keys-menu",
}  # fmt: skip


async def wears(person: Person, lang: str, theme: str) -> None:
    """The person chooses language and theme."""
    await person.page.evaluate(PUT, ["PUT", "/api/v1/me/looks", {"lang": lang, "theme": theme}])


async def open_menu(person: Person, opener: str) -> Any:
    """Open one of the bar's menus by its button or key."""
    if opener == "keys":
        await person.page.keyboard.press("Control+Slash")
    elif opener == "me":
        await person.at("me").click()
    else:
        await person.page.locator(f"#{opener}").click()
    menu = person.page.locator(f"#{MENUS[opener]}")
    await expect(menu).to_be_visible()
    return menu


async def addresses(person: Person, rows: list[str]) -> list[str]:
    """The first link of each of these lists."""
    found = []
    for path, row in [one.split("|") for one in rows]:
        await person.page.goto(f"{person.house.url}{path}")
        found.append(str(await person.page.locator(f"[data-test={row}] a").first.get_attribute("href"))[1:])
    return found


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_every_page_can_be_read_by_everybody(house: House, people: People, lang: str) -> None:  # noqa: F811
    """No serious fault of access, nothing that sticks out, no half-translated word; in both themes."""
    wang, zhang, admin = await people.come("wang"), await people.come("zhang"), await people.come("admin")
    themes = ("light", "dark") if lang == "zh" else ("dark", "light")
    [customer] = await addresses(wang, ["customers|customer-row"])
    [call, ticket, product] = await addresses(zhang, ["calls|call-row", "tickets|record-row", "products|record-row"])
    walks = {
        wang: ["", "calls", "calls?q=zzzz", "customers", "customers?q=zzzz", customer, f"{customer}/edit", "customers/new", "demo", "me", "nosuch"],
        zhang: [
            "floor", "floor/queues", "calls?figure=answered", call, "tickets", "tickets?stage=new,working&q=zzzz", "tickets?bin=1", ticket,
            f"{ticket}/edit", "tickets/new", "follow-ups", "tasks", "products", product, "search?q=主轴", "search",
        ],
        admin: ["system/roles", "products/import"],
    }  # fmt: skip
    found: dict[str, Any] = {}
    for person, pages in walks.items():
        await person.page.set_viewport_size(SMALL)
        await wears(person, lang, themes[0])
        for path in pages:
            await person.page.goto(f"{house.url}{path}")
            await expect(person.page.locator("#page .skeleton")).to_have_count(0)
            found[path] = await look(person.page, lang, themes)
        for opener in MENUS:
            if opener == "state-chip" and person is admin:
                continue  # who has no right to a seat has no state
            menu = await open_menu(person, opener)
            wrong = await axe(person.page, f"#{MENUS[opener]}") + await contrast_in(person.page, themes[1], f"#{MENUS[opener]}")
            found[MENUS[opener]] = {"axe": wrong} if wrong else {}
            await person.page.keyboard.press("Escape")
            await expect(menu).to_be_hidden()
        await wears(person, "zh", "system")
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
    missing = [text for text in wang.trouble if "404" not in text]
    assert missing == [] and zhang.trouble == []


async def test_a_call_rings_and_nothing_moves(house: House, people: People) -> None:  # noqa: F811
    """Five calls ring while 300 characters are typed, half of them composed: all arrive in that field, and no pixel shifts."""
    wang, zhang = await people.come("wang", seat="8001"), await people.come("zhang")
    [customer] = await addresses(wang, ["customers|customer-row"])
    await wang.page.goto(f"{house.url}{customer}/edit")
    await zhang.page.goto(f"{house.url}floor")
    await wang.js("window.lingxi?.phone?.state?.registered === true")
    await wang.state("ready")
    field = wang.page.locator("#remark")
    await field.fill("")
    await field.focus()
    composing = await wang.page.context.new_cdp_session(wang.page)
    for person in (wang, zhang):
        await person.page.evaluate(WATCH_SHIFTS)
    typed = ""
    rang = 0
    for n in range(5):
        caller = await house.call(f"1390000{6000 + n}", hold_s=2.2, silent=True)
        for part in ("主轴有异响，已换过轴承，客户", "spindle noise, "):
            await asyncio.sleep(0.3)
            for start in range(0, 15, 5):
                await composing.send(
                    "Input.imeSetComposition", {"text": part[start : start + 5], "selectionStart": 0, "selectionEnd": 0}
                )
                rang += await wang.at("state-chip").get_attribute("data-state") == "ringing"
                await composing.send("Input.insertText", {"text": part[start : start + 5]})
                await asyncio.sleep(0.05)
            typed += part[:15]
        await wang.page.keyboard.type("bearing changed; call back by Wednesday", delay=12)
        typed += "bearing changed; call back by Wednesday"
        await caller.result()
    assert len(typed) >= 300 and rang >= 5
    assert await field.input_value() == typed
    assert await wang.page.evaluate("document.activeElement.id") == "remark"
    for person in (wang, zhang):
        assert await person.page.evaluate("window.__shifts") == [], person.login
    await wang.page.evaluate("localStorage.clear()")
    assert wang.trouble == [] and zhang.trouble == []


async def bar_is_free(person: Person, button: str) -> bool:
    """Whether the pointer reaches a button of the bar."""
    box = await person.at(button).bounding_box()
    assert box is not None
    point = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    return bool(
        await person.page.evaluate(
            "([test, x, y]) => !!document.elementFromPoint(x, y)?.closest(`[data-test=${test}]`)", [button, *point]
        )
    )


async def test_the_bar_works_whatever_is_open(house: House, people: People) -> None:  # noqa: F811
    """Menus and dialogs cover no command; a key in a search box answers; a page that does not come hinders no hanging up."""
    wang = await people.come("wang", seat="8001")
    await wang.page.goto(f"{house.url}calls")
    await wang.js("window.lingxi?.phone?.state?.registered === true")
    caller = await house.call("13900007001", silent=True)
    await wang.state("ringing")
    for opener in MENUS:
        await open_menu(wang, opener)
        assert await bar_is_free(wang, "answer") and await bar_is_free(wang, "hangup"), opener
        if opener != "search-open":
            await wang.page.keyboard.press("Escape")
    await open_menu(wang, "search-open")
    await wang.page.keyboard.type("张")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    assert await wang.page.locator("#search-menu input").input_value() == "张"
    for opener in MENUS:
        await open_menu(wang, opener)
        await wang.page.keyboard.press("F9")
        await wang.js("window.lingxi.phone.state.muted === true")
        await wang.page.keyboard.press("F9")
        await wang.js("window.lingxi.phone.state.muted === false")
        await wang.page.keyboard.press("Escape")
    await wang.page.route("**/customers", lambda route: asyncio.sleep(4))
    await wang.at("nav-customers").click()
    await wang.page.keyboard.press("F4")
    await wang.state("wrap_up", timeout=3000)
    assert (await caller.result()).ended_by == "pbx"
    assert await wang.page.evaluate("location.pathname") == "/calls"
    await wang.page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("lang", ["zh-CN", "en-US"])
async def test_the_faces_of_a_call(house: House, people: People, lang: str) -> None:  # noqa: F811
    """Ringing, talking, held and wrap-up of a new caller: no fault of access, one solid button at most, and F2 presses it."""
    wang = await people.come("wang", lang=lang, seat="8001")
    short = lang[:2]
    await wears(wang, short, "light")
    await wang.page.goto(house.url)
    await wang.page.set_viewport_size(SMALL)
    await wang.js("window.lingxi?.phone?.state?.registered === true")
    caller = await house.call("13900007002", silent=True)
    found: dict[str, Any] = {}
    for state, key in (("ringing", ""), ("talking", "F2"), ("held", "F8"), ("wrap_up", "F4")):
        if key:
            await wang.page.keyboard.press(key)
        await wang.state(state)
        await asyncio.sleep(0.3)
        found[state] = await axe(wang.page) + await contrast_in(wang.page, "dark") + await faults(wang.page, short)
        solid = await wang.page.evaluate(
            "[...document.querySelectorAll('.primary, .go')].filter(b => b.checkVisibility() && b.dataset.key !== 'F2').map(b => b.textContent)"
        )
        assert solid == [], state
    await caller.result()
    assert {state: wrong for state, wrong in found.items() if wrong} == {}
    assert wang.trouble == []
    await wears(wang, "zh", "system")
