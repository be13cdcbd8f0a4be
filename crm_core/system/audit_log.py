"""The audit log as the System pages read it: the newest lines about one kind of thing. It reads; `journal` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from crm_core.entities.org import Audit, User
from crm_core.kernel.access import Principal
from crm_core.kernel.db import Database, table_of

_AUDIT, _USER = table_of(Audit), table_of(User)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: who changed what, and of each field before and after."""

    at: float | None
    who: str
    name: str
    fields: Mapping[str, tuple[Any, Any]]


class AuditLog:
    """Reads the audit log of a person's unit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def newest(self, who: Principal, kind: str, limit: int) -> list[Entry]:
        """The newest lines about a kind of thing that `Journal` wrote."""
        wanted = select(_AUDIT, _USER.c.name.label("who")).outerjoin(_USER, _USER.c.id == _AUDIT.c.user_id)
        wanted = wanted.where(_AUDIT.c.unit_id == who.unit_id, _AUDIT.c.kind == kind)
        async with self._db.read() as db:
            rows = (await db.execute(wanted.order_by(_AUDIT.c.id.desc()).limit(limit))).mappings().all()
        return [_entry(row) for row in rows]


def _entry(row: RowMapping) -> Entry:
    told = json.loads(row["detail"])
    return Entry(at=row["at"], who=row["who"] or "", name=told["name"], fields={n: (p[0], p[1]) for n, p in told["set"].items()})
