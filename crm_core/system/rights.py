"""Which rights there are, in words: of every record by its declaration, of all else as the composition root declares it.

It says what can be granted and how a grant reads; who has which is in the rows that `roles` keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from crm_core.kernel.access import Scope
from crm_core.records.entity import ACTIONS, Registry

SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.NONE: "no",
    Scope.OWN: "own",
    Scope.TEAM: "the team's",
    Scope.DEPARTMENT: "the department's",
    Scope.UNIT: "all of the unit",
    Scope.ALL: "all units",
}
ACTION_WORDS: Mapping[str, str] = {
    "see": "See",
    "create": "Make",
    "edit": "Edit",
    "delete": "Recycle",
    "purge": "Purge",
    "export": "Export",
}
YES_OR_NO = (Scope.NONE, Scope.UNIT)
BY_OWNER = (Scope.NONE, Scope.OWN, Scope.TEAM, Scope.DEPARTMENT, Scope.UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One thing that can be granted, and how far it can reach."""

    kind: str
    action: str
    label: str
    scopes: tuple[Scope, ...]

    @property
    def key(self) -> str:
        """Its name in forms and in the history."""
        return f"{self.kind}:{self.action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightKind:
    """A kind of thing with all that can be granted on it. `flat`: actions that are either granted or not."""

    kind: str
    label: str
    actions: Mapping[str, str]
    owned: bool = False
    flat: frozenset[str] = frozenset({"create", "export"})

    def rights(self) -> Iterator[Right]:
        """The rights, in the order of their declaration."""
        for action, label in self.actions.items():
            scopes = BY_OWNER if self.owned and action not in self.flat else YES_OR_NO
            yield Right(kind=self.kind, action=action, label=label, scopes=scopes)


class Rights:
    """All rights of the product."""

    def __init__(self, registry: Registry, others: Iterable[RightKind]) -> None:
        made: dict[str, RightKind] = {}
        for kind in registry:
            actions = [a for a in ACTIONS if a not in ("delete", "purge") or kind.has("deleted_at")]
            words = {a: ACTION_WORDS[a] for a in actions}
            made[kind.name] = RightKind(kind=kind.name, label=kind.entity.many, actions=words, owned=kind.has("owner_id"))
        self.kinds = [*made.values(), *(one for one in others if one.kind not in made)]
        self._known = {(one.kind, one.action): one for kind in self.kinds for one in kind.rights()}

    def find(self, kind: str, action: str) -> Right | None:
        """The right of that name."""
        return self._known.get((kind, action))

    def label(self, kind: str) -> str:
        """What a kind is called; its name where nobody declared it."""
        return next((one.label for one in self.kinds if one.kind == kind), kind)
