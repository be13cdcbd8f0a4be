"""Which rows of a record a list shows: words, filters, order and where in the order the page begins.

Paging goes by key, not by count: a page says after or before which row it begins, so that the thousandth page costs what the first one
does. Pure: statements are made here and run elsewhere.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from sqlalchemy import Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from crm_core.kernel.access import Principal
from crm_core.kernel.errors import Refusal
from crm_core.kernel.sentence import Sentence
from crm_core.records.entity import Kind
from crm_core.records.fields import Place, Wrong, clean, contains
from crm_core.records.references import narrowed

PAGE = 50
ALWAYS_KNOWN = frozenset({"created_at", "changed_at"})
"""Columns that may be null in the table, as any instant, and never are in a record."""
COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list is asked for. `after` or `before` is the cursor of a row; `offset` is only for what people read."""

    words: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    after: str = ""
    before: str = ""
    binned: bool = False

    @classmethod
    def of(cls, kind: Kind, given: Mapping[str, str]) -> Query:
        """From an address: `q`, `sort`, `after`, `before`, `bin`, and any field by its name. What is unknown is left out."""
        filters = {name: clean(given[name])[:200] for name in kind.fields if given.get(name)}
        sort = given.get("sort", "")
        sortable = set(kind.entity.sorts.split())
        return cls(
            words=clean(given.get("q", ""))[:80],
            filters=filters,
            sort=sort if sort.lstrip("-") in sortable else kind.entity.sort,
            after=given.get("after", "")[:400],
            before=given.get("before", "")[:400],
            binned=given.get("bin") == "1" and kind.has("deleted_at"),
        )

    def address(self) -> dict[str, str]:
        """The query as an address has it, without the place in the order."""
        whole = {"q": self.words, **self.filters, "sort": self.sort, "bin": "1" if self.binned else ""}
        return {name: value for name, value in whole.items() if value}


def seen(kind: Kind, principal: Principal, *, binned: bool = False) -> list[ColumnElement[bool]]:
    """The conditions of every list: what the person may see, in the recycle bin or outside of it."""
    deleted_at = kind.table.c.get("deleted_at")
    where = [] if deleted_at is None else [deleted_at.is_not(None) if binned else deleted_at.is_(None)]
    return [narrowed(kind.table, principal, kind.name), *where]


def chosen(kind: Kind, principal: Principal, query: Query, place: Place) -> list[ColumnElement[bool]]:
    """The conditions of a list. Raises Refusal that names the filter that can't be read."""
    columns = kind.table.c
    conditions = seen(kind, principal, binned=query.binned)
    for name, text in query.filters.items():
        one = kind.fields[name]
        try:
            conditions.append(one.where(columns[name], text, place))
        except Wrong as wrong:
            raise Refusal("wrong_filter", "{field}: {why}", field=Sentence(one.label), why=wrong.sentence) from wrong
    if query.words:
        conditions.append(_matching(kind, query.words))
    return conditions


def _matching(kind: Kind, words: str) -> ColumnElement[bool]:
    columns = kind.table.c
    ways = [
        columns[name].istartswith(words, autoescape=True) if name == "number" else contains(columns[name], words)
        for name in kind.entity.search.split()
    ]
    if "initials" in columns:
        ways.append(columns.initials.startswith(words.lower(), autoescape=True))
    return or_(*ways)


def page(kind: Kind, principal: Principal, query: Query, place: Place, size: int = PAGE) -> Select[Any]:
    """One row more than a page holds, from the cursor on; read backwards where the page ends before the cursor."""
    name, backwards = query.sort.lstrip("-"), bool(query.before)
    down = query.sort.startswith("-") != backwards
    statement = select(kind.table).where(*chosen(kind, principal, query, place))
    cursor = query.before or query.after
    if cursor:
        statement = statement.where(_beyond(kind, name, down, backwards, cursor))
    column, key = kind.table.c[name], kind.table.c.id
    first = column.desc() if down else column.asc()
    if column.nullable and name not in ALWAYS_KNOWN:  # what is not known comes last, whichever way the list runs
        first = first.nulls_first() if backwards else first.nulls_last()
    return statement.order_by(first, key.desc() if down else key.asc()).limit(size + 1)


def _beyond(kind: Kind, name: str, down: bool, backwards: bool, cursor: str) -> ColumnElement[bool]:
    """The rows that come after one in the direction of reading."""
    value, id_ = read_cursor(cursor)
    column, key = kind.table.c[name], kind.table.c.id
    further = key < id_ if down else key > id_
    if value is None:
        rest = and_(column.is_(None), further)
        return or_(rest, column.is_not(None)) if backwards else rest
    if not column.nullable or name in ALWAYS_KNOWN:  # one comparison of two pairs goes straight to its place in the index
        pair, here = tuple_(column, key), tuple_(literal(value, column.type), literal(id_, key.type))
        return pair < here if down else pair > here
    past = or_(column < value if down else column > value, and_(column == value, further))
    return past if backwards else or_(past, column.is_(None))


def ids(kind: Kind, principal: Principal, query: Query, place: Place) -> Select[Any]:
    """The identifiers of everything a list holds, one more than COUNT_LIMIT where there are more."""
    ordered = page(kind, principal, replace(query, after="", before=""), place, COUNT_LIMIT)
    return ordered.with_only_columns(kind.table.c.id)


def counted(kind: Kind, principal: Principal, query: Query, place: Place) -> Select[Any]:
    """How many there are, exact up to COUNT_LIMIT, one more where there are more."""
    found = select(kind.table.c.id).where(*chosen(kind, principal, query, place)).limit(COUNT_LIMIT + 1)
    return select(func.count()).select_from(found.subquery())


def cursor_of(row: Mapping[str, Any], query: Query) -> str:
    """The cursor of a row in this order."""
    told = msgspec.json.encode([row[query.sort.lstrip("-")], row["id"]])
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[Any, int]:
    """What a cursor says. Raises Refusal."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value, id_ = msgspec.json.decode(raw, type=tuple[str | int | float | None, int])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Refusal("wrong_cursor", "This page of the list does not exist. Begin at the first.") from error
    return value, id_
