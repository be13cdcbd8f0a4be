"""How quiet the machine is: a process of its own that sleeps one millisecond over and over and notes how late it wakes.

It measures the machine, not the product; its 99th percentile of a span of time says whether what was measured then counts.

    python -m config.bench.noise        prints one line with its overshoots in ms for every line it reads
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Final

from config.bench.processes import Helper, say

NAP_S: Final = 0.001
LIMIT_MS: Final = 5.0


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Noise(Helper):
    """The noise process. `since_last` gives what was noted since it was last asked."""

    MODULE = "config.bench.noise"

    async def since_last(self) -> list[float]:
        """Every overshoot in ms since the last call."""
        return [float(one) for one in (await self.ask(do="tell"))["overshoots"]]


def main() -> None:
    """Nap until standard input ends."""
    overshoots: list[float] = []

    def answer() -> None:
        for _ in sys.stdin:
            told, overshoots[:] = overshoots[:], []
            say(overshoots=[round(one, 3) for one in told])
        gone.set()

    gone = threading.Event()
    threading.Thread(target=answer, daemon=True).start()
    while not gone.is_set():
        before = time.monotonic()
        time.sleep(NAP_S)
        overshoots.append((time.monotonic() - before - NAP_S) * 1000)


if __name__ == "__main__":
    main()
