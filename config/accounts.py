"""The first rows of an installation: its business unit, the roles' rights, and the first administrator with a password told once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import RoleGrant, Unit, User
from crm_core.kernel.access import ADMINISTRATOR, ROLES
from crm_core.kernel.db import Database
from crm_core.signin import HASHER, any_person
from cti.storage import Pbx

NewId = Callable[[], int]


async def first_rows(db: AsyncConnection, new_id: NewId, now: float) -> str | None:
    """Make unit, rights and administrator where there is nobody yet; returns the administrator's password then, else None."""
    if await any_person(db):
        return None
    unit_id = (await db.execute(select(Unit.id))).scalar()
    if unit_id is None:
        unit_id = await make_unit(db, new_id, name="呼叫中心", zone="Asia/Shanghai", area_code="")
    password = secrets.token_urlsafe(12)
    await make_person(
        db, new_id, unit_id, login="admin", name="管理员", role=ADMINISTRATOR, password=password, now=now, must_change=True
    )
    return password


async def name_pbxs(db: AsyncConnection, new_id: NewId, names: Iterable[str]) -> None:
    """Give every PBX of the settings its row, in the first unit."""
    there = set((await db.execute(select(Pbx.name))).scalars())
    unit_id = (await db.execute(select(Unit.id).order_by(Unit.id).limit(1))).scalar_one()
    for name in names:
        if name not in there:
            await db.execute(insert(Pbx).values(id=new_id(), unit_id=unit_id, name=name))


async def make_unit(db: AsyncConnection, new_id: NewId, *, name: str, zone: str, area_code: str) -> int:
    """A business unit with the rights that each role starts with."""
    unit_id = new_id()
    await db.execute(insert(Unit).values(id=unit_id, name=name, time_zone=zone, home_region="CN", area_code=area_code))
    rows = [
        {"id": new_id(), "unit_id": unit_id, "role": role, "kind": g.kind, "action": g.action, "scope": int(g.scope)}
        for role, grants in ROLES.items()
        for g in grants
    ]
    await db.execute(insert(RoleGrant), rows)
    return unit_id


async def grant_new_kinds(database: Database, new_id: NewId) -> None:
    """Units made by an earlier version get the rights on kinds of things that they have never heard of; known kinds stay as they are."""
    async with database.begin() as db:
        known = {(row.unit_id, row.kind) for row in await db.execute(select(RoleGrant.unit_id, RoleGrant.kind).distinct())}
        units = (await db.execute(select(Unit.id))).scalars().all()
        rows = [
            {"id": new_id(), "unit_id": unit_id, "role": role, "kind": g.kind, "action": g.action, "scope": int(g.scope)}
            for unit_id in units
            for role, grants in ROLES.items()
            for g in grants
            if (unit_id, g.kind) not in known
        ]
        if rows:
            await db.execute(insert(RoleGrant), rows)


async def make_person(
    db: AsyncConnection, new_id: NewId, unit_id: int, *, login: str, name: str, role: str, password: str, now: float,
    team_id: int | None = None, must_change: bool = False,
) -> int:  # fmt: skip
    """A person who can sign in."""
    user_id = new_id()
    row = {
        "id": user_id, "unit_id": unit_id, "login": login, "name": name, "role": role, "team_id": team_id, "active": True,
        "password_hash": HASHER.hash(password), "must_change": must_change, "created_at": now,
    }  # fmt: skip
    await db.execute(insert(User).values(row))
    return user_id
