"""The bus between processes: local delivery as in `MemoryBus`, and Redis pub/sub to the others.

Local delivery never waits for Redis and never breaks with it. To other processes an event arrives at most once: while
Redis is away the newest events wait in a bounded line, and what was said while this process could not hear is lost to
it. After such a break `BusRejoined` is published here, so that whoever keeps a picture takes a fresh one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import orjson
import structlog

from crm_core.kernel.bus import REJOINED, BusRejoined, Handler, MemoryBus, Unsubscribe
from crm_core.kernel.clock import Clock
from crm_core.kernel.redis_link import Client, keep_up
from crm_core.kernel.wire import UnknownOnWire

MESSAGE_VERSION = 1
WAITING_LIMIT = 10_000
_BATCH = 200
_SILENCE_S = 1.0
_PATIENCE = 5
_STALE_S = 5.0

log = structlog.get_logger(__name__)


class EventWire(Protocol):
    """How events become JSON; `crm_core.kernel.wire.Wire` is one."""

    def knows(self, event: object) -> bool: ...

    def encode(self, event: object) -> tuple[str, int, Any]: ...

    def decode(self, name: str, version: int, body: Any) -> object: ...


class RedisBus:
    """The bus of several processes over one Redis. All processes that share `channel` hear one another."""

    def __init__(self, redis: Client, wire: EventWire, clock: Clock, channel: str = "lingxi:bus") -> None:
        self._redis = redis
        self._wire = wire
        self._clock = clock
        self._channel = channel
        self._here = secrets.token_hex(6)
        self._local = MemoryBus()
        self._waiting: deque[tuple[int, float, str, object]] = deque(maxlen=WAITING_LIMIT)
        self._number = 0
        self._work = asyncio.Event()
        self._heard: dict[str, int] = {}
        self._strange: set[str] = set()
        self._broke_at: float | None = None
        self._joined_before = False
        self.listening = asyncio.Event()

    def publish(self, topic: str, event: object) -> None:
        self._local.publish(topic, event)
        if self._wire.knows(event):
            self._number += 1
            self._waiting.append((self._number, self._clock.monotonic(), topic, event))
            self._work.set()

    def subscribe(self, topic_prefix: str, handler: Handler) -> Unsubscribe:
        return self._local.subscribe(topic_prefix, handler)

    async def settle(self) -> None:
        """As the contract says, for what was published in this process."""
        await self._local.settle()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._local.run())
            tasks.create_task(keep_up("bus, speaking", self._speak))
            tasks.create_task(keep_up("bus, listening", self._listen))

    # ------------------------------------------------------------------------------------------------------- speaking

    async def _speak(self, stands: Callable[[], None]) -> None:
        while True:
            self._work.clear()
            while batch := self._next_batch():
                try:
                    await self._send(batch)
                except BaseException:
                    self._take_back(batch)
                    raise
                stands()
            await self._work.wait()

    def _next_batch(self) -> list[tuple[int, float, str, object]]:
        """Up to 200 waiting events.

        Those older than five seconds are dropped, since nobody wants yesterday's ringing.
        """
        batch: list[tuple[int, float, str, object]] = []
        oldest = self._clock.monotonic() - _STALE_S
        while self._waiting and len(batch) < _BATCH:
            entry = self._waiting.popleft()
            if entry[1] >= oldest:
                batch.append(entry)
        return batch

    def _take_back(self, batch: list[tuple[int, float, str, object]]) -> None:
        room = WAITING_LIMIT - len(self._waiting)
        self._waiting.extendleft(reversed(batch[-room:] if room else []))

    async def _send(self, batch: list[tuple[int, float, str, object]]) -> None:
        messages = [message for entry in batch if (message := self._message(entry)) is not None]
        async with self._redis.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.publish(self._channel, message)
            await pipe.execute()

    def _message(self, entry: tuple[int, float, str, object]) -> bytes | None:
        number, _, topic, event = entry
        try:
            name, version, body = self._wire.encode(event)
            return orjson.dumps(
                {
                    "v": MESSAGE_VERSION,
                    "from": self._here,
                    "n": number,
                    "topic": topic,
                    "name": name,
                    "version": version,
                    "body": body,
                }
            )
        except (TypeError, ValueError, UnknownOnWire):
            log.exception("An event could not be put on the wire and stays in this process.", topic=topic)
            return None

    # ------------------------------------------------------------------------------------------------------ listening

    async def _listen(self, stands: Callable[[], None]) -> None:
        pubsub = self._redis.pubsub()
        try:
            await pubsub.subscribe(self._channel)
            unanswered = 0
            while True:
                message = await pubsub.get_message(timeout=_SILENCE_S)
                stands()
                unanswered = 0 if message is not None else unanswered + 1
                if message is None:
                    await self._ask(pubsub, unanswered)
                elif message["type"] == "subscribe":
                    self._rejoin()
                elif message["type"] == "message":
                    self._receive(message["data"])
        finally:
            self.listening.clear()
            if self._broke_at is None:
                self._broke_at = self._clock.monotonic()
            with contextlib.suppress(Exception):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _ask(self, pubsub: Any, unanswered: int) -> None:
        """A silent line may be a dead one: say something that must be answered on it."""
        if unanswered > _PATIENCE:
            raise TimeoutError("the line to Redis is open but nobody answers on it")
        await pubsub.ping()

    def _rejoin(self) -> None:
        self.listening.set()
        if self._joined_before and self._broke_at is not None:
            self._heard.clear()
            self._local.publish(REJOINED, BusRejoined(away_s=self._clock.monotonic() - self._broke_at))
        self._joined_before, self._broke_at = True, None

    def _receive(self, data: bytes) -> None:
        try:
            message = orjson.loads(data)
            origin, topic = message["from"], message["topic"]
            if origin == self._here or message["v"] != MESSAGE_VERSION:
                return
            if self._is_new(origin, message["n"]) and self._local.hears(topic):
                event = self._wire.decode(message["name"], message["version"], message["body"])
                self._local.publish(topic, event)
        except UnknownOnWire as strange:
            if str(strange) not in self._strange:
                self._strange.add(str(strange))
                log.warning("Another process says something this one does not know.", why=str(strange))
        except (ValueError, TypeError, KeyError):
            log.exception("A message on the bus could not be read.")

    def _is_new(self, origin: str, number: int) -> bool:
        """False for what was heard before (a batch is sent again when its acknowledgement was lost).

        A gap is logged.
        """
        last = self._heard.get(origin)
        if last is not None and number <= last:
            return False
        if last is not None and number > last + 1:
            log.warning("Events of another process were lost on the bus.", origin=origin, lost=number - last - 1)
        self._heard[origin] = number
        return True
