"""An agent calls a customer from the customer's page: while it rings outside, bar and desk say whom, masked, with the customer's card; then
they talk, and the call hangs on that customer's timeline.

Real Asterisk, a SIP phone outside behind the trunk, Chromium.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from config.demo.callers import TRUNK_ADDRESS
from config.demo.phones import Habit, OutsidePhones
from config.demo.run import OUTSIDE_PORT
from tests.stories.house import House, People, house, people, until  # noqa: F401 - fixtures

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(120)]
RINGS_S = 6.0


def newest_call(house: House) -> dict[str, Any]:  # noqa: F811
    rows = house.rows("select * from call where epoch != 'history' order by started_at desc limit 1")
    return rows[0] if rows else {}


async def test_an_agent_calls_a_customer(house: House, people: People) -> None:  # noqa: F811
    """From the click to the timeline."""
    number, [customer] = house.number_of(1)
    [point] = house.rows(
        "select p.id, coalesce(t.name, c.name) as name from contact_point p join customer c on c.id = p.customer_id "
        "left join contact t on t.id = p.contact_id where p.written = ?",
        number,
    )
    pbx = (house.facts["pbx"]["address"], house.facts["pbx"]["sip"])
    outside = OutsidePhones(
        house.tree, pbx, house.home / "outside", (TRUNK_ADDRESS, OUTSIDE_PORT), Habit(ring_s=(RINGS_S, RINGS_S))
    )
    await outside.start()
    try:
        wang = await people.come("wang", seat="8001")
        await wang.page.goto(f"{house.url}customers/{customer['id']}")
        await wang.js("window.lingxi?.phone?.state?.registered === true")
        await wang.page.locator(f'[data-dial="{point["id"]}"]').click()
        await until(lambda: outside.invited())
        masked = f"{number[:3]}****{number[-4:]}"
        bar = wang.page.locator("#on-line")
        await expect(bar).to_contain_text(masked)
        await expect(bar).to_contain_text(point["name"])
        await expect(wang.at("state-chip")).to_contain_text("呼叫中")
        await wang.page.evaluate("document.querySelector('nav a[href=\"/\"]').click()")
        await expect(wang.at("caller-number").first).to_contain_text(masked)
        await expect(wang.at("caller-name").first).to_contain_text(point["name"])
        assert outside.count("answered") == 0, "all this must be seen while it rings outside"
        await wang.state("talking", timeout=15_000)
        await until(lambda: outside.count("answered") == 1)
        await expect(wang.at("caller-number").first).to_contain_text(masked)
        await wang.page.keyboard.press("F4")
        await wang.state("ready")
        booked = await until(lambda: newest_call(house) if newest_call(house).get("direction") == "outbound" else None)
        assert (booked["caller"], booked["outcome"]) == ("8001", "answered")
        linked = await until(lambda: house.rows("select thing_id from call_link where call_id = ?", booked["id"]))
        assert [row["thing_id"] for row in linked] == [customer["id"]]
        assert wang.trouble == []
    finally:
        await outside.stop()
