"""How late a PBX's events come. Pure: instants in, a verdict out.

Two clocks are compared, which may be set apart: what counts is how much later an event comes than the quickest one of the last while.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LATE_S: Final = 1.0
WINDOW_S: Final = 60.0
FOR_S: Final = 2.0


class Lag:
    """Follows one PBX. `apart_s` is how far our clock is ahead of its clock, as far as is known."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.apart_s = 0.0
        self._quickest: deque[tuple[float, float]] = deque()  # when, and how late; rising
        self._late_since: float | None = None

    def heard(self, at: float, now: float) -> None:
        """An event of that instant by the PBX's clock was heard now by ours."""
        late = now - at
        while self._quickest and self._quickest[-1][1] >= late:
            self._quickest.pop()
        self._quickest.append((now, late))
        while self._quickest[0][0] < now - WINDOW_S:
            self._quickest.popleft()
        self.apart_s = self._quickest[0][1]
        self.seconds = max(late - self.apart_s, 0.0)
        if self.seconds <= LATE_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now

    def alarming(self, now: float) -> bool:
        """Events have been more than LATE_S late for FOR_S."""
        return self._late_since is not None and now - self._late_since >= FOR_S
