"""The page and routes of roles and rights: the matrix of one role, what a change means for whom, and the product as somebody sees it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from crm_core.kernel.access import Principal, Scope, reach
from crm_core.kernel.errors import NotFound, Refusal
from crm_core.system.audit_log import AuditLog
from crm_core.system.people import People
from crm_core.system.rights import ACTION_WORDS, SCOPE_WORDS, Right, RightKind
from crm_core.system.roles import Change, Effect, Roles
from crm_core.web.api import Routes
from crm_core.web.ask import Ask, read_id
from crm_core.web.pages import Pages

RIGHT = ("role", "edit")
ROLE_WORDS = {"agent": "Agent", "supervisor": "Supervisor", "reviewer": "Reviewer", "administrator": "Administrator"}
HISTORY = 20


class Cell(msgspec.Struct, forbid_unknown_fields=True):
    """A cell of the matrix to be changed; scopes are none, own, team, department, unit or all. `was`: as it was read."""

    role: str
    kind: str
    action: str
    was: str
    scope: str


class Cells(msgspec.Struct, forbid_unknown_fields=True):
    """All cells to be changed, together."""

    changes: list[Cell]


class EffectOut(msgspec.Struct):
    """What a change means: `gains` or loses; for how many people, and whom."""

    role: str
    role_said: str
    kind: str
    action: str
    said: str
    before: str
    after: str
    gains: bool
    count: int
    people: list[str]


class EffectsOut(msgspec.Struct):
    """Who gains and loses what."""

    effects: list[EffectOut]


class GrantOut(msgspec.Struct):
    """One right of a role."""

    role: str
    kind: str
    action: str
    scope: str


class GrantsOut(msgspec.Struct):
    """All rights of all roles."""

    grants: list[GrantOut]


class SeenRight(msgspec.Struct):
    """A right in words."""

    kind: str
    action: str
    kind_said: str
    said: str
    scope: str


class SeenOut(msgspec.Struct):
    """What somebody may."""

    id: str
    name: str
    role: str
    pages: list[str]
    rights: list[SeenRight]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the matrix."""

    kind: RightKind
    usual: dict[str, Right]
    others: list[Right]


