"""Records as people work with them: a ticket out of a customer, through its stages, two editors, the bin and back, the one search box."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.stories.house import House, People, Person, house, people  # noqa: F401 - fixtures

pytestmark = [pytest.mark.pbx, pytest.mark.browser, pytest.mark.timeout(180)]


async def open_customer(person: Person) -> str:
    """The first customer of the list; its name."""
    await person.page.goto(f"{person.house.url}customers")
    await person.page.locator("[data-test=customer-row] a.cut").first.click()
    name = person.at("customer-name").locator("bdi")
    await expect(name).to_be_visible()
    return str(await name.text_content())


async def write_ticket(person: Person, subject: str) -> str:
    """A new ticket out of a customer's page; returns its path."""
    name = await open_customer(person)
    await person.at("new-ticket").click()
    await expect(person.page.locator("form[data-ready]")).to_be_visible()
    await expect(person.at("pick-customer_id")).to_have_value(name)
    await person.at("subject").fill(subject)
    await person.at("priority").select_option("urgent")
    await person.page.keyboard.press("Control+S")
    await expect(person.at("record-title")).to_contain_text(subject)
    return re.sub(r"^https?://[^/]+/", "", person.page.url)


async def test_a_ticket_from_a_customer_to_its_end(house: House, people: People) -> None:  # noqa: F811
    """Draft survives a reload; solved asks how; the history says who did what; the customer's page shows it while it is open."""
    wang = await people.come("wang")
    name = await open_customer(wang)
    await wang.at("new-ticket").click()
    await wang.at("subject").fill("主轴响得厉害")
    await wang.page.reload()
    await expect(wang.at("subject")).to_have_value("主轴响得厉害")
    await expect(wang.at("pick-customer_id")).to_have_value(name)
    await wang.at("save").click()
    await expect(wang.at("record-title")).to_contain_text("主轴响得厉害")
    await wang.at("stage-working").click()
    await expect(wang.at("record-title")).to_contain_text("处理中")
    await wang.at("stage-solved").click()
    await expect(wang.page.locator(".refusal")).to_contain_text("解决办法")
    await wang.at("edit").click()
    await expect(wang.page.locator("form[data-ready]")).to_be_visible()
    await wang.at("solution").fill("更换了轴承。")
    await wang.at("save").click()
    await wang.at("stage-solved").click()
    await expect(wang.at("record-title")).to_contain_text("已解决")
    await wang.at("say-text").fill("客户很满意")
    await wang.at("say").click()
    await expect(wang.at("comment")).to_contain_text("客户很满意")
    await expect(wang.at("change")).to_have_count(4)
    await expect(wang.at("change").nth(0)).to_contain_text("处理中 → 已解决")
    assert [one for one in wang.trouble if "400 (Bad Request)" not in one] == [], "the refusal apart"


async def test_two_editors(house: House, people: People) -> None:  # noqa: F811
    """The second is told what the first one saved, chooses, and saves again; nothing is overwritten unseen."""
    wang, zhang = await people.come("wang"), await people.come("zhang")
    path = await write_ticket(wang, "两个人同时改")
    for person in (wang, zhang):
        await person.page.goto(f"{house.url}{path}/edit")
        await expect(person.page.locator("form[data-ready]")).to_be_visible()
    await wang.at("subject").fill("王的写法")
    await wang.at("save").click()
    await expect(wang.at("record-title")).to_contain_text("王的写法")
    await zhang.at("subject").fill("张的写法")
    await zhang.at("priority").select_option("low")
    await zhang.at("save").click()
    conflict = zhang.at("conflict")
    await expect(conflict).to_contain_text("王小明")
    await expect(zhang.at("both-subject")).to_contain_text("王的写法")
    await expect(zhang.at("both-priority")).to_have_count(0)
    await zhang.at("both-subject").locator("input[value=theirs]").check()
    await expect(zhang.at("subject")).to_have_value("王的写法")
    await zhang.at("both-subject").locator("input[value=mine]").check()
    await zhang.at("save").click()
    await expect(zhang.at("record-title")).to_contain_text("张的写法")
    await expect(zhang.at("value-priority")).to_contain_text("低")


async def test_the_bin_the_views_and_the_search(house: House, people: People) -> None:  # noqa: F811
    """Many are recycled at once and brought back by Undo; a view is kept; what is written is found by its number as one types."""
    zhang = await people.come("zhang")
    paths = [await write_ticket(zhang, f"要回收的 {n}") for n in range(2)]
    await zhang.page.goto(f"{house.url}tickets?q=要回收的")
    await expect(zhang.at("record-row")).to_have_count(2)
    await expect(zhang.page.locator("#page[data-ready]")).to_be_visible()
    await zhang.at("all").check()
    await zhang.at("do-recycle").click()
    await expect(zhang.at("record-row")).to_have_count(0)
    await zhang.at("toast").get_by_role("button", name="撤销").click()
    await expect(zhang.at("record-row")).to_have_count(2)
    await zhang.at("filter-priority").locator("summary").click()
    await zhang.at("filter-priority").locator("input[value=urgent]").check()
    await zhang.at("filter-priority").locator("[data-test=apply]").click()
    await expect(zhang.page).to_have_url(re.compile("priority=urgent"))
    await expect(zhang.page.locator("#page[data-ready]")).to_be_visible()
    await zhang.at("views").locator("summary").click()
    await zhang.at("view-name").fill("我的急件")
    await zhang.at("keep-view").click()
    await expect(zhang.at("views").locator("summary")).to_contain_text("我的急件")
    await zhang.page.goto(f"{house.url}{paths[0]}")
    number = (await zhang.page.locator("#page .who .hint").text_content() or "").split("·")[1].strip()
    await zhang.page.keyboard.press("Control+K")
    await zhang.at("search-box").press_sequentially(number)
    await expect(zhang.at("search-hit")).to_have_count(1)
    await zhang.page.keyboard.press("ArrowDown")
    await zhang.page.keyboard.press("Enter")
    await expect(zhang.at("record-title")).to_contain_text("要回收的 0")
    assert zhang.trouble == []
