"""Pages and routes of imports, the same for every kind of record: a file is taken in, mapped, checked, run, and taken back.

What may be done at which step is decided in `crm_core.records.imports`, not here.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from crm_core.kernel.errors import NotFound, Refusal
from crm_core.records import sheets
from crm_core.records.columns import importable
from crm_core.records.entity import Kind, Registry
from crm_core.records.imports import WORKING, Imports, Job
from crm_core.web.api import Routes
from crm_core.web.ask import Ask
from crm_core.web.kind_routes import KindRoutes
from crm_core.web.pages import Pages
from crm_core.web.routes import Made


class ImportWish(msgspec.Struct, forbid_unknown_fields=True):
    """How a file shall be read; what is not named stays. `columns` has a field for each column, "" for none."""

    encoding: str | msgspec.UnsetType = msgspec.UNSET
    separator: str | msgspec.UnsetType = msgspec.UNSET
    sheet: int | msgspec.UnsetType = msgspec.UNSET
    same: str | msgspec.UnsetType = msgspec.UNSET
    columns: list[str] | msgspec.UnsetType = msgspec.UNSET


class ImportOut(msgspec.Struct):
    """How far an import is: `done` of `rows`, and what became of them."""

    state: str
    rows: int
    done: int
    made: int
    changed: int
    same: int
    rejected: int
    columns: list[str]
    wrong: list[dict[str, Any]]
    undoable: bool


class ImportWeb:
    """The handlers of every kind."""

    def __init__(self, pages: Pages, registry: Registry, imports: Imports) -> None:
        self._pages, self._registry, self._imports = pages, registry, imports

    def add_to(self, routes: Routes) -> None:
        """Declare the routes of every kind; before those of the records, whose pages take any word for an identifier."""
        for kind in self._registry:
            here = KindRoutes(routes, kind)
            here.page("/import", self.first_page, "create", "Import")
            here.page("/import/{id}", self.job_page, "create", "One import")
            here.page("/import/{id}/rejected.csv", self.rejected, "create", "Rejected rows")
            here.api("POST", "/imports", self.take, "create", "Send a file to import", gives=Made)
            here.api("GET", "/imports/{id}", self.told, "create", "How far an import is", gives=ImportOut)
            here.api("PUT", "/imports/{id}", self.settle, "create", "Say how a file is read", takes=ImportWish)
            here.api("POST", "/imports/{id}/check", self.check, "create", "Check an import")
            here.api("POST", "/imports/{id}/run", self.start, "create", "Run an import")
            here.api("POST", "/imports/{id}/stop", self.stop, "create", "Stop an import")
            here.api("POST", "/imports/{id}/undo", self.undo, "create", "Undo an import")

    async def first_page(self, kind: Kind, ask: Ask) -> web.Response:
        """Choose a file; below it the person's latest imports."""
        latest = await self._imports.latest(ask.principal, kind)
        return self._render(ask, kind, job=None, latest=latest)

    async def job_page(self, kind: Kind, ask: Ask) -> web.Response:
        """An import at its step."""
        return self._render(ask, kind, job=await self._one(kind, ask), latest=[])

    def _render(self, ask: Ask, kind: Kind, **values: Any) -> web.Response:
        return self._pages.render(
            ask, "record_import.html", kind=kind, entity=kind.entity, fields=importable(kind), encodings=sheets.ENCODINGS, separators=sheets.SEPARATORS,
            most_mb=sheets.MOST_BYTES >> 20, most_rows=sheets.MOST_ROWS, working=WORKING, page_nav=kind.entity.path, **values,
        )  # fmt: skip

    async def _one(self, kind: Kind, ask: Ask) -> Job:
        return await self._imports.one(ask.principal, kind, ask.number("id"))

    async def rejected(self, kind: Kind, ask: Ask) -> web.StreamResponse:
        """The rejected rows as a file, with the reasons."""
        path = self._imports.rejected(await self._one(kind, ask))
        if path is None:
            raise NotFound()
        name = quote(f"{ask.say(kind.entity.many)}-{ask.say('Rejected rows')}.csv")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Cache-Control": "no-store",
            "Content-Type": "text/csv; charset=utf-8",
        }
        return web.FileResponse(path, headers=headers)

    async def take(self, kind: Kind, ask: Ask) -> Made:
        """A file as the body; its name, for people only, in the query as `name`."""
        if (ask.request.content_length or 0) > sheets.MOST_BYTES:
            raise Refusal("file_too_large", "The file is larger than {n} MB. Split it.", n=sheets.MOST_BYTES >> 20)
        parts = ask.request.content.iter_chunked(256 * 1024)
        return Made(id=str(await self._imports.take(ask.principal, kind, ask.query("name"), parts, ask.lang)))

    async def told(self, kind: Kind, ask: Ask) -> ImportOut:
        """How far it is."""
        job = await self._one(kind, ask)
        counts = {name: job.row[name] for name in ("state", "rows", "done", "made", "changed", "same", "rejected")}
        return ImportOut(**counts, columns=job.plan.columns, wrong=job.wrong, undoable=job.undo_until is not None)

    async def settle(self, kind: Kind, ask: Ask) -> None:
        """Read it another way, map columns."""
        wish = await ask.body(ImportWish)
        given = {name: getattr(wish, name) for name in wish.__struct_fields__}
        await self._imports.settle(
            ask.principal, kind, ask.number("id"), {n: v for n, v in given.items() if v is not msgspec.UNSET}
        )

    async def check(self, kind: Kind, ask: Ask) -> None:
        """Try every row and write none."""
        await self._imports.check(ask.principal, kind, ask.number("id"))

    async def start(self, kind: Kind, ask: Ask) -> None:
        """Write."""
        await self._imports.start(ask.principal, kind, ask.number("id"))

    async def stop(self, kind: Kind, ask: Ask) -> None:
        """Stop after the batch in hand."""
        await self._imports.stop(ask.principal, kind, ask.number("id"))

    async def undo(self, kind: Kind, ask: Ask) -> None:
        """Take all of it back."""
        await self._imports.undo(ask.principal, kind, ask.number("id"))
