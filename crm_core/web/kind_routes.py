"""Routes of one kind of record: all below its path, each with a right on it, each handler handed the kind first.

It declares and decides nothing: what there is for every kind stands with the handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from crm_core.records.entity import Kind
from crm_core.web.api import Routes

KindHandler = Callable[..., Awaitable[Any]]


class KindRoutes:
    """Declares routes for one kind. `action` is the right they need; `words` say what they do, to one or many of the kind."""

    def __init__(self, routes: Routes, kind: Kind) -> None:
        self._routes, self._kind = routes, kind

    def page(self, path: str, handle: KindHandler, action: str, words: str) -> None:
        """A page for people."""
        base, summary = f"/{self._kind.entity.path}", self._said(words)
        self._routes.page(f"{base}{path}", partial(handle, self._kind), right=(self._kind.name, action), summary=summary)

    def api(
        self, method: str, path: str, handle: KindHandler, action: str, words: str, *, takes: type | None = None, gives: type | None = None
    ) -> None:  # fmt: skip
        """A route for programs."""
        base, right = f"/{self._kind.entity.path}", (self._kind.name, action)
        self._routes.api(
            method, f"{base}{path}", partial(handle, self._kind), right=right, summary=self._said(words), takes=takes, gives=gives
        )

    def _said(self, words: str) -> str:
        return f"{words}: {self._kind.entity.many}"
