"""Saved views of lists: filters, words and order under a name, one's own or shared with the unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import delete, func, insert, or_, select

from crm_core.kernel.access import Principal
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import NotFound, Refusal
from crm_core.records.entity import Kind
from crm_core.records.fields import clean
from crm_core.records.listing import Query
from crm_core.records.storage import SavedView

MOST = 50
_TABLE = table_of(SavedView)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One saved view. `address` is the list's query string."""

    id: int
    name: str
    address: str
    shared: bool
    own: bool


class Views:
    """The saved views of all units."""

    def __init__(self, database: Database, new_id: Callable[[], int]) -> None:
        self._db, self._new_id = database, new_id

    async def of(self, principal: Principal, kind: Kind) -> list[View]:
        """A person's own views of a list and the shared ones, by name."""
        mine = or_(_TABLE.c.user_id == principal.user_id, _TABLE.c.shared)
        wanted = select(_TABLE).where(_TABLE.c.unit_id == principal.unit_id, _TABLE.c.kind == kind.name, mine)
        async with self._db.read() as db:
            rows = (await db.execute(wanted.order_by(_TABLE.c.name, _TABLE.c.id))).mappings().all()
        return [
            View(id=r["id"], name=r["name"], address=r["query"], shared=r["shared"], own=r["user_id"] == principal.user_id)
            for r in rows
        ]

    async def save(self, principal: Principal, kind: Kind, name: str, query: Query, shared: bool) -> int:
        """Keep a view; one of the same name of one's own is replaced. Raises Refusal."""
        name = clean(name)[:60]
        if not name:
            raise Refusal("no_name", "A view needs a name.")
        here = (_TABLE.c.unit_id == principal.unit_id) & (_TABLE.c.user_id == principal.user_id) & (_TABLE.c.kind == kind.name)
        view_id = self._new_id()
        row = {"id": view_id, "unit_id": principal.unit_id, "kind": kind.name, "user_id": principal.user_id, "name": name}
        async with self._db.begin() as db:
            await db.execute(delete(_TABLE).where(here, _TABLE.c.name == name))
            if (await db.execute(select(func.count()).select_from(_TABLE).where(here))).scalar_one() >= MOST:
                raise Refusal("too_many_views", "You have {n} views of this list. Delete one first.", n=MOST)
            await db.execute(insert(_TABLE).values(**row, query=urlencode(query.address()), shared=shared))
        return view_id

    async def drop(self, principal: Principal, view_id: int) -> None:
        """Forget one of one's own views. Raises NotFound."""
        async with self._db.begin() as db:
            gone = await db.execute(delete(_TABLE).where(_TABLE.c.id == view_id, _TABLE.c.user_id == principal.user_id))
            if not gone.rowcount:
                raise NotFound()
