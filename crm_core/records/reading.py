"""Records read: lists a page at a time, single ones, their history and comments, by the reader's rights."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import Audit, User
from crm_core.kernel.access import Principal, Scope, may, reach
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import NotFound
from crm_core.ports import Ref, SearchHit, TimelineEntry
from crm_core.records.dictionary import Dictionary
from crm_core.records.entity import Kind, Registry
from crm_core.records.fields import Place
from crm_core.records.listing import COUNT_LIMIT, PAGE, Query, counted, cursor_of, ids, page, seen
from crm_core.records.references import References, Title
from crm_core.records.storage import RecordComment

Row = dict[str, Any]
Titles = Mapping[tuple[str, int], Title]
HISTORY = 200
AT_ONCE = 1000
_AUDIT, _COMMENT, _USER = table_of(Audit), table_of(RecordComment), table_of(User)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list. `count` is exact up to COUNT_LIMIT, `more` says that it is not; `after` and `before` are cursors, "" at an end."""

    rows: list[Row]
    titles: Titles
    count: int
    more: bool
    after: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of a record's history: field → (before, after), as JSON tells them."""

    at: float
    who: str
    action: str
    version: int
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said about a record."""

    id: int
    at: float
    who: str
    text: str
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """One record with all that its page shows; `titles` also of what its history names."""

    row: Row
    titles: Titles
    changes: list[Change]
    comments: list[Comment]


class Reading:
    """The records of all units, through the eyes of whoever asks."""

    kind = "record"

    def __init__(
        self, database: Database, registry: Registry, references: References, dictionary: Dictionary, zone: Callable[[int], str]
    ) -> None:
        self.registry, self.references, self.dictionary = registry, references, dictionary
        self._db, self._zone = database, zone

    def place(self, unit_id: int) -> Place:
        """Where this unit's values are read."""
        return Place(zone=self._zone(unit_id), options=self.dictionary.keys(unit_id))

    async def page(self, principal: Principal, kind: Kind, query: Query, size: int = PAGE) -> Page:
        """One page of a list."""
        place = self.place(principal.unit_id)
        async with self._db.read() as db:
            rows, more = await self._rows(db, principal, kind, query, place, size)
            count = (await db.execute(counted(kind, principal, query, place))).scalar_one()
            titles = await self._titles(db, principal, kind, rows)
        later = bool(query.before) or more
        sooner = more if query.before else bool(query.after)
        return Page(
            rows=rows, titles=titles, count=min(count, COUNT_LIMIT), more=count > COUNT_LIMIT,
            after=cursor_of(rows[-1], query) if rows and later else "", before=cursor_of(rows[0], query) if rows and sooner else "",
        )  # fmt: skip

    async def _rows(
        self, db: AsyncConnection, principal: Principal, kind: Kind, query: Query, place: Place, size: int
    ) -> tuple[list[Row], bool]:
        """A page's rows in the order of the list, and whether there are more in the direction of reading."""
        found = [dict(row) for row in (await db.execute(page(kind, principal, query, place, size))).mappings()]
        rows = found[:size]
        return rows[::-1] if query.before else rows, len(found) > size

    async def every(self, principal: Principal, kind: Kind, query: Query, most: int) -> AsyncIterator[tuple[list[Row], Titles]]:
        """All rows of a list, AT_ONCE at a time, at most about `most`; at least one page, which may be empty."""
        place, query = self.place(principal.unit_id), replace(query, after="", before="")
        for _ in range(0, most, AT_ONCE):
            async with self._db.read() as db:
                rows, more = await self._rows(db, principal, kind, query, place, AT_ONCE)
                titles = await self._titles(db, principal, kind, rows)
            yield rows, titles
            if not more:
                return
            query = replace(query, after=cursor_of(rows[-1], query))

    async def ids(self, principal: Principal, kind: Kind, query: Query) -> list[int]:
        """The identifiers of everything a list holds, one more than COUNT_LIMIT where there are more."""
        async with self._db.read() as db:
            return list((await db.execute(ids(kind, principal, query, self.place(principal.unit_id)))).scalars())

    async def one(self, principal: Principal, kind: Kind, record_id: int) -> tuple[Row, Titles]:
        """One record with what it refers to. Raises NotFound, also for one the person may not see."""
        async with self._db.read() as db:
            row = await self._row(db, principal, kind, record_id)
            return row, await self._titles(db, principal, kind, [row])

    async def _row(self, db: AsyncConnection, principal: Principal, kind: Kind, record_id: int) -> Row:
        found = (await db.execute(select(kind.table).where(kind.table.c.id == record_id))).mappings().one_or_none()
        row = dict(found) if found is not None else None
        if row is None or not may(principal, "see", kind.thing(row)):
            raise NotFound()
        return row

    async def titles(self, principal: Principal, kind: Kind, rows: Sequence[Row]) -> Titles:
        """What rows refer to, also rows that are not written yet."""
        async with self._db.read() as db:
            return await self._titles(db, principal, kind, rows)

    async def _titles(
        self, db: AsyncConnection, principal: Principal, kind: Kind, rows: Sequence[Row], changes: Sequence[Change] = ()
    ) -> Titles:
        wanted: dict[str, set[int]] = {}
        for one in kind.references:
            named = wanted.setdefault(one.kind, set())
            named.update(row[one.name] for row in rows if row.get(one.name) is not None)
            named.update(int(v) for change in changes for v in change.fields.get(one.name, ()) if v)
        return await self.references.titles(db, principal, wanted)

    # --------------------------------------------------------------------------------------------------- history and comments

    async def whole(self, principal: Principal, kind: Kind, record_id: int) -> Whole:
        """One record with all that its page shows. Raises NotFound."""
        async with self._db.read() as db:
            row = await self._row(db, principal, kind, record_id)
            changes, comments = (
                await self._history(db, principal, kind, record_id),
                await self._comments(db, principal, kind, record_id),
            )
            titles = await self._titles(db, principal, kind, [row], changes)
        return Whole(row=row, titles=titles, changes=changes, comments=comments)

    async def history(self, principal: Principal, kind: Kind, record_id: int) -> list[Change]:
        """What was done to a record, newest first, at most HISTORY steps. Raises NotFound."""
        async with self._db.read() as db:
            await self._row(db, principal, kind, record_id)
            return await self._history(db, principal, kind, record_id)

    async def _history(self, db: AsyncConnection, principal: Principal, kind: Kind, record_id: int) -> list[Change]:
        here = (_AUDIT.c.unit_id == principal.unit_id) & (_AUDIT.c.kind == kind.name) & (_AUDIT.c.thing_id == record_id)
        statement = select(_AUDIT, _USER.c.name).outerjoin(_USER, _USER.c.id == _AUDIT.c.user_id).where(here)
        rows = (await db.execute(statement.order_by(_AUDIT.c.id.desc()).limit(HISTORY))).mappings().all()
        return [_change(dict(row)) for row in rows]

    async def comments(self, principal: Principal, kind: Kind, record_id: int) -> list[Comment]:
        """What was said about a record, oldest first. Raises NotFound."""
        async with self._db.read() as db:
            await self._row(db, principal, kind, record_id)
            return await self._comments(db, principal, kind, record_id)

    async def _comments(self, db: AsyncConnection, principal: Principal, kind: Kind, record_id: int) -> list[Comment]:
        here = (_COMMENT.c.kind == kind.name) & (_COMMENT.c.record_id == record_id)
        statement = select(_COMMENT, _USER.c.name).outerjoin(_USER, _USER.c.id == _COMMENT.c.user_id).where(here)
        rows = (await db.execute(statement.order_by(_COMMENT.c.id))).mappings().all()
        return [
            Comment(id=r["id"], at=r["at"], who=r["name"] or "", text=r["text"], own=r["user_id"] == principal.user_id)
            for r in rows
        ]

    # ------------------------------------------------------------------------------------------------- what others register with

    async def hits(self, principal: Principal, words: str, limit: int) -> list[SearchHit]:
        """Records of every kind whose number or title has these words."""
        found: list[SearchHit] = []
        place = self.place(principal.unit_id)
        async with self._db.read() as db:
            for kind in self.registry:
                if reach(principal, "see", kind.name) is not Scope.NONE:
                    statement = page(kind, principal, Query.of(kind, {"q": words}), place, limit - 1)
                    found += [_hit(kind, dict(row)) for row in (await db.execute(statement)).mappings()]
        return found

    async def matters(self, principal: Principal, customer_id: int, limit: int = 8) -> list[tuple[Kind, list[Row], Titles]]:
        """A customer's records by kind, newest first: of kinds with stages only those that are not closed."""
        found: list[tuple[Kind, list[Row], Titles]] = []
        for kind, one in self.registry.pointing_at("customer"):
            if reach(principal, "see", kind.name) is not Scope.NONE:
                rows, titles = await self.linked(principal, kind, one.name, customer_id, limit)
                found.append((kind, rows, titles))
        return found

    async def linked(self, principal: Principal, kind: Kind, field: str, to: int, limit: int = PAGE) -> tuple[list[Row], Titles]:
        """The newest records of a kind that refer to one by this field and are not closed."""
        table = kind.table
        conditions = [table.c[field] == to, *seen(kind, principal)]
        if kind.has("stage"):
            conditions.append(table.c.stage.not_in([stage.key for stage in kind.entity.stages if stage.closed]))
        async with self._db.read() as db:
            statement = select(table).where(*conditions).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
            rows = [dict(row) for row in (await db.execute(statement)).mappings()]
            return rows, await self._titles(db, principal, kind, rows)


