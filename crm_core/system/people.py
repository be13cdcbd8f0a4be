"""People of a unit as the System pages choose among them. It reads; how somebody signs in is `crm_core.signin`'s."""

from __future__ import annotations

from sqlalchemy import select

from crm_core.entities.org import User
from crm_core.kernel.access import Principal
from crm_core.kernel.db import Database, table_of

_USER = table_of(User)


class People:
    """The people of a unit."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def active(self, who: Principal) -> list[tuple[int, str]]:
        """Those of the own unit who may sign in: identifier and name."""
        async with self._db.read() as db:
            wanted = select(_USER.c.id, _USER.c.name).where(_USER.c.unit_id == who.unit_id, _USER.c.active).order_by(_USER.c.name)
            return [(row.id, row.name) for row in (await db.execute(wanted)).all()]
