"""Presence: who is here. A key is held for a time and held again as long as its owner lives; when nobody does, it
expires.

Keys name their business unit, as in `unit.<id>.tab.<user>.<tab>`. Presence is not sign-in and not seat state: it says
that something breathes, nothing more, and is lost with the process (here) or with Redis (`redis_presence`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from crm_core.kernel.clock import Clock

SWEEP_S = 0.5

Gone = Callable[[str], None]

log = structlog.get_logger(__name__)


class Presence(Protocol):
    """Who is here. The calls are plain and return at once; with several processes the others know within a second."""

    def hold(self, key: str, ttl_s: float) -> None:
        """Be here, or go on being here, for at least `ttl_s` seconds from now. Never shortens what was held before."""
        ...

    def leave(self, key: str) -> None:
        """Be here no more, whichever process held the key last. Nobody is told by `on_gone`."""
        ...

    def here(self, prefix: str = "") -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        ...

    def on_gone(self, hook: Gone) -> Callable[[], None]:
        """Call `hook(key)` for a key that expired: in every process, soon after. Returns a function that takes it back.

        Check `here` in the hook: the owner may have come back in between.
        """
        ...

    async def run(self) -> None:
        """Watch for expiry until cancelled."""
        ...


class Hooks:
    """The hooks of a presence; one that fails is logged and does not keep the others from being called."""

    def __init__(self) -> None:
        self._hooks: list[Gone] = []

    def add(self, hook: Gone) -> Callable[[], None]:
        self._hooks.append(hook)

        def take_back() -> None:
            if hook in self._hooks:
                self._hooks.remove(hook)

        return take_back

    def call(self, key: str) -> None:
        for hook in tuple(self._hooks):
            try:
                hook(key)
            except Exception:
                log.exception("A hook for an expired presence failed.", presence=key)


class MemoryPresence:
    """Presence within one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._hooks = Hooks()

    def hold(self, key: str, ttl_s: float) -> None:
        self._until[key] = max(self._clock.monotonic() + ttl_s, self._until.get(key, 0.0))

    def leave(self, key: str) -> None:
        self._until.pop(key, None)

    def here(self, prefix: str = "") -> list[str]:
        now = self._clock.monotonic()
        return sorted(key for key, until in self._until.items() if until > now and key.startswith(prefix))

    def on_gone(self, hook: Gone) -> Callable[[], None]:
        return self._hooks.add(hook)

    async def run(self) -> None:
        while True:
            self.sweep()
            await asyncio.sleep(SWEEP_S)

    def sweep(self) -> None:
        """Forget what has expired by now and call the hooks for it."""
        now = self._clock.monotonic()
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._until[key]
            self._hooks.call(key)
