"""Work in another thread's loop: it goes on while the main one is busy, and raises, cancels and ends as here."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from crm_core.kernel.side_loop import SideLoop


async def many_turns(seen: list[str]) -> str:
    """Something that stands in line many times."""
    for _ in range(50):
        await asyncio.sleep(0.001)
    seen.append(threading.current_thread().name)
    return "done"


async def nothing(_: list[str]) -> None:
    pass


async def test_it_goes_on_while_the_main_loop_is_busy() -> None:
    side: SideLoop[list[str]] = SideLoop(list)
    began = time.monotonic()
    working = asyncio.create_task(side.run(many_turns))
    turns = 0
    while not working.done():
        await asyncio.sleep(0)
        time.sleep(0.1)  # as a loop that catches up: each turn takes long
        turns += 1
    assert working.result() == "done"
    assert turns < 25, f"it took {turns} turns of the main loop, {time.monotonic() - began:.1f} s"
    await side.close(nothing)


async def test_what_is_raised_there_is_raised_here() -> None:
    side: SideLoop[list[str]] = SideLoop(list)

    async def fails(_: list[str]) -> None:
        raise ZeroDivisionError("there")

    with pytest.raises(ZeroDivisionError, match="there"):
        await side.run(fails)
    await side.close(nothing)


async def test_who_is_cancelled_here_cancels_it_there() -> None:
    side: SideLoop[list[str]] = SideLoop(list)
    ended = threading.Event()

    async def waits(_: list[str]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    working = asyncio.create_task(side.run(waits))
    await asyncio.sleep(0.05)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await asyncio.to_thread(ended.wait, 5)
    await side.close(nothing)


async def test_it_ends_with_its_tool_and_its_thread() -> None:
    made, closed = list[str](), list[list[str]]()
    side: SideLoop[list[str]] = SideLoop(lambda: made)

    async def end(tool: list[str]) -> None:
        closed.append(tool)

    before = threading.active_count()
    await side.close(end)
    assert not closed and threading.active_count() == before, "nothing was begun, so nothing ends"
    await side.run(many_turns)
    assert made == ["side-loop"]
    await side.close(end)
    assert closed == [made] and not any(one.name == "side-loop" for one in threading.enumerate())