class RecordTimeline:
    """What was made for a customer, in the customer's timeline: every kind that asks for it in its declaration."""

    kind = "record"

    def __init__(self, reading: Reading, database: Database) -> None:
        self._reading, self._db = reading, database

    async def entries(self, principal: Principal, customer_id: int, before: float | None, limit: int) -> Sequence[TimelineEntry]:
        """The newest before an instant that this person may see, newest first, at most `limit`."""
        found: list[TimelineEntry] = []
        async with self._db.read() as db:
            for kind in self._reading.registry:
                if not kind.entity.timeline:
                    continue
                table = kind.table
                conditions = [table.c.customer_id == customer_id, *seen(kind, principal)]
                if before is not None:
                    conditions.append(table.c.created_at < before)
                statement = select(table).where(*conditions).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
                found += [_entry(kind, dict(row)) for row in (await db.execute(statement)).mappings()]
        found.sort(key=lambda entry: entry.at, reverse=True)
        return found[:limit]


def _hit(kind: Kind, row: Row) -> SearchHit:
    entity = kind.entity
    hint = str(row["number"]) if kind.has("number") else ""
    return SearchHit(
        ref=Ref(kind.name, row["id"]), title=str(row[entity.title]), hint=hint, href=f"/{entity.path}/{row['id']}", label=entity.many, icon=entity.icon
    )  # fmt: skip


def _entry(kind: Kind, row: Row) -> TimelineEntry:
    entity = kind.entity
    stage = entity.stage(row["stage"]) if kind.has("stage") else None
    facts = {"icon": entity.icon, "one": entity.one, "title": row[entity.title], "number": row.get("number", ""), "stage": stage}
    return TimelineEntry(
        ref=Ref(kind.name, row["id"]), at=row["created_at"] or 0.0, kind="record", href=f"/{entity.path}/{row['id']}", facts=facts
    )


def _change(row: Mapping[str, Any]) -> Change:
    try:
        told = json.loads(row["detail"] or "{}")
    except ValueError:
        told = {}
    fields = {name: (pair[0], pair[1]) for name, pair in told.get("set", {}).items()} if isinstance(told, dict) else {}
    version = told.get("v", 0) if isinstance(told, dict) else 0
    return Change(at=row["at"] or 0.0, who=row["name"] or "", action=row["action"], version=version, fields=fields)
