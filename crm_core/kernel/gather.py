"""Gathering: things that change many times a second are told once in a while, a few at a time.

Whoever draws says which keys changed; a moment later `tell` gets them, each once, in slices with a breath between, so that a large
centre's boards never stand in the way of what cannot wait. It knows nothing of what the keys mean and keeps no values: what is told is
what is true at that moment. All calls come from the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Generic, TypeVar

import structlog

K = TypeVar("K", bound=Hashable)
log = structlog.get_logger(__name__)


class Gather(Generic[K]):
    """`tell(keys)` is called `wait_s` after the first key came, at most `at_once` keys each `breath_s`; a failure is logged."""

    def __init__(self, tell: Callable[[list[K]], None], *, wait_s: float, at_once: int, breath_s: float) -> None:
        self._tell = tell
        self._wait_s, self._at_once, self._breath_s = wait_s, at_once, breath_s
        self._due: dict[K, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many keys have not been told."""
        return len(self._due)

    def add(self, keys: Iterable[K]) -> None:
        """These changed."""
        for key in keys:
            self._due[key] = None
        if self._timer is None and self._due:
            self._timer = asyncio.get_running_loop().call_later(self._wait_s, self._slice)

    def _slice(self) -> None:
        keys = list(islice(self._due, self._at_once))
        for key in keys:
            del self._due[key]
        wait = self._breath_s if self._due else self._wait_s
        self._timer = asyncio.get_running_loop().call_later(wait, self._slice) if keys else None
        if keys:
            try:
                self._tell(keys)
            except Exception:
                log.exception("What was gathered could not be told.", keys=len(keys))
