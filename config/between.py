"""What processes share: the bus and presence, within one process or over Redis, chosen by the settings."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cti.events
import recordings.events
from config.settings import BusSettings
from config.system import OrganisationChanged
from crm_core.kernel.bus import Bus, MemoryBus
from crm_core.kernel.clock import Clock
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.presence import MemoryPresence, Presence
from crm_core.kernel.wire import Wire
from cti.events import DomainEvent

if TYPE_CHECKING:  # whoever does without Redis does without its client's memory too
    from crm_core.kernel.redis_feed import FeedMirror
    from crm_core.kernel.redis_link import Client

Work = Coroutine[object, object, None]


@dataclass(slots=True)
class Between:
    """The shared parts of one process; `work` has to run as long as the process does."""

    bus: Bus
    presence: Presence
    feeds: Feeds
    redis: Client | None = None
    mirrors: list[FeedMirror] = field(default_factory=list)

    def work(self) -> list[Work]:
        """What must run."""
        return [self.bus.run(), self.presence.run(), *(mirror.run() for mirror in self.mirrors)]

    async def close(self) -> None:
        """Let go of Redis."""
        if self.redis is not None:
            await self.redis.aclose()


def event_types() -> Iterator[type]:
    """Every event that has a name on the wire."""
    yield OrganisationChanged
    for module in (cti.events, recordings.events):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, DomainEvent) and value.WIRE and value.__module__ == module.__name__:
                yield value


def join(settings: BusSettings, clock: Clock, feeds: Feeds) -> Between:
    """The shared parts, as the settings want them."""
    if settings.url == "memory":
        return Between(MemoryBus(), MemoryPresence(clock), feeds)
    from crm_core.kernel.redis_bus import RedisBus
    from crm_core.kernel.redis_feed import FeedMirror
    from crm_core.kernel.redis_link import connect
    from crm_core.kernel.redis_presence import RedisPresence

    redis = connect(settings.url)
    mirror = FeedMirror(redis, feeds)
    return Between(RedisBus(redis, Wire(event_types()), clock), RedisPresence(redis, clock), feeds, redis, [mirror])
