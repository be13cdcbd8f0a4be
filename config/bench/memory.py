"""`memory`: how much memory the server process takes with thousands of consoles and hundreds of live calls.

What counts is its proportional share: its own pages, and the pages of files that it maps, the database's among them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from config.bench.pop import QUICK, WHOLE
from config.bench.processes import children, memory_of
from config.bench.results import Result, Tell
from config.bench.rig import ProductSide
from config.bench.watch import Watch

REACH_MB: Final = 250.0


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    watch, product = Watch(), await ProductSide.make(folder, QUICK if quick else WHOLE, tell)
    rate, seconds, talk_s = (20.0, 2.0, 4.0) if quick else (100.0, 5.2, 10.0)
    try:
        tell("Starting the synthetic PBX, the product and its consoles")
        await product.start()
        await watch.start()
        before = product.memory()
        if not quick:
            await product.calls(rate=rate, seconds=10, talk_s=1, seed=1)
        calling = asyncio.create_task(product.calls(rate=rate, seconds=seconds, talk_s=talk_s, seed=2))
        await asyncio.sleep(seconds + 2)
        now, reader = product.memory(), sum(memory_of(pid).pss_mb for pid in children(product.product.pid))
        seen = await calling
        await watch.end_span()
        parts = {
            "rss_mb": now.rss_mb,
            "own_mb": now.own_mb,
            "files_mb": now.files_mb,
            "idle_mb": before.pss_mb,
            "reader_mb": reader,
        }
        return [
            Result(
                name="memory", value=round(now.pss_mb, 1), unit="MB", runs=1, noise=watch.heard(), reach=f"<= {REACH_MB:g} MB",
                met=now.pss_mb <= REACH_MB and seen.lost == 0,
                parts={**{name: round(value, 1) for name, value in parts.items()}, "consoles": product.size.consoles,
                       "live_calls": seen.placed - seen.starved, "lost": seen.lost},
            )
        ]  # fmt: skip
    finally:
        await product.stop()
        await watch.stop()
