"""The supervisor's console: the floor's pages, drawn from the floor feed and the day's figures."""

from __future__ import annotations

from aiohttp import web

from crm_core.web.api import Routes
from crm_core.web.ask import Ask
from crm_core.web.pages import Pages
from supervisor.projection import Floors


class FloorWeb:
    """The handlers of the floor."""

    def __init__(self, pages: Pages, floors: Floors) -> None:
        self._pages, self._floors = pages, floors

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        routes.page("/floor", self.seats, right=("floor", "see"), summary="Seat board")
        routes.page("/floor/queues", self.queues, right=("floor", "see"), summary="Queue board")

    async def seats(self, ask: Ask) -> web.Response:
        """The seat board."""
        return self._board(ask, "floor_seats.html")

    async def queues(self, ask: Ask) -> web.Response:
        """The queue board."""
        return self._board(ask, "floor_queues.html")

    def _board(self, ask: Ask, name: str) -> web.Response:
        feed = self._floors.feed(ask.principal.unit_id)
        state = feed.state
        teams = sorted({row["team"] for row in state.get("seats", {}).values() if row["team"]})
        return self._pages.render(ask, name, feeds={"floor": {"cursor": feed.cursor, "state": state}}, teams=teams)
