"""Who may do what to which thing: one question, asked by pages, REST, feeds, recordings and look-ups alike.

A principal has grants; a grant says how far (scope) an action on a kind of thing reaches. A thing says whose it is. `may` answers
for one thing; `reach` answers for a list, so that a query can be narrowed in the database. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Scope(IntEnum):
    """How far a right reaches; a larger one contains the smaller."""

    NONE = 0
    OWN = 1
    TEAM = 2
    DEPARTMENT = 3
    UNIT = 4
    ALL = 5  # every business unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One right: `action` on things of `kind`, within `scope`."""

    kind: str
    action: str
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Whose something is. None or an empty set where that side has no meaning for it."""

    kind: str
    unit_id: int
    owner_id: int | None = None
    team_id: int | None = None
    department_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person or program that acts. `departments` are the own one and all below it."""

    user_id: int
    unit_id: int
    name: str
    login: str
    role: str
    team_id: int | None = None
    departments: frozenset[int] = frozenset()
    grants: Mapping[tuple[str, str], Scope] = field(default_factory=dict)
    limited_to: frozenset[str] | None = None  # scopes of an API token ("kind:action"); None = no limit


def grants_of(grants: Iterable[Grant]) -> dict[tuple[str, str], Scope]:
    """Fold grants into the map a principal carries; the widest scope wins."""
    folded: dict[tuple[str, str], Scope] = {}
    for grant in grants:
        key = (grant.kind, grant.action)
        folded[key] = max(folded.get(key, Scope.NONE), grant.scope)
    return folded


def reach(principal: Principal, action: str, kind: str) -> Scope:
    """How far the principal's right to `action` on `kind` reaches; NONE if there is none."""
    if principal.limited_to is not None and f"{kind}:{action}" not in principal.limited_to:
        return Scope.NONE
    return principal.grants.get((kind, action), Scope.NONE)


def may(principal: Principal, action: str, thing: Thing) -> bool:
    """Whether the principal may do `action` to `thing`."""
    scope = reach(principal, action, thing.kind)
    if scope is Scope.NONE:
        return False
    if scope is Scope.ALL:
        return True
    if thing.unit_id != principal.unit_id:
        return False
    if scope is Scope.UNIT or (thing.owner_id is not None and thing.owner_id == principal.user_id):
        return True
    in_team = thing.team_id is not None and thing.team_id == principal.team_id
    in_department = thing.department_id is not None and thing.department_id in principal.departments
    return (scope >= Scope.TEAM and in_team) or (scope >= Scope.DEPARTMENT and in_department)


AGENT, SUPERVISOR, REVIEWER, ADMINISTRATOR = "agent", "supervisor", "reviewer", "administrator"

_S = Scope


def _rights(*lines: str) -> tuple[Grant, ...]:
    """Grants from lines such as "ticket see=unit edit=own"."""
    made = []
    for line in lines:
        kind, *pairs = line.split()
        for pair in pairs:
            action, _, scope = pair.partition("=")
            made.append(Grant(kind=kind, action=action, scope=Scope[scope.upper()]))
    return tuple(made)


_ALL_OF_IT = "see=unit create=unit edit=unit delete=unit export=unit"
ROLES: Mapping[str, tuple[Grant, ...]] = {
    AGENT: tuple(
        Grant(kind=k, action=a, scope=s)
        for k, a, s in (
            ("seat", "use", _S.UNIT),
            ("customer", "see", _S.UNIT),
            ("customer", "create", _S.UNIT),
            ("customer", "edit", _S.UNIT),
            ("call", "see", _S.OWN),
            ("call", "note", _S.OWN),
            ("call", "control", _S.OWN),
            ("recording", "listen", _S.OWN),
            ("figure", "see", _S.OWN),
            ("number", "dial", _S.UNIT),
        )
    )
    + _rights(
        "ticket see=unit create=unit edit=unit",
        "follow_up see=unit create=unit edit=own delete=own",
        "task see=team create=unit edit=own delete=own",
        "product see=unit",
    ),
    SUPERVISOR: tuple(
        Grant(kind=k, action=a, scope=s)
        for k, a, s in (
            ("seat", "use", _S.UNIT),
            ("floor", "see", _S.UNIT),
            ("customer", "see", _S.UNIT),
            ("customer", "create", _S.UNIT),
            ("customer", "edit", _S.UNIT),
            ("number", "see_whole", _S.UNIT),
            ("number", "dial", _S.UNIT),
            ("call", "see", _S.UNIT),
            ("call", "note", _S.OWN),
            ("call", "control", _S.OWN),
            ("recording", "listen", _S.UNIT),
            ("recording", "download", _S.UNIT),
            ("figure", "see", _S.UNIT),
        )
    )
    + _rights(
        f"ticket {_ALL_OF_IT}",
        f"follow_up {_ALL_OF_IT}",
        f"task {_ALL_OF_IT}",
        f"product {_ALL_OF_IT}",
        "dictionary edit=unit",
    ),
    REVIEWER: tuple(
        Grant(kind=k, action=a, scope=s)
        for k, a, s in (
            ("customer", "see", _S.UNIT),
            ("call", "see", _S.UNIT),
            ("recording", "listen", _S.UNIT),
            ("figure", "see", _S.UNIT),
        )
    )
    + _rights("ticket see=unit", "follow_up see=unit", "product see=unit"),
    ADMINISTRATOR: tuple(
        Grant(kind=k, action=a, scope=s)
        for k, a, s in (
            ("floor", "see", _S.UNIT),
            ("customer", "see", _S.UNIT),
            ("customer", "create", _S.UNIT),
            ("customer", "edit", _S.UNIT),
            ("number", "see_whole", _S.UNIT),
            ("call", "see", _S.UNIT),
            ("recording", "listen", _S.UNIT),
            ("recording", "download", _S.UNIT),
            ("figure", "see", _S.UNIT),
            ("person", "edit", _S.UNIT),
            ("token", "edit", _S.UNIT),
            ("system", "see", _S.UNIT),
            ("demo", "use", _S.UNIT),
        )
    )
    + _rights(
        *(f"{kind} {_ALL_OF_IT} purge=unit" for kind in ("ticket", "follow_up", "task", "product")),
        "dictionary edit=unit",
        "role edit=unit",
    ),
}
"""The rights each role starts with; kept as rows in the database from the first set-up on."""
