"""The only source of time. Everything that asks what time it is gets a Clock handed in; tests hand in one they can move."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is stored and shown, monotonic time for what is measured."""

    def now(self) -> float:
        """UTC seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, at: float = 1_795_309_340.0) -> None:
        self.at = at
        self._mono = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self._mono

    def pass_time(self, seconds: float) -> None:
        """Move both kinds of time on."""
        self.at += seconds
        self._mono += seconds
