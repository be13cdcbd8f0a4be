"""One box over everything: asks every source that packages registered, and tells what was found as it is typed and as a page.

It knows no kind of thing; a source says what its hits are called and look like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from crm_core.ports import SearchHit, Sources
from crm_core.web.api import Routes
from crm_core.web.ask import Ask
from crm_core.web.pages import Pages

EACH, EACH_OF_PAGE = 5, 20


class HitOut(msgspec.Struct):
    """One thing that was found."""

    kind: str
    label: str
    icon: str
    title: str
    hint: str
    href: str


class HitsOut(msgspec.Struct):
    """What was found, kind by kind, best first."""

    hits: list[HitOut]


class SearchWeb:
    """The search's page and route."""

    def __init__(self, pages: Pages, sources: Sources) -> None:
        self._pages, self._sources = pages, sources

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        routes.page("/search", self.page, right=None, summary="Search over everything")
        routes.api("GET", "/search", self.hits, right=None, summary="Search over everything", gives=HitsOut)

    async def hits(self, ask: Ask) -> HitsOut:
        """What the words `q` find."""
        found = await self._found(ask, EACH)
        return HitsOut(
            hits=[
                HitOut(kind=hit.ref.kind, label=ask.say(hit.label), icon=hit.icon, title=hit.title, hint=hit.hint, href=hit.href)
                for hit in found
            ]
        )

    async def page(self, ask: Ask) -> web.Response:
        """The same with more of each kind."""
        groups: dict[str, list[SearchHit]] = {}
        for hit in await self._found(ask, EACH_OF_PAGE):
            groups.setdefault(hit.ref.kind, []).append(hit)
        return self._pages.render(ask, "search.html", q=ask.query("q").strip(), groups=list(groups.values()), each=EACH_OF_PAGE)

    async def _found(self, ask: Ask, each: int) -> Sequence[SearchHit]:
        words = ask.query("q").strip()[:80]
        if not words:
            return []
        found = await asyncio.gather(*(source.hits(ask.principal, words, each) for source in self._sources.search))
        return [hit for hits in found for hit in hits]
