"""Customers: found, read, made and changed, by right. What a person may not see is not found; what they may see masked is masked here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import Audit, User
from crm_core.entities.people import Contact, ContactPoint, Customer
from crm_core.initials import initials_of
from crm_core.kernel.access import Principal, Scope, Thing, may, reach
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotAllowed, NotFound, Refusal
from crm_core.numbers import NumberRules, kind_of, mask, read
from crm_core.ports import Ref, SearchHit

PAGE = 50
COUNT_LIMIT = 10_000
_NUMBER = re.compile(r"\+?\d(?:[\s().\-]{0,2}\d){6,}")
LEVELS = ("", "C", "B", "A", "VIP")
WIDTHS = {"name": 120, "kind": 10, "level": 10, "region": 40, "industry": 40, "remark": 2000}
SORTS = {"name": Customer.name, "number": Customer.number, "created": Customer.created_at, "last": Customer.last_contact_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A number as this person may see it; `id` is what is dialled."""

    id: int
    shown: str
    kind: str
    contact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A customer with contacts and numbers."""

    row: dict[str, Any]
    owner: str
    contacts: list[dict[str, Any]]
    points: list[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a list. `count` is exact up to COUNT_LIMIT, `more` says that it is not."""

    rows: list[dict[str, Any]]
    count: int
    more: bool
    page: int


def show_number(principal: Principal, written: str) -> str:
    """A number as this person may see it."""
    return written if reach(principal, "see_whole", "number") > Scope.NONE else mask(written)


def show_name(principal: Principal, name: str) -> str:
    """A name that came with a call, as this person may see it: many carriers put the number there, or a part of the name is one."""
    return name if reach(principal, "see_whole", "number") > Scope.NONE else _NUMBER.sub(lambda found: mask(found[0]), name)


def thing_of(row: Any) -> Thing:
    """Whose customer it is."""
    return Thing(kind="customer", unit_id=row["unit_id"], owner_id=row["owner_id"], team_id=row["team_id"])


