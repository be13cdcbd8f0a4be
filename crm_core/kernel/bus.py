"""The bus: how one part of the program hears what another part did. Here the contract and the bus of a single process.

It carries events that already happened (frozen dataclasses) under topics that name their business unit and PBX, as in
`unit.<id>.pbx.<id>.call.offered`. It is not a queue and not a store: nobody's work waits for a subscriber, nothing is
kept, and who must not miss anything reads the journal or the database. The bus between processes is `redis_bus`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

import structlog

QUEUE_LIMIT = 4096
_ROUTES_LIMIT = 8192

SyncHandler = Callable[[str, object], None]
AsyncHandler = Callable[[str, object], Awaitable[None]]
Handler = SyncHandler | AsyncHandler
Unsubscribe = Callable[[], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BusRejoined:
    """This process hears the others again after a break.

    What they said meanwhile is lost. Published under `bus.rejoined`.
    """

    away_s: float


REJOINED = "bus.rejoined"


@lru_cache(_ROUTES_LIMIT)
def topic(unit_id: int, pbx_id: int, wire: str) -> str:
    """The topic of a telephony event: business unit, PBX, wire name."""
    return f"unit.{unit_id}.pbx.{pbx_id}.{wire}"


def unit_topic(unit_id: int, wire: str) -> str:
    """The topic of an event that has no PBX, such as a changed customer."""
    return f"unit.{unit_id}.{wire}"


class Bus(Protocol):
    """Publish and subscribe by topic.

    A prefix matches whole words between dots; `*` stands for any one word: `unit.7` and `unit.*.pbx.*.call` both match
    `unit.7.pbx.3.call.offered`, `unit.7.pbx.3.call.off` does not. The empty prefix matches everything.
    """

    def publish(self, topic: str, event: object) -> None:
        """Hand the event to all subscribers. A plain call: sync handlers have run when it returns, nothing is awaited.

        One handler's failure is logged and touches neither the others nor the caller. An event published by a handler
        is delivered after the present one, so that all subscribers see the same order.
        """
        ...

    def subscribe(self, topic_prefix: str, handler: Handler) -> Unsubscribe:
        """Call `handler(topic, event)` for every matching event from now on.

        Sync handlers run inside `publish` and must cost microseconds. Async handlers get a queue and a task of their
        own: in order, one at a time; when the queue is full (4,096 waiting) the newest event is dropped for them,
        counted and logged.
        """
        ...

    async def run(self) -> None:
        """Serve the async handlers until cancelled. Belongs in the program's TaskGroup."""
        ...

    async def settle(self) -> None:
        """Return when every async handler has dealt with all that was published before. Needs `run` to be running."""
        ...


def matches(words: tuple[str, ...], topic_words: list[str]) -> bool:
    """Whether a prefix, split at its dots, matches a topic, split at its dots."""
    if len(words) > len(topic_words):
        return False
    return all(word in ("*", have) for word, have in zip(words, topic_words, strict=False))


class _Subscriber:
    """One handler and the prefix it listens to."""

    __slots__ = ("handler", "name", "words")

    def __init__(self, prefix: str, handler: SyncHandler, name: str) -> None:
        self.words = tuple(prefix.split(".")) if prefix else ()
        self.handler = handler
        self.name = name


class _Inbox:
    """The queue of one async handler; its `put` is the sync handler the bus calls."""

    def __init__(self, handler: AsyncHandler, name: str, limit: int) -> None:
        self._handler = handler
        self._name = name
        self._queue: asyncio.Queue[tuple[str, object]] = asyncio.Queue(limit)
        self.task: asyncio.Task[None] | None = None
        self.lost = 0

    def put(self, topic: str, event: object) -> None:
        try:
            self._queue.put_nowait((topic, event))
        except asyncio.QueueFull:
            self.lost += 1
            if self.lost & (self.lost - 1) == 0:  # 1, 2, 4, 8 …: enough to be seen, too few to flood the log
                log.error("A subscriber is too slow and missed an event.", handler=self._name, topic=topic, lost=self.lost)

    async def run(self) -> None:
        while True:
            topic, event = await self._queue.get()
            try:
                await self._handler(topic, event)
            except Exception:
                log.exception("A subscriber failed on an event.", handler=self._name, topic=topic)
            finally:
                self._queue.task_done()

    async def settle(self) -> None:
        await self._queue.join()


class MemoryBus:
    """The bus of one process.

    Everything but `run` and `settle` is called from the event loop's thread and returns at once.
    """

    def __init__(self, queue_limit: int = QUEUE_LIMIT) -> None:
        self._queue_limit = queue_limit
        self._subscribers: list[_Subscriber] = []
        self._inboxes: list[_Inbox] = []
        self._routes: dict[str, tuple[_Subscriber, ...]] = {}
        self._waiting: deque[tuple[str, object]] = deque()
        self._delivering = False
        self._tasks: asyncio.TaskGroup | None = None

    def publish(self, topic: str, event: object) -> None:
        self._waiting.append((topic, event))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                self._deliver(*self._waiting.popleft())
        finally:
            self._delivering = False

    def hears(self, topic: str) -> bool:
        """Whether anybody here listens to the topic."""
        return bool(self._route(topic))

    def subscribe(self, topic_prefix: str, handler: Handler) -> Unsubscribe:
        name = getattr(handler, "__qualname__", type(handler).__qualname__)
        inbox: _Inbox | None = None
        if _is_async(handler):
            inbox = _Inbox(cast(AsyncHandler, handler), name, self._queue_limit)
            self._inboxes.append(inbox)
            self._start(inbox)
            subscriber = _Subscriber(topic_prefix, inbox.put, name)
        else:
            subscriber = _Subscriber(topic_prefix, cast(SyncHandler, handler), name)
        self._subscribers.append(subscriber)
        self._routes.clear()

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)
                self._routes.clear()
                if inbox is not None:
                    self._stop(inbox)

        return unsubscribe

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            try:
                for inbox in self._inboxes:
                    self._start(inbox)
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    async def settle(self) -> None:
        for inbox in list(self._inboxes):
            await inbox.settle()

    def _start(self, inbox: _Inbox) -> None:
        if self._tasks is not None:
            inbox.task = self._tasks.create_task(inbox.run())

    def _stop(self, inbox: _Inbox) -> None:
        self._inboxes.remove(inbox)
        if inbox.task is not None:
            inbox.task.cancel()

    def _route(self, topic: str) -> tuple[_Subscriber, ...]:
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= _ROUTES_LIMIT:
                self._routes.clear()
            words = topic.split(".")
            route = self._routes[topic] = tuple(s for s in self._subscribers if matches(s.words, words))
        return route

    def _deliver(self, topic: str, event: object) -> None:
        for subscriber in self._route(topic):
            try:
                subscriber.handler(topic, event)
            except Exception:
                log.exception("A subscriber failed on an event.", handler=subscriber.name, topic=topic)


def _is_async(handler: Handler) -> bool:
    call = getattr(handler, "__call__", None)  # noqa: B004 - an object with an async __call__ is a handler too
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