class RolesWeb:
    """The handlers."""

    def __init__(self, pages: Pages, roles: Roles, people: People, log: AuditLog) -> None:
        self._pages, self._roles, self._people, self._log = pages, roles, people, log

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        base, api = "/system/roles", routes.api
        routes.page(base, self.page, right=RIGHT, summary="Roles and rights")
        routes.page(f"{base}/preview", self.preview_page, right=RIGHT, summary="What somebody may see and do")
        api("GET", base, self.grants_api, right=RIGHT, summary="All rights of all roles", gives=GrantsOut)
        api("GET", f"{base}/preview", self.preview_api, right=RIGHT, summary="What somebody may see and do", gives=SeenOut)
        api(
            "POST",
            f"{base}/effects",
            self.effects_api,
            right=RIGHT,
            summary="Who would gain and lose",
            takes=Cells,
            gives=EffectsOut,
        )
        api("PUT", base, self.save_api, right=RIGHT, summary="Change rights of roles", takes=Cells)

    async def page(self, ask: Ask) -> web.Response:
        """The matrix of one role."""
        unit_id = ask.principal.unit_id
        people = await self._roles.people(unit_id)
        role = ask.query("role") or next(iter(people))
        if role not in people:
            raise NotFound("no_such_role", "There is no such role.")
        history = await self._log.newest(ask.principal, "role", HISTORY)
        return self._pages.render(
            ask, "system_roles.html", page_nav="system", role=role, roles=people, rows=[_row(kind) for kind in self._roles.rights.kinds],
            granted={(k, a): s for (r, k, a), s in (await self._roles.matrix(unit_id)).items() if r == role}, usual=ACTION_WORDS, scopes=SCOPE_WORDS,
            role_words=ROLE_WORDS, history=history, right_said=self._right_said, everybody=await self._people.active(ask.principal), nothing=Scope.NONE,
            scope_word=lambda name: ask.say(SCOPE_WORDS[_scope(name)]),
        )  # fmt: skip

    def _right_said(self, key: str) -> tuple[str, str]:
        """The words for kind and action of a right's name."""
        kind, _, action = key.partition(":")
        right = self._roles.rights.find(kind, action)
        return self._roles.rights.label(kind), right.label if right else action

    async def grants_api(self, ask: Ask) -> GrantsOut:
        """All rights of all roles."""
        found = await self._roles.matrix(ask.principal.unit_id)
        return GrantsOut(grants=[GrantOut(role=r, kind=k, action=a, scope=s.name.lower()) for (r, k, a), s in found.items() if s])

    async def effects_api(self, ask: Ask) -> EffectsOut:
        """Who would gain and lose."""
        effects = await self._roles.effects(ask.principal, _changes(await ask.body(Cells)))
        return EffectsOut(effects=[self._effect(ask, one) for one in effects])

    def _effect(self, ask: Ask, one: Effect) -> EffectOut:
        kind, action = self._right_said(one.right.key)
        return EffectOut(
            role=one.role, role_said=ask.say(ROLE_WORDS.get(one.role, one.role)), kind=one.right.kind, action=one.right.action,
            said=ask.say("{kind}: {action}", kind=ask.say(kind), action=ask.say(action)), before=ask.say(SCOPE_WORDS[one.before]),
            after=ask.say(SCOPE_WORDS[one.after]), gains=one.gains, count=len(one.people), people=list(one.people),
        )  # fmt: skip

    async def save_api(self, ask: Ask) -> None:
        """Change rights."""
        await self._roles.save(ask.principal, _changes(await ask.body(Cells)))

    async def _seen(self, ask: Ask) -> tuple[Principal, SeenOut]:
        person = await self._roles.as_seen_by(ask.principal, read_id(ask.query("person"), "person"))
        rights = []
        for kind in self._roles.rights.kinds:
            for right in kind.rights():
                scope = reach(person, right.action, right.kind)
                if scope:
                    said = SeenRight(
                        kind=right.kind, action=right.action, kind_said=ask.say(kind.label), said=ask.say(right.label), scope=ask.say(SCOPE_WORDS[scope])
                    )  # fmt: skip
                    rights.append(said)
        pages = [item["label"] for item in self._pages.nav_of(person, ask.lang)]
        return person, SeenOut(id=str(person.user_id), name=person.name, role=person.role, pages=pages, rights=rights)

    async def preview_page(self, ask: Ask) -> web.Response:
        """The product as somebody sees it."""
        person, seen = await self._seen(ask)
        by_kind: dict[str, list[SeenRight]] = {}
        for one in seen.rights:
            by_kind.setdefault(one.kind_said, []).append(one)
        without = [ask.say(kind.label) for kind in self._roles.rights.kinds if ask.say(kind.label) not in by_kind]
        return self._pages.render(
            ask, "system_preview.html", page_nav="system", person=person, seen=seen, by_kind=by_kind, without=without, role_words=ROLE_WORDS,
            everybody=await self._people.active(ask.principal),
        )  # fmt: skip

    async def preview_api(self, ask: Ask) -> SeenOut:
        """The same for programs."""
        return (await self._seen(ask))[1]


def _row(kind: RightKind) -> Row:
    rights = list(kind.rights())
    usual = {one.action: one for one in rights if one.action in ACTION_WORDS and one.label == ACTION_WORDS[one.action]}
    return Row(kind, usual, [one for one in rights if one.action not in usual])


def _changes(body: Cells) -> list[Change]:
    return [Change(role=c.role, kind=c.kind, action=c.action, was=_scope(c.was), scope=_scope(c.scope)) for c in body.changes]


def _scope(name: str) -> Scope:
    found: dict[str, Scope] = {one.name.lower(): one for one in Scope}
    if name not in found:
        raise Refusal("wrong_scope_name", "There is no scope {name}.", name=name[:20])
    return found[name]
