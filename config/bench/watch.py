"""The noise beside a bench, span by span: what a span's noise was, and whether what was measured in it counts."""

from __future__ import annotations

from config.bench.noise import LIMIT_MS, Noise, percentile
from config.bench.processes import steal_ticks
from config.bench.results import Noise as Heard


class Watch:
    """Runs a noise process from `start` to `stop` and remembers the spans that counted."""

    def __init__(self) -> None:
        self._process: Noise
        self._kept: list[float] = []
        self._ticks = steal_ticks()
        self._last: list[float] = []

    async def start(self) -> None:
        """Begin."""
        self._process = await Noise.start()
        self._ticks = steal_ticks()

    async def begin_span(self) -> None:
        """What was heard before does not belong to what comes."""
        await self._process.since_last()

    async def end_span(self) -> bool:
        """Whether the span was quiet enough to count; if so its noise is kept."""
        self._last = await self._process.since_last()
        quiet = percentile(self._last, 0.99) <= LIMIT_MS
        if quiet:
            self._kept += self._last
        return quiet

    def heard(self) -> Heard:
        """The noise of all spans that counted; of the last one, if none did."""
        kept = self._kept or self._last
        now = steal_ticks()
        stolen, passed = now[0] - self._ticks[0], max(now[1] - self._ticks[1], 1)
        return Heard(
            p99_ms=round(percentile(kept, 0.99), 2), max_ms=round(max(kept, default=0.0), 1), steal=round(stolen / passed, 3)
        )

    async def stop(self) -> None:
        """End the noise process."""
        if hasattr(self, "_process"):
            await self._process.stop()
