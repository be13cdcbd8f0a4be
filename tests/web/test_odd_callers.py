"""Callers with odd names and numbers: quotes, markup, five hundred characters, other scripts, controls. Each rings, is shown as text, and
stands in the books on both databases; nothing of it acts in a page and nothing breaks the feeds."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from cti.storage import Call
from tests.web.crawl import harmless
from tests.web.program import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = {
    "quotes": "O'Brien \"Bob\" `x` \\",
    "a script": "</script><script>alert(1)</script>",
    "markup": "\"><x-evil onload=alert(1)><img src=x onerror=alert(1)>",
    "a template": "{{ 7*7 }}{% raw %}${1+1}",
    "500 characters": "长" * 500,
    "other scripts": "Ünïcödé Жук שלום 你好 👩‍👩‍👧‍👦 \u0301\u0301\u0301",
    "writing backwards": "safe\u202egnp.exe\u2066\u2069\u200f",
    "line ends": "one\r\nAction: Originate\r\n\r\ntwo\u2028three\u2029",
    "controls": "a\x00b\x01c\x1b[31md\x7f\x85",
    "half a character": "broken \ud800 \udcff name",
    "a formula": "=cmd|'/c calc'!A0",
}  # fmt: skip
NUMBERS = [
    "",
    "anonymous",
    "<script>alert(1)</script>",
    "13800138000\r\nX: y",
    "+" + "9" * 400,
    'sip:o\'brien@1.2.3.4;x="y"',
    "８６１３８",
    "a\x00b",
    "\ud800",
    "*#06#",
]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_an_odd_name_rings_is_shown_as_text_and_is_booked(shared_everywhere: Running, name: str) -> None:
    await one_call(shared_everywhere, "13812345678", name)


@pytest.mark.parametrize("number", NUMBERS, ids=ascii)
async def test_an_odd_number_rings_is_shown_as_text_and_is_booked(shared_everywhere: Running, number: str) -> None:
    await one_call(shared_everywhere, number, "")


async def one_call(here: Running, number: str, name: str) -> None:
    """A call through queue, desk, floor, books and every page that shows it."""
    before = {row["id"] for row in await here.rows(select(Call.id))}
    wang = await here.sit("wang", "8001")
    zhang = await here.browser("zhang")
    here.habit("8001", ring_s=0.15, talk_s=0.3)
    async with wang.socket() as desk, zhang.socket() as floor:
        await desk.join("desk")
        await floor.join("floor")
        over = here.call(number=number, name=name)
        await desk.until(lambda s: any(c["phase"] == "ringing" for c in s["desk"]["calls"].values()))
        for browser, path in ((wang, "/"), (wang, "/me"), (zhang, "/floor"), (zhang, "/floor/queues")):
            assert harmless((await browser.get(path)).text) == []
        assert await over
        await desk.until(lambda s: s["desk"]["seat"]["me"]["state"] == "wrap_up")
        await floor.until(lambda s: any(r["state"] == "wrap_up" for r in s["floor"]["seats"].values()))
        for text in desk.raw + floor.raw:
            assert json.loads(text)["v"] == 1
    assert (await wang.post("/api/v1/seat/finish")).status == 204
    await here.settle()
    booked = {row["id"] for row in await here.rows(select(Call.id))} - before
    assert len(booked) == 1, "the call is not in the books"
    for path in (f"/calls/{booked.pop()}", "/calls"):
        for browser in (wang, zhang):
            answer = await browser.get(path)
            assert answer.status == 200 and harmless(answer.text) == []
