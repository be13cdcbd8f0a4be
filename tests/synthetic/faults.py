"""What can be wrong with how a PBX is heard: events told twice, late, in another order; sessions that fall silent, or are cut.

Sans-I/O: `Mouth` takes events with the moment and gives back those due; the times in which nobody heard us are gathered by `Ears`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

IN_FLIGHT_S = 0.3  # what was said so shortly before a link was cut may have been on its way


@dataclass(slots=True, kw_only=True)
class Manner:
    """How it speaks just now: which share of the events comes twice, and by how much channels may overtake one another."""

    repeat: float = 0.0
    reorder_s: float = 0.0


class Mouth:
    """Between what happens and what is said. Events with one key keep their order."""

    def __init__(self, seed: int) -> None:
        self.manner = Manner()
        self._rng = random.Random(seed)
        self._heap: list[tuple[float, int, str, str]] = []
        self._last: dict[str, float] = {}
        self._order = count()

    def say(self, now: float, kind: str, text: str, key: str) -> None:
        """Something happened."""
        at = now
        if self.manner.reorder_s:
            at += self._rng.random() * self.manner.reorder_s
        at = self._last[key] = max(at, self._last.get(key, 0.0))
        heapq.heappush(self._heap, (at, next(self._order), kind, text))
        if self.manner.repeat and self._rng.random() < self.manner.repeat:
            heapq.heappush(self._heap, (at + self._rng.random() * 0.05, next(self._order), kind, text))

    @property
    def next_at(self) -> float | None:
        """When the next event is due."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[tuple[str, str]]:
        """Class and text of what is to be said by now."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, _, kind, text = heapq.heappop(self._heap)
            found.append((kind, text))
        if not self._heap:
            self._last.clear()
        return found

    def forget(self) -> None:
        """What was not said yet is never said."""
        self._heap.clear()
        self._last.clear()


@dataclass(slots=True, kw_only=True)
class Ears:
    """Who hears us. `told` gets each span in which nobody did, once it is over: from when perhaps, from when surely, until when."""

    told: Callable[[float, float, float], None]
    deaf_since: tuple[float, float] | None = (0.0, 0.0)
    hearing: set[object] = field(default_factory=set)

    def gain(self, who: object, now: float) -> None:
        """Somebody listens."""
        self.hearing.add(who)
        if self.deaf_since is not None:
            self.told(*self.deaf_since, now)
            self.deaf_since = None

    def lose(self, who: object, doubtful: float, since: float) -> None:
        """Somebody hears no more of what was said after `since`, and perhaps nothing of what was said after `doubtful`."""
        if who in self.hearing:
            self.hearing.discard(who)
            if not self.hearing:
                self.deaf_since = doubtful, since
