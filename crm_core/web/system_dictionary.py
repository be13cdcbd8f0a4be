"""The page and routes of the data dictionary: the lists, and the options of one of them. What may be changed is decided below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from crm_core.records.dictionary import TONES
from crm_core.system.options import Options
from crm_core.web.api import Routes
from crm_core.web.ask import Ask
from crm_core.web.pages import Pages

RIGHT = ("dictionary", "edit")


class OptionOut(msgspec.Struct):
    """An option. `zh` and `en` are the unit's own words, `said` what is shown in the asker's language; `used`: by so many records."""

    key: str
    said: str
    zh: str
    en: str
    tone: str
    retired: bool
    used: int


class ListOut(msgspec.Struct):
    """A list with its options, in their order."""

    name: str
    label: str
    options: list[OptionOut]


class ListsOut(msgspec.Struct):
    """All lists."""

    lists: list[ListOut]


class OptionNew(msgspec.Struct, forbid_unknown_fields=True):
    """An option to be added. Without a key one is made of the English name."""

    list: str
    zh: str = ""
    en: str = ""
    tone: str = "grey"
    key: str = ""


class OptionMade(msgspec.Struct):
    """The key of what was added."""

    key: str


class OptionChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is changed of an option; what is not named stays."""

    list: str
    key: str
    zh: str | None = None
    en: str | None = None
    tone: str | None = None
    retired: bool | None = None


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """All keys of a list, in their new order."""

    list: str
    keys: Sequence[str]


class DictionaryWeb:
    """The handlers."""

    def __init__(self, pages: Pages, options: Options) -> None:
        self._pages, self._options = pages, options

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        base, api = "/system/dictionary", routes.api
        routes.page(base, self.page, right=RIGHT, summary="The data dictionary")
        api("GET", base, self.lists_api, right=RIGHT, summary="All lists of the data dictionary", gives=ListsOut)
        api("POST", f"{base}/options", self.add_api, right=RIGHT, summary="Add an option", takes=OptionNew, gives=OptionMade)
        api("PUT", f"{base}/options", self.change_api, right=RIGHT, summary="Change or retire an option", takes=OptionChange)
        api("PUT", f"{base}/order", self.order_api, right=RIGHT, summary="Order the options of a list", takes=Order)

    async def page(self, ask: Ask) -> web.Response:
        """The lists, and one of them open."""
        dictionary, unit_id = self._options.dictionary, ask.principal.unit_id
        lists = [(one, len([o for o in dictionary.of(unit_id, one.name) if not o.retired])) for one in dictionary.lists.values()]
        name = ask.query("list") or next(iter(dictionary.lists))
        options = dictionary.of(unit_id, name)
        uses = await self._options.uses(unit_id, name)
        return self._pages.render(
            ask, "system_dictionary.html", page_nav="system", lists=lists, chosen=dictionary.lists[name], options=options, uses=uses, tones=TONES,
        )  # fmt: skip

    async def lists_api(self, ask: Ask) -> ListsOut:
        """All lists."""
        return ListsOut(lists=[await self._told(ask, name) for name in self._options.dictionary.lists])

    async def _told(self, ask: Ask, name: str) -> ListOut:
        dictionary, unit_id = self._options.dictionary, ask.principal.unit_id
        uses = await self._options.uses(unit_id, name)
        options: list[Any] = [
            OptionOut(
                key=one.key, said=one.said(ask.lang), zh=one.zh, en=one.en, tone=one.tone, retired=one.retired,
                used=sum(use.count for use in uses.get(one.key, ())),
            )
            for one in dictionary.of(unit_id, name)
        ]  # fmt: skip
        return ListOut(name=name, label=ask.say(dictionary.lists[name].label), options=options)

    async def add_api(self, ask: Ask) -> OptionMade:
        """Add an option."""
        new = await ask.body(OptionNew)
        return OptionMade(key=await self._options.add(ask.principal, new.list, new.key, zh=new.zh, en=new.en, tone=new.tone))

    async def change_api(self, ask: Ask) -> None:
        """Change an option."""
        new = await ask.body(OptionChange)
        await self._options.change(ask.principal, new.list, new.key, zh=new.zh, en=new.en, tone=new.tone, retired=new.retired)

    async def order_api(self, ask: Ask) -> None:
        """Order a list."""
        order = await ask.body(Order)
        await self._options.arrange(ask.principal, order.list, order.keys)
