"""What is written to the audit log about the unit's own affairs: who, what, before → after. It writes; `audit_log` reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import Audit
from crm_core.kernel.access import Principal
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import table_of

Fields = Mapping[str, tuple[Any, Any]]
Note = Callable[[AsyncConnection], Awaitable[None]]
_AUDIT = table_of(Audit)


class Journal:
    """Writes lines of the audit log, each in the transaction of what it tells."""

    def __init__(self, clock: Clock, new_id: Callable[[], int]) -> None:
        self._clock, self._new_id = clock, new_id

    async def note(
        self, db: AsyncConnection, who: Principal, action: str, kind: str, thing_id: int | None, name: str, fields: Fields
    ) -> None:  # fmt: skip
        """One line. `name` is what the thing is called; `fields` has before and after of each. Secrets are never given to it."""
        detail = json.dumps({"name": name, "set": {n: list(pair) for n, pair in fields.items()}}, ensure_ascii=False)
        row = {"id": self._new_id(), "unit_id": who.unit_id, "at": self._clock.now(), "user_id": who.user_id}
        await db.execute(insert(_AUDIT).values(**row, action=action, kind=kind, thing_id=thing_id, detail=detail))

    def later(self, who: Principal, action: str, kind: str, thing_id: int | None, name: str, fields: Fields) -> Note:
        """The same, to be written by whoever opens the transaction."""

        async def write(db: AsyncConnection) -> None:
            await self.note(db, who, action, kind, thing_id, name, fields)

        return write
