"""Roles and their rights: what each role may, who gains and loses what by a change, and the change itself.

A right taken away stays as a row that grants nothing, so that a later start does not take the kind for a new one and grant it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import RoleGrant, Unit, User
from crm_core.kernel.access import ROLES, Principal, Scope, reach
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import Conflict, NotAllowed, NotFound, Refusal
from crm_core.signin import principal_of
from crm_core.system.journal import Journal
from crm_core.system.rights import Right, Rights

_GRANT, _USER, _UNIT = table_of(RoleGrant), table_of(User), table_of(Unit)
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell of the matrix: `was` is what it was when it was read."""

    role: str
    kind: str
    action: str
    was: Scope
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a change means: these people of a role get `after` where they had `before`."""

    role: str
    right: Right
    before: Scope
    after: Scope
    people: tuple[str, ...]

    @property
    def gains(self) -> bool:
        """Whether they may more than before."""
        return self.after > self.before


class Roles:
    """The roles of a unit."""

    def __init__(
        self, database: Database, rights: Rights, journal: Journal, new_id: Callable[[], int], changed: Callable[[int], Awaitable[None]]
    ) -> None:  # fmt: skip
        self._db, self._journal, self._new_id, self._changed = database, journal, new_id, changed
        self.rights = rights

    async def people(self, unit_id: int) -> dict[str, list[str]]:
        """The roles of the unit in their order, each with the names of those who have it and may sign in."""
        found: dict[str, list[str]] = {role: [] for role in ROLES}
        async with self._db.read() as db:
            granted = select(_GRANT.c.role).where(_GRANT.c.unit_id == unit_id).distinct().order_by(_GRANT.c.role)
            for role in (await db.execute(granted)).scalars():
                found.setdefault(role, [])
            wanted = select(_USER.c.role, _USER.c.name).where(_USER.c.unit_id == unit_id, _USER.c.active).order_by(_USER.c.name)
            for row in (await db.execute(wanted)).all():
                found.setdefault(row.role, []).append(row.name)
        return found

    async def matrix(self, unit_id: int) -> dict[tuple[str, str, str], Scope]:
        """What is granted: (role, kind, action) → how far."""
        async with self._db.read() as db:
            return await self._granted(db, unit_id)

    async def _granted(self, db: AsyncConnection, unit_id: int) -> dict[tuple[str, str, str], Scope]:
        rows = (await db.execute(select(_GRANT).where(_GRANT.c.unit_id == unit_id))).mappings()
        return {(row["role"], row["kind"], row["action"]): Scope(row["scope"]) for row in rows}

    async def effects(self, who: Principal, changes: Sequence[Change]) -> list[Effect]:
        """Who would gain and lose what. Raises Refusal for changes that could not be saved, Conflict for stale ones."""
        people = await self.people(who.unit_id)
        async with self._db.read() as db:
            wanted = self._checked(who, await self._granted(db, who.unit_id), people, changes)
            await self._keep_one(db, who.unit_id, {one.role: one.scope for one, right in wanted if right.key == "role:edit"})
        return [
            Effect(role=one.role, right=right, before=one.was, after=one.scope, people=tuple(people[one.role]))
            for one, right in wanted
        ]

    async def save(self, who: Principal, changes: Sequence[Change]) -> None:
        """Make the changes: all or none. Raises what `effects` raises. They hold for the next request of everybody."""
        people = await self.people(who.unit_id)
        async with self._db.begin() as db:
            await db.execute(select(_UNIT.c.id).where(_UNIT.c.id == who.unit_id).with_for_update())  # one change at a time
            wanted = self._checked(who, await self._granted(db, who.unit_id), people, changes)
            await self._keep_one(db, who.unit_id, {one.role: one.scope for one, right in wanted if right.key == "role:edit"})
            for one, _ in wanted:
                await self._put(db, who.unit_id, one)
            for role in dict.fromkeys(one.role for one, _ in wanted):
                told = {right.key: (one.was.name.lower(), one.scope.name.lower()) for one, right in wanted if one.role == role}
                await self._journal.note(db, who, "change", "role", None, role, told)
        await self._changed(who.unit_id)

    def _checked(
        self, who: Principal, granted: dict[tuple[str, str, str], Scope], people: dict[str, list[str]], changes: Sequence[Change]
    ) -> list[tuple[Change, Right]]:
        if len(changes) > AT_ONCE:
            raise Refusal("too_many", "At most {n} at once.", n=AT_ONCE)
        wanted: dict[tuple[str, str, str], tuple[Change, Right]] = {}
        for one in changes:
            right = self.rights.find(one.kind, one.action)
            if right is None or one.role not in people:
                raise NotFound("no_such_right", "There is no such right.")
            now = granted.get((one.role, one.kind, one.action), Scope.NONE)
            if now is not one.was:
                raise Conflict("changed_meanwhile", "Somebody changed these rights meanwhile. Load them again.")
            if one.scope is Scope.ALL and now is not Scope.ALL and reach(who, "edit", "role") is not Scope.ALL:
                raise NotAllowed("too_far", "You may not give a right on other business units.")
            if one.scope is not now:
                wanted[one.role, one.kind, one.action] = (one, right)
        return list(wanted.values())

    async def _keep_one(self, db: AsyncConnection, unit_id: int, changed: dict[str, Scope]) -> None:
        """Raises Conflict where nobody would be left who may change rights."""
        if not any(scope is Scope.NONE for scope in changed.values()):
            return
        granted = await self._granted(db, unit_id)
        left = {role for (role, kind, action), scope in granted.items() if (kind, action) == ("role", "edit") and scope} | set(
            changed
        )
        left = {role for role in left if changed.get(role, Scope.UNIT) is not Scope.NONE}
        if await holders(db, unit_id, left) == 0:
            raise Conflict(
                "last_administrator", "Nobody would be left who may change rights. Give that right to somebody else first."
            )

    async def _put(self, db: AsyncConnection, unit_id: int, one: Change) -> None:
        here = (
            (_GRANT.c.unit_id == unit_id)
            & (_GRANT.c.role == one.role)
            & (_GRANT.c.kind == one.kind)
            & (_GRANT.c.action == one.action)
        )
        if not (await db.execute(update(_GRANT).where(here).values(scope=int(one.scope)))).rowcount:
            row = {"id": self._new_id(), "unit_id": unit_id, "role": one.role, "kind": one.kind, "action": one.action}
            await db.execute(insert(_GRANT).values(**row, scope=int(one.scope)))

    async def as_seen_by(self, who: Principal, user_id: int) -> Principal:
        """A person of the own unit with all rights, to look through their eyes. Raises NotFound."""
        async with self._db.read() as db:
            unit_id = (await db.execute(select(_USER.c.unit_id).where(_USER.c.id == user_id, _USER.c.active))).scalar()
            if unit_id != who.unit_id:
                raise NotFound()
            return await principal_of(db, user_id)


async def holders(db: AsyncConnection, unit_id: int, roles: set[str], without: int = 0) -> int:
    """How many who may sign in have one of these roles, `without` this person."""
    wanted = select(func.count()).select_from(_USER).where(_USER.c.unit_id == unit_id, _USER.c.active, _USER.c.role.in_(roles))
    return int((await db.execute(wanted.where(_USER.c.id != without))).scalar_one())
