"""A colleague calls: a seat's own desk phone dials another seat, without queue or trunk. The browser that rings shows it as internal, with
the extension and who sits there, in both languages; it is answered, hung up, and booked as internal.

Real Asterisk, a SIP phone that proves whose it is, Chromium.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from config.demo.callers import Caller, Callers, LiveCaller
from tests.stories.house import House, People, house, people, until  # noqa: F401 - fixtures

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(120)]
DESK = "8011"
SAID = """() => { window.__said = []; const look = (node) => new MutationObserver(() => { const text = node.textContent.trim();
  if (text) window.__said.push(text); }).observe(node, {subtree: true, childList: true, characterData: true});
  document.querySelectorAll('[role=alert], [role=status]').forEach(look); }"""


async def desk_phone_calls(house: House, to: str) -> LiveCaller:  # noqa: F811
    """The phone of DESK calls a seat, with a tone."""
    seat = house.rows("select secret from seat where extension = ?", DESK)[0]
    pbx = (house.facts["pbx"]["address"], house.facts["pbx"]["sip"])
    phones = Callers(house.tree, pbx, house.home / "desk-phone", address=pbx[0])
    return await phones.place(Caller(number=DESK, to=to, secret=seat["secret"], sound=house.tone, hold_s=60))


def who_sits_at(house: House, extension: str) -> str:  # noqa: F811
    """The name of the person who is signed in there."""
    rows = house.rows(
        "select u.name from seat_session s join user_account u on u.id = s.user_id join seat t on t.id = s.seat_id "
        "where t.extension = ? and s.signed_out_at is null",
        extension,
    )
    return str(rows[0]["name"])


def newest_call(house: House) -> dict[str, Any]:  # noqa: F811
    rows = house.rows("select * from call where epoch != 'history' order by started_at desc limit 1")
    return rows[0] if rows else {}


@pytest.mark.parametrize(
    ("login", "seat", "lang", "internal", "spoken", "listed"),
    [
        ("wang", "8001", "zh-CN", "内线 8011", "来电，{name}，内线 8011。F2 接听。", "内部通话"),
        ("li", "8002", "en-US", "Internal 8011", "Call from {name}, Internal 8011. F2 answers.", "Internal call"),
    ],
)  # fmt: skip
async def test_a_colleague_calls_from_a_desk_phone(
    house: House, people: People, login: str, seat: str, lang: str, internal: str, spoken: str, listed: str  # noqa: F811
) -> None:  # fmt: skip
    """Shown as internal with extension and name, answered, hung up, booked."""
    called = await people.come(login, lang=lang, seat=seat)
    colleague = who_sits_at(house, DESK)
    await called.page.evaluate(SAID)
    call = await desk_phone_calls(house, seat)
    await called.state("ringing")
    card = called.at("caller-card").first
    await expect(called.at("caller-name").first).to_have_text(colleague)
    await expect(card).to_contain_text(internal)
    await expect(called.page.locator("#on-line")).to_contain_text(internal)
    await called.js(f"window.__said.includes({spoken.format(name=colleague)!r})")
    await expect(called.at("new-customer")).to_have_count(0)
    await called.page.keyboard.press("F2")
    await called.state("talking")
    await expect(card).to_contain_text(internal)
    await called.page.keyboard.press("F4")
    result = await call.result()
    assert (result.answered, result.ended_by) == (True, "pbx"), result.trouble
    await called.state("ready")
    booked = await until(lambda: newest_call(house) if newest_call(house).get("dialed") == seat else None)
    assert (booked["direction"], booked["caller"], booked["dialed"], booked["outcome"]) == ("internal", DESK, seat, "answered")
    assert booked["queue"] == "" and booked["talk_s"] > 0
    assert house.rows("select * from call_link where call_id = ?", booked["id"]) == []
    await called.page.goto(f"{house.url}calls/{booked['id']}")
    await expect(called.page.locator("main")).to_contain_text(listed)
    assert called.trouble == []
