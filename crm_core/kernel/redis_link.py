"""The link to Redis: one client made the same way for all, and the loop that comes back after a break.

Redis carries fan-out only and is never the truth: whoever uses this link goes on working while it is away. It holds
no topic, feed or lease; those are in `redis_bus`, `redis_feed`, `redis_presence` and `redis_leases`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

Client = Redis
Failures = (RedisError, OSError, asyncio.TimeoutError)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0

log = structlog.get_logger(__name__)


def connect(url: str) -> Client:
    """A client for the server at `url`.

    Opens nothing yet; a call to a server that is away fails within seconds, not minutes.
    """
    client: Client = Redis.from_url(
        url,
        socket_connect_timeout=2.0,
        socket_timeout=5.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),  # `keep_up` is the one place that tries again
    )
    return client


async def keep_up(what: str, once: Callable[[Callable[[], None]], Awaitable[Any]]) -> None:
    """Run `once` for ever, again after every failure of Redis, with growing pauses (50 ms to 2 s, jittered).

    `once` is given a function to call after every success: it makes the next pause short again and heeds
    cancellation. The first failure and the return are logged, the tries between are not. Other errors than those of
    Redis go to the caller.
    """
    pause, away = FIRST_PAUSE_S, False

    def stands() -> None:
        nonlocal pause, away
        pause = FIRST_PAUSE_S
        if away:
            log.info("Redis is back.", what=what)
        away = False
        heed_cancellation()

    while True:
        try:
            await once(stands)
        except Failures as failure:
            if not away:
                log.warning("Redis is away; going on without it.", what=what, why=str(failure) or type(failure).__name__)
            away = True
        heed_cancellation()
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, LONGEST_PAUSE_S)


def heed_cancellation() -> None:
    """Raise CancelledError if this task is being cancelled. To be called after every call to Redis in a loop.

    redis-py 8.1 takes about one cancellation in ten for a time-out of its own (seen with Python 3.11): the call
    returns as if nothing had been asked, and a loop around it would go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
