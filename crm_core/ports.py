"""The doors through which other packages hang their things on a customer, without the CRM ever hearing of them.

A package registers a source; the customer's page asks every source for entries. A `Ref` names a thing of any package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from crm_core.kernel.access import Principal


@dataclass(frozen=True, slots=True)
class Ref:
    """A typed reference to a thing of any package."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of a customer's timeline. `icon` is a sprite name; `title` is shown as it is; `facts` are for the entry's template."""

    ref: Ref
    at: float
    kind: str
    href: str
    facts: dict[str, Any] = field(default_factory=dict)


class TimelineSource(Protocol):
    """Something that knows what happened with a customer."""

    kind: str

    async def entries(self, principal: Principal, customer_id: int, before: float | None, limit: int) -> Sequence[TimelineEntry]:
        """The newest entries before an instant that this principal may see, newest first, at most `limit`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One line of a search. `label` says what kind of thing it is (a message of the catalogue), `icon` is a sprite name."""

    ref: Ref
    title: str
    hint: str
    href: str
    label: str = ""
    icon: str = "file"


class SearchSource(Protocol):
    """Something that can be searched."""

    kind: str

    async def hits(self, principal: Principal, words: str, limit: int) -> Sequence[SearchHit]:
        """What matches and this principal may see, best first."""
        ...


class Sources:
    """The sources that other packages registered."""

    def __init__(self) -> None:
        self.timeline: list[TimelineSource] = []
        self.search: list[SearchSource] = []