class Customers:
    """The customers of all units, through the eyes of whoever asks."""

    def __init__(self, database: Database, clock: Clock, new_id: Callable[[], int], rules: Callable[[int], NumberRules]) -> None:
        self._db, self._clock, self._new_id, self._rules = database, clock, new_id, rules

    async def page(
        self,
        principal: Principal,
        words: str = "",
        level: str = "",
        sort: str = "-last",
        page: int = 1,
        *,
        size: int = PAGE,
        count: bool = True,
    ) -> ListPage:
        """One page of the customers this person may see, by words (name, initials, number) and level; uncounted on request."""
        statement = self._visible(
            principal, select(Customer.__table__, User.name.label("owner")).outerjoin(User, User.id == Customer.owner_id)
        )
        if words:
            statement = statement.where(self._matching(principal, words))
        if level in LEVELS[1:]:
            statement = statement.where(Customer.level == level)
        column = SORTS.get(sort.lstrip("-"), Customer.last_contact_at)
        order = column.desc().nulls_last() if sort.startswith("-") else column.asc().nulls_last()
        async with self._db.read() as db:
            counted = select(func.count()).select_from(statement.with_only_columns(Customer.id).limit(COUNT_LIMIT + 1).subquery())
            total = (await db.execute(counted)).scalar_one() if count else 0
            rows = await db.execute(statement.order_by(order, Customer.id.desc()).limit(size).offset((page - 1) * size))
            found = [dict(row) for row in rows.mappings()]
            await self._add_numbers(db, principal, found)
        return ListPage(rows=found, count=min(total, COUNT_LIMIT), more=total > COUNT_LIMIT, page=page)

    def _visible(self, principal: Principal, statement: Select[Any]) -> Select[Any]:
        scope = reach(principal, "see", "customer")
        if scope is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        if scope is Scope.ALL:
            return statement
        statement = statement.where(Customer.unit_id == principal.unit_id)
        if scope >= Scope.UNIT:
            return statement
        own = Customer.owner_id == principal.user_id
        return statement.where(own if scope is Scope.OWN else or_(own, Customer.team_id == principal.team_id))

    def _matching(self, principal: Principal, words: str) -> Any:
        text = words.strip().lower()
        like = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        digits = re.sub(r"\D", "", text)
        ways = [
            Customer.name.ilike(f"%{like}%", escape="\\"),
            Customer.initials.like(f"{like}%", escape="\\"),
            Customer.number.ilike(f"{like}%", escape="\\"),
        ]
        if len(digits) >= 4:
            key = read(text, self._rules(principal.unit_id)).key
            by_number = select(ContactPoint.customer_id).where(
                ContactPoint.unit_id == principal.unit_id, or_(ContactPoint.key == key, ContactPoint.key.like(f"%{digits}"))
            )
            ways.append(Customer.id.in_(by_number))
        return or_(*ways)

    async def _add_numbers(self, db: AsyncConnection, principal: Principal, rows: list[dict[str, Any]]) -> None:
        ids = [row["id"] for row in rows]
        points = await db.execute(select(ContactPoint.__table__).where(ContactPoint.customer_id.in_(ids)).order_by(ContactPoint.id))
        first: dict[int, tuple[int, str]] = {}
        for point in points.mappings():
            first.setdefault(point["customer_id"], (point["id"], show_number(principal, point["written"])))
        for row in rows:
            row["point_id"], row["shown"] = first.get(row["id"], (None, ""))

    kind = "customer"

    async def hits(self, principal: Principal, words: str, limit: int) -> list[SearchHit]:
        """Customers with these words, for the search over everything."""
        if reach(principal, "see", "customer") is Scope.NONE:
            return []
        found = (await self.page(principal, words, size=limit, count=False)).rows
        return [
            SearchHit(ref=Ref("customer", row["id"]), title=row["name"], hint=row["shown"] or row["number"], href=f"/customers/{row['id']}", label="Customers", icon="customers")
            for row in found
        ]  # fmt: skip

    async def card(self, principal: Principal, customer_id: int) -> Card:
        """One customer. Raises NotFound, also for one the person may not see."""
        async with self._db.read() as db:
            row = await self._row(db, principal, customer_id, "see")
            contacts = await db.execute(select(Contact.__table__).where(Contact.customer_id == customer_id).order_by(Contact.id))
            people = [dict(c) for c in contacts.mappings()]
            names = {c["id"]: c["name"] for c in people}
            points = await db.execute(
                select(ContactPoint.__table__).where(ContactPoint.customer_id == customer_id).order_by(ContactPoint.id)
            )
            shown = [
                Point(
                    id=p["id"], shown=show_number(principal, p["written"]), kind=p["kind"], contact=names.get(p["contact_id"], "")
                )
                for p in points.mappings()
            ]
            owner = (await db.execute(select(User.name).where(User.id == row["owner_id"]))).scalar() if row["owner_id"] else ""
        return Card(row=row, owner=owner or "", contacts=people, points=shown)

    async def _row(self, db: AsyncConnection, principal: Principal, customer_id: int, action: str) -> dict[str, Any]:
        wanted = select(Customer.__table__).where(Customer.id == customer_id)
        if action == "edit":  # of two who change it at once the second waits, and then sees what the first one did
            wanted = wanted.with_for_update()
        found = (await db.execute(wanted)).mappings().one_or_none()
        if found is None or not may(principal, "see", thing_of(found)):
            raise NotFound("no_such_customer", "There is no such customer, or you may not see it.")
        if action != "see" and not may(principal, action, thing_of(found)):
            raise NotAllowed("not_allowed", "You may not do this.")
        return dict(found)

    async def exists(self, principal: Principal, customer_id: int) -> None:
        """Raises NotFound unless the person may see this customer."""
        async with self._db.read() as db:
            await self._row(db, principal, customer_id, "see")

    async def create(
        self, principal: Principal, *, name: str, kind: str = "person", level: str = "", region: str = "", contact: str = "", numbers: Sequence[str] = ()
    ) -> int:  # fmt: skip
        """A new customer of the person's own unit. Raises Refusal that names what is wrong."""
        if reach(principal, "create", "customer") is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        name = _clean(name, 120)
        _check(name, kind, level)
        now, customer_id = self._clock.now(), self._new_id()
        row = {
            "id": customer_id, "unit_id": principal.unit_id, "kind": kind, "name": name, "initials": initials_of(name), "level": level,
            "region": _clean(region, 40), "owner_id": principal.user_id, "team_id": principal.team_id, "created_at": now, "changed_at": now,
            "number": f"C-{customer_id % 10**9:09}",
        }  # fmt: skip
        async with self._db.begin() as db:
            await db.execute(insert(Customer).values(row))
            contact_id = self._new_id()
            person = {
                "id": contact_id, "unit_id": principal.unit_id, "customer_id": customer_id, "name": _clean(contact, 80) or name, "title": "",
            }  # fmt: skip
            await db.execute(insert(Contact).values(person))
            points = self._points(principal.unit_id, customer_id, contact_id, numbers)
            if points:
                await db.execute(insert(ContactPoint), points)
            await self._note(db, principal, "create", customer_id)
        return customer_id

    def _points(self, unit_id: int, customer_id: int, contact_id: int, numbers: Sequence[str]) -> list[dict[str, Any]]:
        rows = []
        for written in numbers:
            found = read(written, self._rules(unit_id))
            if found.kind in ("withheld", "internal"):
                raise Refusal("wrong_number", "{number} is no telephone number.", number=written[:40])
            rows.append(
                {"id": self._new_id(), "unit_id": unit_id, "customer_id": customer_id, "contact_id": contact_id, "kind": kind_of(found.key),
                 "key": found.key, "written": found.national[:40]}
            )  # fmt: skip
        return rows

    async def change(self, principal: Principal, customer_id: int, seen_at: float | None, **values: str) -> None:
        """Change a customer. Raises Refusal where somebody else changed it since `seen_at`, so that nothing is overwritten unseen."""
        now = self._clock.now()
        async with self._db.begin() as db:
            row = await self._row(db, principal, customer_id, "edit")
            if seen_at is not None and row["changed_at"] is not None and row["changed_at"] > seen_at + 1e-6:
                raise Refusal("changed_meanwhile", "Somebody changed this customer meanwhile. Load it again and compare.")
            new = {k: _clean(v, WIDTHS[k]) for k, v in values.items() if k in WIDTHS}
            _check(new.get("name", row["name"]), new.get("kind", row["kind"]), new.get("level", row["level"]))
            if "name" in new:
                new["initials"] = initials_of(new["name"])
            await db.execute(update(Customer).where(Customer.id == customer_id).values(**new, changed_at=now))
            await self._note(db, principal, "change", customer_id)

    async def dialable(self, principal: Principal, point_id: int) -> tuple[int, str]:
        """The customer and key of a number to dial: by its identifier, so that whoever dials needs not see it whole."""
        async with self._db.read() as db:
            point = (await db.execute(select(ContactPoint.__table__).where(ContactPoint.id == point_id))).mappings().one_or_none()
            if point is None:
                raise NotFound()
            await self._row(db, principal, point["customer_id"], "see")
        return point["customer_id"], point["key"]

    async def _note(self, db: AsyncConnection, principal: Principal, action: str, customer_id: int) -> None:
        await db.execute(
            insert(Audit).values(
                id=self._new_id(), unit_id=principal.unit_id, at=self._clock.now(), user_id=principal.user_id, action=action, kind="customer",
                thing_id=customer_id, detail="",
            )
        )  # fmt: skip


def _clean(text: str, limit: int) -> str:
    return "".join(ch for ch in text if ch.isprintable() or ch == "\n").strip()[:limit]


def _check(name: str, kind: str, level: str) -> None:
    if not name:
        raise Refusal("no_name", "A customer needs a name.")
    if kind not in ("person", "company"):
        raise Refusal("wrong_kind", "A customer is a person or a company.")
    if level not in LEVELS:
        raise Refusal("wrong_level", "There is no level {level}.", level=level[:20])
