"""The one set of pages and routes of all records: each kind of the registry gets the same ones below its own path.

It knows no kind by name. What the engine refuses is said as it says it; what may be done is decided there, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web
from multidict import MultiDict

from crm_core.kernel.access import Scope, may, reach
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotFound, Refusal
from crm_core.records.dictionary import Dictionary
from crm_core.records.entity import ACTIONS, Kind
from crm_core.records.fields import Wrong
from crm_core.records.listing import COUNT_LIMIT, PAGE, Query
from crm_core.records.reading import Reading, Titles
from crm_core.records.sheets import csv_line
from crm_core.records.views import Views
from crm_core.records.writing import BULK, Done, Writing
from crm_core.web.api import Routes
from crm_core.web.ask import Ask, read_id
from crm_core.web.kind_routes import KindRoutes
from crm_core.web.pages import Pages
from crm_core.web.record_cells import Cells
from crm_core.web.record_shapes import (
    Assignment,
    ChangeOut,
    CommentOut,
    CommentsOut,
    DoneOut,
    HistoryOut,
    Ids,
    IdsOut,
    Said,
    Shapes,
    StageOfMany,
    StageWish,
    Suggestion,
    Suggestions,
    Version,
    ViewNew,
    given_fields,
    shapes_of,
    told,
)
from crm_core.web.routes import Made

EXPORT_LIMIT = 100_000


class RecordWeb:
    """The handlers of every kind."""

    def __init__(
        self, pages: Pages, reading: Reading, writing: Writing, views: Views, database: Database, clock: Clock, zone: Callable[[int], str]
    ) -> None:  # fmt: skip
        self._pages, self._reading, self._writing, self._views = pages, reading, writing, views
        self._db, self._clock, self._zone = database, clock, zone
        self._registry = reading.registry
        self._dictionary: Dictionary = reading.dictionary
        self._shapes: dict[str, Shapes] = {kind.name: shapes_of(kind) for kind in self._registry}

    def add_to(self, routes: Routes) -> None:
        """Declare the routes of every kind, and that of the references."""
        for kind in self._registry:
            here = KindRoutes(routes, kind)
            self._add_pages(here)
            self._add_many(here, kind)
            self._add_api(here, kind, self._shapes[kind.name])
        routes.api("DELETE", "/views/{id}", self.drop_view, right=None, summary="Forget one of the own saved views of lists")
        routes.api("GET", "/references", self.suggest, right=None, summary="What a reference may mean", gives=Suggestions)

    def _add_pages(self, here: KindRoutes) -> None:
        here.page("", self.list_page, "see", "List")
        here.page("/new", self.new_page, "create", "Make one")
        here.page("/export.csv", self.export, "export", "Export as a file")
        here.page("/{id}", self.record_page, "see", "One of")
        here.page("/{id}/edit", self.edit_page, "edit", "Change one of")

    def _add_api(self, here: KindRoutes, kind: Kind, shapes: Shapes) -> None:
        here.api("GET", "", self.list_api, "see", "List", gives=shapes.page)
        here.api("GET", "/ids", self.ids_api, "see", "All identifiers of a list", gives=IdsOut)
        here.api("POST", "/views", self.save_view, "see", "Keep a view", takes=ViewNew, gives=Made)
        here.api("POST", "", self.create_api, "create", "Make one", takes=shapes.new, gives=Made)
        here.api("GET", "/{id}", self.one_api, "see", "Read one", gives=shapes.out)
        here.api("PUT", "/{id}", self.change_api, "edit", "Change one", takes=shapes.change, gives=Version)
        if kind.has("stage"):
            here.api("POST", "/{id}/stage", self.move_api, "edit", "Move to a stage", takes=StageWish)
        here.api("GET", "/{id}/history", self.history_api, "see", "History of one", gives=HistoryOut)
        here.api("GET", "/{id}/comments", self.comments_api, "see", "Comments on one", gives=CommentsOut)
        here.api("POST", "/{id}/comments", self.comment_api, "see", "Comment on one", takes=Said, gives=Made)

    def _add_many(self, here: KindRoutes, kind: Kind) -> None:
        here.api("POST", "/many/fields", self.assign_api, "edit", "Set fields of many", takes=Assignment, gives=DoneOut)
        if kind.has("stage"):
            here.api("POST", "/many/stage", self.stage_api, "edit", "Move many to a stage", takes=StageOfMany, gives=DoneOut)
        if kind.has("deleted_at"):
            here.api("POST", "/many/recycle", self.recycle_api, "delete", "Recycle many", takes=Ids, gives=DoneOut)
            here.api("POST", "/many/restore", self.restore_api, "delete", "Restore many", takes=Ids, gives=DoneOut)
            here.api("POST", "/many/purge", self.purge_api, "purge", "Purge many", takes=Ids, gives=DoneOut)

    # --------------------------------------------------------------------------------------------------------------- pages

    def _cells(self, ask: Ask) -> Cells:
        unit_id = ask.principal.unit_id
        return Cells(lang=ask.lang, zone=self._zone(unit_id), now=self._clock.now(), unit_id=unit_id, dictionary=self._dictionary)

    def _query(self, ask: Ask, kind: Kind) -> Query:
        return Query.of(kind, gathered(ask.request.query))

    def _render(self, ask: Ask, name: str, kind: Kind, **values: Any) -> web.Response:
        rights = {action for action in ACTIONS if reach(ask.principal, action, kind.name) > Scope.NONE}
        cells = self._cells(ask)
        return self._pages.render(
            ask, f"{name}.html", kind=kind, entity=kind.entity, rights=rights, cells=cells, page_nav=kind.entity.path,
            options=cells.options, choices=partial(cells.choices, kind), said=partial(cells.said, kind), **values,
        )  # fmt: skip

    async def matters(self, ask: Ask, customer_id: int) -> dict[str, Any]:
        """What the page of a customer shows of records: open ones by kind, and which kinds may be made."""
        found = await self._reading.matters(ask.principal, customer_id)
        makes = {kind.name for kind, *_ in found if reach(ask.principal, "create", kind.name) > Scope.NONE}
        return {"matters": found, "makes": makes, "cells": self._cells(ask)}

    async def list_page(self, kind: Kind, ask: Ask) -> web.Response:
        """The list."""
        query = self._query(ask, kind)
        found = await self._reading.page(ask.principal, kind, query)
        picked = await self._picked(ask, kind, query)
        return self._render(
            ask, "record_list", kind, found=found, query=query, columns=kind.shown(kind.entity.columns), picked=picked,
            filters=kind.shown(kind.entity.filters), views=await self._views.of(ask.principal, kind), here=urlencode(query.address()), sorts=kind.entity.sorts.split(), page_size=PAGE,
            address=lambda **changes: "?" + urlencode({n: v for n, v in {**query.address(), **changes}.items() if v}),
        )  # fmt: skip

    async def _picked(self, ask: Ask, kind: Kind, query: Query) -> dict[str, str]:
        """What the references among the filters are called."""
        wanted: dict[str, set[int]] = {}
        for one in kind.references:
            ids = {int(text) for text in query.filters.get(one.name, "").split(",") if text.isdigit() and len(text) < 20}
            wanted.setdefault(one.kind, set()).update(ids)
        async with self._db.read() as db:
            titles = await self._reading.references.titles(db, ask.principal, wanted)
        return {str(id_): title.title for (_, id_), title in titles.items()}

    async def record_page(self, kind: Kind, ask: Ask) -> web.Response:
        """One record: its fields, what was said about it, what was done to it."""
        record_id = ask.number("id")
        whole = await self._reading.whole(ask.principal, kind, record_id)
        row, thing = whole.row, kind.thing(whole.row)
        return self._render(
            ask, "record", kind, row=row, titles=whole.titles, comments=whole.comments, changes=whole.changes,
            changed=partial(self._changed, self._cells(ask), kind, whole.titles),
            fields=[one for one in kind.fields.values() if one.name not in (kind.entity.title, "number", "stage", "deleted_at", "deleted_by")],
            can={action for action in ("edit", "delete", "purge") if may(ask.principal, action, thing)},
            next_stages=kind.entity.may_follow(row["stage"]) if kind.has("stage") else (),
        )  # fmt: skip

    def _changed(self, cells: Cells, kind: Kind, named: Any, name: str, value: Any) -> str:
        """A value of the history in words."""
        one = kind.fields.get(name)
        if one is None or value is None:
            return "–"
        try:
            return cells.cell(kind, one, one.read(value, self._reading.place(cells.unit_id)), named, {}).text
        except Wrong:
            return str(value)

    async def new_page(self, kind: Kind, ask: Ask) -> web.Response:
        """An empty form, filled with what the address gives."""
        place = self._reading.place(ask.principal.unit_id)
        row: dict[str, Any] = {one.name: one.first() for one in kind.form}
        if kind.has("owner_id"):
            row["owner_id"] = ask.principal.user_id
        for one in kind.form:
            try:
                row[one.name] = one.read(ask.query(one.name), place) if one.name in ask.request.query else row[one.name]
            except Wrong:
                continue
        return await self._form(ask, kind, row, None)

    async def edit_page(self, kind: Kind, ask: Ask) -> web.Response:
        """A filled form."""
        row, _ = await self._reading.one(ask.principal, kind, ask.number("id"))
        ask.must_for("edit", kind.thing(row))
        return await self._form(ask, kind, row, row["id"])

    async def _form(self, ask: Ask, kind: Kind, row: dict[str, Any], record_id: int | None) -> web.Response:
        titles = await self._reading.titles(ask.principal, kind, [row])
        return self._render(ask, "record_form", kind, row=row, titles=titles, record_id=record_id)

    async def export(self, kind: Kind, ask: Ask) -> web.StreamResponse:
        """The list as a CSV file that spreadsheets open: UTF-8 with its mark, formulas made harmless, at most EXPORT_LIMIT rows."""
        query, cells = self._query(ask, kind), self._cells(ask)
        columns = [one for one in kind.fields.values() if one.name not in ("deleted_at", "deleted_by")]
        name = quote(f"{ask.say(kind.entity.many)}.csv")
        response = web.StreamResponse(
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
        )
        response.content_type = "text/csv"

        async def put(rows: list[dict[str, Any]], titles: Titles) -> None:
            lines = [csv_line([cells.plain(kind, one, row, titles) for one in columns]) for row in rows]
            await response.write(b"".join(lines))

        pages = self._reading.every(ask.principal, kind, query, EXPORT_LIMIT)
        first = await anext(pages)  # what is refused of the query is refused before the answer begins
        await response.prepare(ask.request)
        await response.write(b"\xef\xbb\xbf" + csv_line([ask.say(one.label) for one in columns]))
        await put(*first)
        async for rows, titles in pages:
            await put(rows, titles)
        await response.write_eof()
        return response

    # ----------------------------------------------------------------------------------------------------------------- API

    async def list_api(self, kind: Kind, ask: Ask) -> Any:
        """One page of a list."""
        found = await self._reading.page(ask.principal, kind, self._query(ask, kind))
        shapes = self._shapes[kind.name]
        rows = [told(kind, row, shapes.out) for row in found.rows]
        return shapes.page(rows=rows, count=found.count, more=found.more, after=found.after, before=found.before)

    async def ids_api(self, kind: Kind, ask: Ask) -> IdsOut:
        """The identifiers of everything a list holds."""
        ids = await self._reading.ids(ask.principal, kind, self._query(ask, kind))
        return IdsOut(ids=[str(one) for one in ids[:COUNT_LIMIT]], more=len(ids) > COUNT_LIMIT)

    async def one_api(self, kind: Kind, ask: Ask) -> Any:
        """One record."""
        row, _ = await self._reading.one(ask.principal, kind, ask.number("id"))
        return told(kind, row, self._shapes[kind.name].out)

    async def create_api(self, kind: Kind, ask: Ask) -> Made:
        """Make one."""
        body = await ask.body(self._shapes[kind.name].new)
        return Made(id=str(await self._writing.create(ask.principal, kind, given_fields(body))))

    async def change_api(self, kind: Kind, ask: Ask) -> Version:
        """Change one."""
        body: Any = await ask.body(self._shapes[kind.name].change)
        given = given_fields(body, without="version")
        return Version(version=await self._writing.change(ask.principal, kind, ask.number("id"), given, body.version))

    async def move_api(self, kind: Kind, ask: Ask) -> None:
        """Move one to a stage."""
        wish = await ask.body(StageWish)
        await self._writing.move(ask.principal, kind, ask.number("id"), wish.stage, wish.fields)

    async def history_api(self, kind: Kind, ask: Ask) -> HistoryOut:
        """What was done to one."""
        changes = await self._reading.history(ask.principal, kind, ask.number("id"))
        return HistoryOut(
            changes=[
                ChangeOut(at=c.at, who=c.who, action=c.action, version=c.version, fields={n: list(p) for n, p in c.fields.items()})
                for c in changes
            ]
        )

    async def comments_api(self, kind: Kind, ask: Ask) -> CommentsOut:
        """What was said about one."""
        found = await self._reading.comments(ask.principal, kind, ask.number("id"))
        return CommentsOut(comments=[CommentOut(id=str(c.id), at=c.at, who=c.who, text=c.text) for c in found])

    async def comment_api(self, kind: Kind, ask: Ask) -> Made:
        """Say something about one."""
        said = await ask.body(Said)
        return Made(id=str(await self._writing.comment(ask.principal, kind, ask.number("id"), said.text)))

    async def assign_api(self, kind: Kind, ask: Ask) -> DoneOut:
        """Set fields of many."""
        body = await ask.body(Assignment)
        return _out(await self._writing.assign(ask.principal, kind, _ids(body.ids), body.fields))

    async def stage_api(self, kind: Kind, ask: Ask) -> DoneOut:
        """Move many to a stage."""
        body = await ask.body(StageOfMany)
        return _out(await self._writing.move_all(ask.principal, kind, _ids(body.ids), body.stage))

    async def recycle_api(self, kind: Kind, ask: Ask) -> DoneOut:
        """Many to the recycle bin."""
        return _out(await self._writing.recycle(ask.principal, kind, _ids((await ask.body(Ids)).ids)))

    async def restore_api(self, kind: Kind, ask: Ask) -> DoneOut:
        """Many back from the recycle bin."""
        return _out(await self._writing.restore(ask.principal, kind, _ids((await ask.body(Ids)).ids)))

    async def purge_api(self, kind: Kind, ask: Ask) -> DoneOut:
        """Many out of the recycle bin for good."""
        return _out(await self._writing.purge(ask.principal, kind, _ids((await ask.body(Ids)).ids)))

    async def save_view(self, kind: Kind, ask: Ask) -> Made:
        """Keep a view of a list."""
        body = await ask.body(ViewNew)
        query = Query.of(kind, gathered(MultiDict(parse_qsl(body.query[:2000]))))
        return Made(id=str(await self._views.save(ask.principal, kind, body.name, query, body.shared)))

    async def drop_view(self, ask: Ask) -> None:
        """Forget a view."""
        await self._views.drop(ask.principal, ask.number("id"))

    async def suggest(self, ask: Ask) -> Suggestions:
        """What a reference may mean: `kind` and the words `q`."""
        kind, references = ask.query("kind"), self._reading.references
        if kind not in references:
            raise NotFound()
        if references[kind].right:
            ask.must("see", references[kind].right)
        async with self._db.read() as db:
            found = await references.suggest(db, ask.principal, kind, ask.query("q"))
        return Suggestions(found=[Suggestion(id=str(one.id), title=one.title, hint=str(one.hint or "")) for one in found])


def gathered(given: Any) -> dict[str, str]:
    """The parameters of an address: several of one name with commas, `name.from` and `name.to` as a range."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(given):
        values = [value for value in given.getall(name) if value]
        base, _, end = name.rpartition(".")
        if end in ("from", "to") and base:
            low, _, high = found.get(base, "..").partition("..")
            low, high = (values[0], high) if end == "from" and values else (low, values[0] if values else high)
            found[base] = f"{low}..{high}"
        else:
            found[name] = ",".join(values)
    return {name: value for name, value in found.items() if value and value != ".."}


def _ids(given: list[str]) -> list[int]:
    if len(given) > BULK:
        raise Refusal("too_many", "At most {n} at once.", n=BULK)
    return [read_id(one, "ids") for one in given]


def _out(done: Done) -> DoneOut:
    return DoneOut(done=done.done, refused=done.refused)
