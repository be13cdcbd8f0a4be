"""An event loop in a thread of its own: what is awaited there does not stand in line behind what keeps the main loop busy.

A transaction of forty statements goes to and fro forty times; on a loop that is catching up each time costs a turn of it, while the
transaction holds its locks. It knows no database.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")


class SideLoop(Generic[R]):
    """Runs coroutines in another thread; begins with the first. `make` makes what they work with, in that thread's loop."""

    def __init__(self, make: Callable[[], R]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tool: R | None = None

    async def run(self, work: Callable[[R], Coroutine[Any, Any, T]]) -> T:
        """Await `work(tool)` there; what it raises is raised here, and who is cancelled here cancels it there."""
        loop = self._loop or self._begin()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._work(work), loop))

    async def close(self, end: Callable[[R], Coroutine[Any, Any, None]]) -> None:
        """Await `end(tool)` there, and end the thread. Nothing may be run any more."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            if self._tool is not None:
                await self.run(end)
        finally:
            self._loop = self._thread = self._tool = None
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join)
            loop.close()

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="side-loop", daemon=True)
        self._thread.start()
        return self._loop

    async def _work(self, work: Callable[[R], Coroutine[Any, Any, T]]) -> T:
        if self._tool is None:
            self._tool = self._make()
        return await work(self._tool)
