"""Takes the pictures of the docs anew, in the real demo: `python -m tests.stories.pictures`. Writes docs/images/*.png.

The demo's phone system is LINGXI_ASTERISK's tree, or what peers the machine has; its data is made anew in a folder that is
thrown away afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.stories.house import House, Person, house_or_skip, launch

IMAGES = Path(__file__).parents[2] / "docs/images"
SIZE = {"width": 1366, "height": 768}
LARGEST = 200_000
SUPPORT, PARTS, VIP = "057188000001", "057188000002", "4008880000"
NOTES = "主轴 3000 转以上有异响，已换过轴承。\n客户希望周三前上门，先电话约时间。"


async def take(person: Person, name: str) -> None:
    """One picture, once the page stands still."""
    await person.page.mouse.move(683, 760)
    await asyncio.sleep(1.2)
    path = IMAGES / f"{name}.png"
    await person.page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.relative_to(IMAGES.parents[1])} {size // 1000} kB")
    if size > LARGEST:
        sys.exit(f"{name} is larger than {LARGEST // 1000} kB")


async def come(browser: Browser, house: House, login: str, lang: str = "zh-CN") -> Person:
    """Somebody with a browser of their own, in daylight."""
    context: BrowserContext = await browser.new_context(viewport=SIZE, locale=lang, color_scheme="light")  # type: ignore[arg-type]
    return Person(await context.new_page(), house, login)


async def ring(house: House, wang: Person, number: str) -> None:
    """A known customer calls the VIP line."""
    await house.call(number, to=VIP, hold_s=120)
    await wang.state("ringing")


async def all_pictures(house: House, browser: Browser) -> None:
    """A short morning: sign in, some calls on the floor, one of them in hand."""
    wang, zhang = await come(browser, house, "wang"), await come(browser, house, "zhang")
    await wang.page.goto(f"{house.url}signin")
    await take(wang, "signin")
    for person in (wang, zhang):
        await person.sign_in()
    customer = house.rows(
        "select p.written, c.id from contact_point p join customer c on c.id = p.customer_id join call_link l on l.thing_id = c.id "
        "where p.kind = 'mobile' and c.level = 'VIP' and c.kind = 'company' group by p.key having count(distinct p.customer_id) = 1 "
        "order by count(l.call_id) desc limit 1"
    )[0]
    others = house.rows(
        "select written from contact_point where kind = 'mobile' group by key having count(*) = 1 order by key limit 60"
    )
    for n, row in enumerate(others[::6]):
        if n == 2:
            await asyncio.sleep(3)
            await wang.sit_down("8001")
        await house.call(row["written"], to=SUPPORT if n < 2 else PARTS, hold_s=150)
        await asyncio.sleep(0.8)
    await asyncio.sleep(3)
    await ring(house, wang, customer["written"])
    await take(wang, "desk-ringing")
    await wang.page.keyboard.press("F2")
    await wang.state("talking")
    await wang.at("notes").fill(NOTES)
    await take(wang, "desk-call")
    await zhang.page.goto(f"{house.url}floor")
    await take(zhang, "floor")
    await zhang.page.goto(f"{house.url}floor/queues")
    await take(zhang, "queues")
    await asyncio.sleep(6)
    await wang.page.keyboard.press("F4")
    await wang.finish()
    await asyncio.sleep(2)
    await wang.page.goto(f"{house.url}customers/{customer['id']}")
    await take(wang, "customer")
    call = house.rows(
        "select r.call_id from recording r join call_link l on l.call_id = r.call_id where l.thing_id = ? order by r.at desc",
        customer["id"],
    )
    await wang.page.goto(f"{house.url}calls/{call[0]['call_id']}")
    await take(wang, "call")
    await wang.page.evaluate(
        "fetch('/api/v1/me/looks', {method: 'PUT', body: JSON.stringify({lang: 'en'}), "
        "headers: {'Content-Type': 'application/json', 'X-CSRF-Token': document.documentElement.dataset.csrf}})"
    )
    await wang.page.goto(house.url)
    await wang.js("window.lingxi?.phone?.state?.registered === true")
    await ring(house, wang, customer["written"])
    await take(wang, "desk-ringing-en")
    await wang.page.keyboard.press("F4")


async def main() -> None:
    """All of it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        house = house_or_skip(Path(folder) / "house")
        house.start()
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright, house)
                await all_pictures(house, browser)
                await browser.close()
        finally:
            house.stop()


if __name__ == "__main__":
    asyncio.run(main())
