"""What a record may refer to: other records, customers, people. Titles for many at once, a check that one may be seen, and suggestions.

A kind that is no record of the registry (customers, people) is added by whoever knows it. It answers with titles, never with whole rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from crm_core.kernel.access import Principal, Scope, reach
from crm_core.records.fields import clean, contains

SUGGESTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Referable:
    """Something that can be referred to. `path` is where its pages are, "" where it has none; `right` is its kind in rights, "" for all."""

    kind: str
    table: Table
    title: str
    path: str = ""
    right: str = ""
    hint: str = ""

    def visible(self, principal: Principal) -> ColumnElement[bool]:
        """Which rows the person may refer to."""
        return narrowed(self.table, principal, self.right) if self.right else self.table.c.unit_id == principal.unit_id


def narrowed(table: Table, principal: Principal, kind: str, action: str = "see") -> ColumnElement[bool]:
    """The rows of a table that a person's right reaches; none without the right."""
    scope, columns = reach(principal, action, kind), table.c
    if scope is Scope.ALL:
        return true()
    if scope is Scope.NONE:
        return columns.id.is_(None)
    unit = columns.unit_id == principal.unit_id
    if scope >= Scope.UNIT or "owner_id" not in columns:
        return unit
    ways = [columns.owner_id == principal.user_id]
    if scope >= Scope.TEAM and "team_id" in columns and principal.team_id is not None:
        ways.append(columns.team_id == principal.team_id)
    if scope >= Scope.DEPARTMENT and "department_id" in columns and principal.departments:
        ways.append(columns.department_id.in_(sorted(principal.departments)))
    return unit & or_(*ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """What a reference is called, and where it leads ("" where it leads nowhere)."""

    id: int
    title: str
    href: str = ""
    hint: str = ""


class References:
    """Everything that can be referred to, by kind."""

    def __init__(self) -> None:
        self._all: dict[str, Referable] = {}

    def add(self, one: Referable) -> None:
        """Take a kind in."""
        self._all[one.kind] = one

    def __contains__(self, kind: object) -> bool:
        return kind in self._all

    def __getitem__(self, kind: str) -> Referable:
        return self._all[kind]

    async def titles(
        self, db: AsyncConnection, principal: Principal, wanted: Mapping[str, Iterable[int]]
    ) -> dict[tuple[str, int], Title]:
        """Of each kind the titles of these; what the person may not see has a title but no link."""
        found: dict[tuple[str, int], Title] = {}
        for kind, given in wanted.items():
            ids, one = sorted(set(given)), self._all.get(kind)
            if one is None or not ids:
                continue
            statement = select(one.table.c.id, one.table.c[one.title], one.visible(principal)).where(
                one.table.c.id.in_(ids), one.table.c.unit_id == principal.unit_id
            )
            for id_, title, open_ in await db.execute(statement):
                shown = title if open_ or not one.right else "…"
                found[kind, id_] = Title(id=id_, title=shown, href=f"/{one.path}/{id_}" if one.path and open_ else "")
        return found

    def seen(self, db: Connection, principal: Principal, kind: str, id_: int) -> bool:
        """Whether the person may refer to this one."""
        one = self._all.get(kind)
        if one is None:
            return False
        return db.execute(select(one.table.c.id).where(one.table.c.id == id_, one.visible(principal))).first() is not None

    def meant(self, db: Connection, principal: Principal, kind: str, texts: Iterable[str]) -> dict[str, list[int]]:
        """Of each text what it names exactly: by number or login where one has it, else by title, at most a few."""
        one, wanted = self._all.get(kind), sorted(set(texts))
        if one is None or not wanted:
            return {}
        columns = one.table.c
        keys = list(dict.fromkeys(name for name in ("number", one.hint, one.title) if name in columns))
        found: dict[str, list[int]] = {}
        for name in keys:
            statement = select(columns.id, columns[name]).where(columns[name].in_([text for text in wanted if text not in found]))
            statement = statement.where(one.visible(principal), columns.unit_id == principal.unit_id)
            if "active" in columns:
                statement = statement.where(columns.active)
            if "deleted_at" in columns:
                statement = statement.where(columns.deleted_at.is_(None))
            here: dict[str, list[int]] = {}
            for id_, text in db.execute(statement):
                here.setdefault(text, []).append(id_)
            found |= here
        return found

    async def suggest(self, db: AsyncConnection, principal: Principal, kind: str, words: str) -> list[Title]:
        """What the words may mean, best first."""
        one = self._all[kind]
        columns, text = one.table.c, clean(words)[:80]
        statement: Select[Any] = select(columns.id, columns[one.title], *([columns[one.hint]] if one.hint else []))
        statement = statement.where(one.visible(principal))
        if "active" in columns:
            statement = statement.where(columns.active)
        if "deleted_at" in columns:
            statement = statement.where(columns.deleted_at.is_(None))
        if text:
            ways = [contains(columns[one.title], text)]
            ways += [columns[name].istartswith(text.lower(), autoescape=True) for name in ("initials", "number") if name in columns]
            statement = statement.where(or_(*ways))
        rows = (await db.execute(statement.order_by(columns[one.title]).limit(SUGGESTIONS))).all()
        return [Title(id=row[0], title=row[1], hint=row[2] if one.hint else "") for row in rows]
