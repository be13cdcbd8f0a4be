"""Python's memory, kept from standing in the way of calls.

The collector of cycles stops everything while it looks; at thousands of desks that takes a third of a second, and it would look every
few seconds of work. Here young objects are looked at seldom and the old ones only at a quiet moment, after which they count as there
for good. What is referred to by nothing goes at once, as ever; only cycles wait.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from itertools import chain, repeat
from typing import Final

YOUNG: Final = 5_000  # objects more made than let go of before the youngest are looked at
SWITCH_S: Final = 0.0005  # so long another thread may keep the loop from going on
ROUNDS_S: Final = (15.0, 60.0, 600.0)  # after the start: when browsers are back, when a shift is at work; then every half hour
LATER_S: Final = 1800.0
PATIENCE_S: Final = 300.0
LOOK_S: Final = 0.2


def set_up() -> None:
    """For the whole process, once everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 500, 1000)
    sys.setswitchinterval(SWITCH_S)


async def tidy(quiet: Callable[[], bool]) -> None:
    """Look through everything now and then, when it is quiet, or after PATIENCE_S all the same. For ever."""
    for pause in chain(ROUNDS_S, repeat(LATER_S)):
        await asyncio.sleep(pause)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not quiet() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it is a look at many boards
            await asyncio.sleep(LOOK_S)
        gc.unfreeze()
        gc.collect()
        gc.freeze()
