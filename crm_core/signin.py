"""Signing in: passwords (argon2id), sessions in a cookie, tokens for programs, lock-out, and who a request comes from.

A session's cookie and an API token are random; the database keeps only their SHA-256. Principals are remembered for a few seconds,
so that a right taken away is gone at the latest then; signing out forgets at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL as _LABELS
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import ApiToken, Audit, Department, RoleGrant, Session, User
from crm_core.kernel.access import Grant, Principal, Scope, grants_of
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotSignedIn, Refusal

HASHER = PasswordHasher()
MAX_FAILURES = 5
LOCK_S = 300.0
REMEMBER_S = 5.0
MIN_PASSWORD = 10
_NOBODY = HASHER.hash("nobody has this password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A signed-in browser: who, with which CSRF token and which looks."""

    session_id: int
    principal: Principal
    csrf: str
    lang: str
    theme: str
    density: str
    must_change: bool
    ends_at: float


def digest(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


class SignIn:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, clock: Clock, new_id: Callable[[], int], session_s: float = 12 * 3600) -> None:
        self._db = database
        self._clock = clock
        self._new_id = new_id
        self._session_s = session_s
        self._remembered: dict[str, tuple[float, Visit]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._strangers: dict[str, tuple[int, float]] = {}

    async def sign_in(self, login: str, password: str, *, address: str, agent: str) -> str:
        """Check the password and open a session; returns the cookie's value. Raises Refusal, the same way for any wrong pair."""
        login, address, agent = _printable(login), _printable(address), _printable(agent)
        turn = self._turns.setdefault(login, asyncio.Lock())
        async with turn:  # one try at a time for a name, or many at once would all be the last one
            return await self._try(login, password, address, agent)

    async def _try(self, login: str, password: str, address: str, agent: str) -> str:
        now = self._clock.now()
        async with self._db.read() as db:
            user = (await db.execute(select(User.__table__).where(User.login == login))).mappings().one_or_none()
        locked_until = (user["locked_until"] or 0.0) if user is not None else self._strangers.get(login, (0, 0.0))[1]
        if locked_until > now:
            raise Refusal("locked", "Too many wrong passwords. Try again in {n} minutes.", n=int((locked_until - now) // 60 + 1))
        good = await asyncio.to_thread(_verify, user["password_hash"] if user else _NOBODY, password)
        async with self._db.begin() as db:
            if user is not None and user["active"] and good:
                return await self._open(db, user, now, address, agent)
            left = await self._count_failure(db, user, now, address) if user is not None else self._count_stranger(login, now)
        raise Refusal("wrong_password", "User name or password is wrong. {n} tries left.", n=left)

    async def _open(self, db: AsyncConnection, user: RowMapping, now: float, address: str, agent: str) -> str:
        token = secrets.token_urlsafe(32)
        await db.execute(update(User).where(User.id == user["id"]).values(failures=0, locked_until=None))
        row = {
            "id": self._new_id(), "unit_id": user["unit_id"], "user_id": user["id"], "token_hash": digest(token),
            "csrf": secrets.token_urlsafe(24), "created_at": now, "seen_at": now, "ends_at": now + self._session_s,
            "address": address[:64], "agent": agent[:200],
        }  # fmt: skip
        await db.execute(insert(Session).values(row))
        await self._note(db, user["unit_id"], user["id"], "sign_in", row["id"], address)
        return token

    def _count_stranger(self, login: str, now: float) -> int:
        """A name that nobody has is locked like any other, so that trying tells nobody which names there are."""
        if len(self._strangers) > 10_000:
            self._strangers.clear()
        failures = self._strangers.get(login, (0, 0.0))[0] + 1
        self._strangers[login] = (failures, 0.0) if failures < MAX_FAILURES else (0, now + LOCK_S)
        return MAX_FAILURES - failures

    async def _count_failure(self, db: AsyncConnection, user: RowMapping, now: float, address: str) -> int:
        failures = user["failures"] + 1
        locked = now + LOCK_S if failures >= MAX_FAILURES else None
        await db.execute(update(User).where(User.id == user["id"]).values(failures=0 if locked else failures, locked_until=locked))
        await self._note(db, user["unit_id"], user["id"], "sign_in_failed", user["id"], address)
        return MAX_FAILURES - int(failures)

    async def _note(self, db: AsyncConnection, unit_id: int, user_id: int, action: str, thing_id: int, detail: str) -> None:
        await db.execute(
            insert(Audit).values(
                id=self._new_id(), unit_id=unit_id, at=self._clock.now(), user_id=user_id, action=action, kind="session",
                thing_id=thing_id, detail=detail,
            )
        )  # fmt: skip

    async def visit(self, token: str) -> Visit:
        """Who this cookie stands for. Raises NotSignedIn."""
        key, now = digest(token), self._clock.now()
        known = self._remembered.get(key)
        if known is not None and known[0] > now and known[1].ends_at > now:
            return known[1]
        async with self._db.read() as db:
            row = (
                await db.execute(
                    select(Session.__table__, User.__table__)
                    .set_label_style(_LABELS)
                    .join(User, User.id == Session.user_id)
                    .where(Session.token_hash == key, Session.ended_at.is_(None), Session.ends_at > now, User.active)
                )
            ).mappings().one_or_none()  # fmt: skip
            if row is None:
                raise NotSignedIn
            principal = await principal_of(db, row["user_session_user_id"])
        found = Visit(
            session_id=row["user_session_id"], principal=principal, csrf=row["user_session_csrf"], lang=row["user_account_lang"],
            theme=row["user_account_theme"], density=row["user_account_density"], must_change=row["user_account_must_change"],
            ends_at=row["user_session_ends_at"],
        )  # fmt: skip
        if len(self._remembered) > 20000:
            self._remembered.clear()
        self._remembered[key] = (now + REMEMBER_S, found)
        return found

    async def standing(self, tokens: Collection[str]) -> dict[str, Mapping[tuple[str, str], Scope]]:
        """What may be done now on each of these cookies' sessions; those that ended are left out. For many at once: two queries."""
        now = self._clock.now()
        return await self._db.look(lambda db: _standing(db, {digest(token): token for token in tokens}, now))

    async def sign_out(self, token: str) -> int | None:
        """End the session; forgets it at once. Returns whose last session it was, else None."""
        key, now = digest(token), self._clock.now()
        self._remembered.pop(key, None)
        async with self._db.begin() as db:
            user_id = (await db.execute(select(Session.user_id).where(Session.token_hash == key))).scalar()
            await db.execute(update(Session).where(Session.token_hash == key).values(ended_at=now))
            others = (
                select(func.count())
                .select_from(Session)
                .where(Session.user_id == user_id, Session.ended_at.is_(None), Session.ends_at > now)
            )
            return user_id if user_id is not None and (await db.execute(others)).scalar_one() == 0 else None

    async def bearer(self, token: str) -> Principal:
        """Whom an API token acts for, limited to its scopes. Raises NotSignedIn."""
        now = self._clock.now()
        async with self._db.read() as db:
            row = (
                await db.execute(
                    select(ApiToken.__table__).where(ApiToken.token_hash == digest(token), ApiToken.ended_at.is_(None))
                )
            ).mappings().one_or_none()  # fmt: skip
            if row is None or (row["ends_at"] is not None and row["ends_at"] < now):
                raise NotSignedIn
            return await principal_of(db, row["user_id"], frozenset(row["scopes"].split()))

    async def make_token(self, login: str, name: str, scopes: tuple[str, ...], days: float) -> str:
        """A new token for programs that acts for a person, within `scopes` ("kind:action"). Raises Refusal."""
        for scope in scopes:
            kind, colon, action = scope.partition(":")
            if not (kind.isidentifier() and colon and action.isidentifier()):
                raise Refusal("wrong_scope", "{scope} is no scope. Write it as call:see.", scope=scope[:40])
        token, now = secrets.token_urlsafe(32), self._clock.now()
        async with self._db.begin() as db:
            user = (await db.execute(select(User.id, User.unit_id).where(User.login == login, User.active))).one_or_none()
            if user is None:
                raise Refusal("no_such_person", "There is nobody called {login}.", login=login[:40])
            row = {
                "id": self._new_id(), "unit_id": user.unit_id, "user_id": user.id, "name": name[:80], "token_hash": digest(token),
                "scopes": "\n".join(scopes), "created_at": now, "ends_at": now + days * 86400,
            }  # fmt: skip
            await db.execute(insert(ApiToken).values(row))
            await self._note(db, user.unit_id, user.id, "make_token", row["id"], name[:80])
        return token

    async def set_password(self, user_id: int, old: str, new: str, here: int) -> None:
        """Change the own password; every other session than `here` ends. Raises Refusal with what is wrong with it."""
        async with self._db.read() as db:
            row = (await db.execute(select(User.password_hash, User.login).where(User.id == user_id))).one()
        if not await asyncio.to_thread(_verify, row.password_hash, old):
            raise Refusal("wrong_password", "The old password is wrong.")
        check_password(new, row.login)
        fresh = await asyncio.to_thread(HASHER.hash, new)
        async with self._db.begin() as db:
            await db.execute(update(User).where(User.id == user_id).values(password_hash=fresh, must_change=False))
            others = (Session.user_id == user_id, Session.id != here, Session.ended_at.is_(None))
            await db.execute(update(Session).where(*others).values(ended_at=self._clock.now()))
        self._remembered.clear()

    async def set_looks(self, user_id: int, **looks: str) -> None:
        """Keep language, theme or density of a person."""
        async with self._db.begin() as db:
            await db.execute(update(User).where(User.id == user_id).values(**looks))
        self._remembered.clear()

    def forget(self) -> None:
        """Forget all remembered principals: rights or people changed."""
        self._remembered.clear()


def check_password(password: str, login: str) -> None:
    """Raises Refusal if a password is too easy."""
    if len(password) < MIN_PASSWORD:
        raise Refusal("weak_password", "The password needs at least {n} characters.", n=MIN_PASSWORD)
    if login.lower() in password.lower() or len(set(password)) < 5:
        raise Refusal("weak_password", "The password is too easy to guess.")


async def principal_of(db: AsyncConnection, user_id: int, limited_to: frozenset[str] | None = None) -> Principal:
    """Read a person with all rights. Raises NotSignedIn for one who is not there or may not sign in."""
    user = (await db.execute(select(User.__table__).where(User.id == user_id))).mappings().one_or_none()
    if user is None or not user["active"]:
        raise NotSignedIn
    grants = await db.execute(
        select(RoleGrant.__table__).where(RoleGrant.unit_id == user["unit_id"], RoleGrant.role == user["role"])
    )
    below: Mapping[int, int | None] = {}
    if user["department_id"] is not None:
        tree = select(Department.id, Department.parent_id).where(Department.unit_id == user["unit_id"])
        below = {row.id: row.parent_id for row in (await db.execute(tree)).all()}
    return _principal(user, grants_from(grants.mappings()), below, limited_to)


async def principals_of(db: AsyncConnection) -> dict[int, Principal]:
    """Everybody who may sign in, of all units, by identifier: three queries, however many they are."""
    users = (await db.execute(select(User.__table__).where(User.active))).mappings().all()
    rights = _by_role((await db.execute(select(RoleGrant.__table__))).mappings())
    tree = {row.id: row.parent_id for row in (await db.execute(select(Department.id, Department.parent_id))).all()}
    return {user["id"]: _principal(user, rights.get((user["unit_id"], user["role"]), {}), tree, None) for user in users}


def _principal(
    user: RowMapping, grants: Mapping[tuple[str, str], Scope], tree: Mapping[int, int | None], limited_to: frozenset[str] | None
) -> Principal:
    return Principal(
        user_id=user["id"], unit_id=user["unit_id"], name=user["name"], login=user["login"], role=user["role"], team_id=user["team_id"],
        departments=and_below(user["department_id"], tree), limited_to=limited_to, grants=grants,
    )  # fmt: skip


def and_below(department_id: int | None, tree: Mapping[int, int | None]) -> frozenset[int]:
    """A department and all that are below it; `tree` says of each department which one it hangs on."""
    found = set() if department_id is None else {department_id}
    while more := {one for one, above in tree.items() if above in found} - found:
        found |= more
    return frozenset(found)


_ALIVE = (
    select(Session.token_hash, User.unit_id, User.role)
    .join(User, User.id == Session.user_id)
    .where(Session.token_hash.in_(bindparam("hashes", expanding=True)))
    .where(Session.ended_at.is_(None), Session.ends_at > bindparam("now"), User.active)
)
_GRANTED = select(RoleGrant.unit_id, RoleGrant.role, RoleGrant.kind, RoleGrant.action, RoleGrant.scope).where(
    RoleGrant.unit_id.in_(bindparam("units", expanding=True))
)


def _standing(db: Connection, tokens: Mapping[str, str], now: float) -> dict[str, Mapping[tuple[str, str], Scope]]:
    """Of these tokens, by their digests, those whose session stands, with what its person may do."""
    rows = db.execute(_ALIVE, {"hashes": list(tokens), "now": now}).all()
    rights = _by_role(db.execute(_GRANTED, {"units": list({row.unit_id for row in rows})}).mappings())
    return {tokens[row.token_hash]: rights.get((row.unit_id, row.role), {}) for row in rows}


def _by_role(grants: Iterable[RowMapping]) -> dict[tuple[int, str], Mapping[tuple[str, str], Scope]]:
    """What each role of each unit may do; a role without any right is not among them."""
    of_role: dict[tuple[int, str], list[RowMapping]] = defaultdict(list)
    for grant in grants:
        of_role[(grant["unit_id"], grant["role"])].append(grant)
    return {key: grants_from(rows) for key, rows in of_role.items()}


def grants_from(rows: Iterable[RowMapping]) -> Mapping[tuple[str, str], Scope]:
    """A role's rights, from the rows that hold them."""
    return grants_of(Grant(kind=g["kind"], action=g["action"], scope=Scope(g["scope"])) for g in rows)


async def any_person(db: AsyncConnection) -> bool:
    """Whether there is anybody who could sign in."""
    return bool((await db.execute(select(func.count()).select_from(User))).scalar())


def _printable(text: str) -> str:
    return "".join(ch for ch in text if ch.isprintable())


def _verify(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, password.encode(errors="surrogatepass"))
    except (VerifyMismatchError, InvalidHashError):
        return False
