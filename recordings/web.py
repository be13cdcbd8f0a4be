"""Pages and API of calls and recordings: lists, one call, the player. Each listen leaves a trace in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy import insert

from crm_core.days import day_of, span_of
from crm_core.entities.org import Audit
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotFound, Refusal
from crm_core.web.api import Routes
from crm_core.web.ask import Ask, read_count, read_id
from crm_core.web.pages import Pages
from cti.figures.definitions import SHOWN
from recordings.audio import peaks
from recordings.calls import CallQuery, Calls
from recordings.capture import inside

LISTEN_S = 60.0
DIRECTIONS = ("inbound", "outbound", "internal")


class CallOut(msgspec.Struct):
    """A finished call as the asker may see it."""

    id: str
    direction: str
    number: str
    outcome: str
    queue: str
    agent: str
    customer_id: str
    started_at: float | None
    answered_at: float | None
    ended_at: float | None
    talk_s: float
    recording: str


class CallList(msgspec.Struct):
    """One page of calls."""

    count: int
    page: int
    pages: int
    calls: list[CallOut]


class Peaks(msgspec.Struct):
    """The loudest sample of each slice, 0 to 1, of both sides; `rate` slices a second."""

    rate: int
    left: list[float]
    right: list[float]


class CallWeb:
    """The handlers of calls and recordings."""

    def __init__(
        self, pages: Pages, calls: Calls, database: Database, clock: Clock, new_id: Callable[[], int], folder: Path, zone: Callable[[int], str],
        queues: Callable[[int], list[tuple[str, str]]], people: Callable[[int], Any],
    ) -> None:  # fmt: skip
        self._pages, self._calls, self._db, self._clock, self._new_id = pages, calls, database, clock, new_id
        self._folder, self._zone, self._queues, self._people = folder, zone, queues, people
        self._listens: dict[tuple[int, int], float] = {}

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        see, listen = ("call", "see"), ("recording", "listen")
        routes.page("/calls", self.list_page, right=see, summary="Calls, or the calls behind a figure")
        routes.page("/calls/{id}", self.call_page, right=see, summary="One call")
        routes.page("/recordings/{id}/sound", self.sound, right=listen, summary="A recording's sound")
        routes.page("/recordings/{id}/download", self.download, right=("recording", "download"), summary="A recording as a file")
        routes.api("GET", "/calls", self.list_api, right=see, summary="List calls", gives=CallList)
        routes.api("GET", "/calls/{id}", self.call_api, right=see, summary="Read a call", gives=CallOut)
        routes.api("GET", "/recordings/{id}/peaks", self.peaks, right=listen, summary="A recording's loudness by time", gives=Peaks)

    def _query(self, ask: Ask) -> CallQuery:
        day, agent = ask.query("day"), ask.query("agent")
        if day:
            try:
                span_of(day, "UTC")
            except (ValueError, OverflowError) as error:
                raise Refusal("wrong_day", "{day} is no date. Write it as 2026-11-22.", day=day) from error
        figure = ask.query("figure")
        if figure and not day:
            day = day_of(self._clock.now(), self._zone(ask.principal.unit_id))
        return CallQuery(
            day=day, figure=figure, queue=ask.query("queue"), agent=read_id(agent, "agent") if agent else None, direction=ask.query("direction"),
            outcome=ask.query("outcome"), recording=ask.query("recording"), words=ask.query("q").strip(),
            page=read_count(ask.query("page", "1")),
        )  # fmt: skip

    async def list_page(self, ask: Ask) -> web.Response:
        """The list."""
        query = self._query(ask)
        found = await self._calls.page(ask.principal, query)
        people = self._people(ask.principal.unit_id)
        return self._pages.render(
            ask, "calls_list.html", rows=found.rows, count=found.count, page_no=found.page, pages=found.pages, query=query,
            figure=SHOWN.get(query.figure), agent_name=people.get(query.agent, {}).get("name", "") if query.agent else "",
            queues=self._queues(ask.principal.unit_id), directions=DIRECTIONS,
        )  # fmt: skip

    async def list_api(self, ask: Ask) -> CallList:
        """The list for programs."""
        found = await self._calls.page(ask.principal, self._query(ask))
        return CallList(found.count, found.page, found.pages, [_out(row) for row in found.rows])

    async def call_page(self, ask: Ask) -> web.Response:
        """One call."""
        call_id = ask.number("id")
        whole = await self._calls.whole(ask.principal, call_id)
        try:
            hears = bool(await self._calls.may_listen(ask.principal, call_id))
        except Refusal:
            hears = False
        titles = dict(self._queues(ask.principal.unit_id))
        return self._pages.render(ask, "call.html", hears=hears, queue_titles=titles, **whole)

    async def call_api(self, ask: Ask) -> CallOut:
        """One call for programs."""
        return _out((await self._calls.whole(ask.principal, ask.number("id")))["call"])

    async def sound(self, ask: Ask) -> web.StreamResponse:
        """The sound, by range. Ranges within LISTEN_S of the first belong to one listen, and leave one trace, wherever they begin."""
        row, path = await self._file(ask)
        await self._note_listen(ask, row["call_id"])
        headers = {"Content-Type": "audio/wav", "Cache-Control": "private, no-store", "Content-Disposition": "inline"}
        return web.FileResponse(path, headers=headers)

    async def download(self, ask: Ask) -> web.StreamResponse:
        """The file, to keep."""
        row, path = await self._file(ask)
        await self._note(ask, "download", row["call_id"])
        headers = {
            "Content-Type": "audio/wav",
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="{row["call_id"]}.wav"',
        }
        return web.FileResponse(path, headers=headers)

    async def peaks(self, ask: Ask) -> Peaks:
        """The loudness by time."""
        _, path = await self._file(ask)
        return msgspec.convert(await asyncio.to_thread(peaks, path), Peaks)

    async def _file(self, ask: Ask) -> tuple[dict[str, Any], Path]:
        row = await self._calls.may_listen(ask.principal, ask.number("id"))
        path = inside(self._folder, row["path"])
        if path is None or not path.is_file():
            raise NotFound(
                "recording_lost", "Recording missing: {expected} s expected, no file. Reported.", expected=round(row["duration_s"])
            )
        return row, path

    async def _note_listen(self, ask: Ask, call_id: int) -> None:
        now, key = self._clock.monotonic(), (ask.principal.user_id, call_id)
        if now - self._listens.get(key, -LISTEN_S) < LISTEN_S:
            return
        await self._note(ask, "listen", call_id)
        self._listens = {k: at for k, at in self._listens.items() if now - at < LISTEN_S} | {key: now}

    async def _note(self, ask: Ask, action: str, call_id: int) -> None:
        person = ask.principal
        row = {
            "id": self._new_id(), "unit_id": person.unit_id, "at": self._clock.now(), "user_id": person.user_id, "action": action,
            "kind": "recording", "thing_id": call_id, "detail": ask.address,
        }  # fmt: skip
        async with self._db.begin() as db:
            await db.execute(insert(Audit).values(row))


def _out(row: dict[str, Any]) -> CallOut:
    return CallOut(
        id=str(row["id"]), direction=row["direction"], number=row["shown"], outcome=row["outcome"], queue=row["queue"], agent=row["agent"] or "",
        customer_id=str(row["customer_id"] or ""), started_at=row["started_at"], answered_at=row["answered_at"], ended_at=row["ended_at"],
        talk_s=row["talk_s"], recording=row["recording"] or "",
    )  # fmt: skip
