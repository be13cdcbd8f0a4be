"""Presence of several processes over one Redis.

Each process writes what it holds and reads who is there in one script, twice a second. Redis' own clock counts, so
the clocks of the processes need not agree. Time in which nobody could reach Redis does not count against anybody who
is held elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from crm_core.kernel.clock import Clock
from crm_core.kernel.presence import SWEEP_S, Gone, Hooks
from crm_core.kernel.redis_link import Client, keep_up

_MARGIN_S = 2.0

# KEYS: who until when; what expired; when somebody last looked; version of who is here.
# ARGV: version known here; last expiry known here ("" at first); number of holds; key, ms …; keys that left …
# Answer: version, members (none where the version is known), last expiry, expired keys.
_STEP = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local seen = tonumber(redis.call('GET', KEYS[3]) or now)
local changed = false
if now - seen > 5000 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], now - seen, key) end
end
redis.call('SET', KEYS[3], now)
local at, holds = 4, tonumber(ARGV[3])
for _ = 1, holds do
  if redis.call('ZADD', KEYS[1], 'GT', now + ARGV[at + 1], ARGV[at]) == 1 then changed = true end
  at = at + 2
end
for i = at, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then changed = true end
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], key)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'key', key)
  changed = true
end
local last, gone = ARGV[2], {}
if last == '' then
  local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or '0-0'
else
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. last, '+')) do
    last = entry[1]
    gone[#gone + 1] = entry[2][2]
  end
end
local version = redis.call('GET', KEYS[4])
if changed or not version then
  version = string.format('%.0f', math.max(now, tonumber(version or 0) + 1))
  redis.call('SET', KEYS[4], version)
end
if version == ARGV[1] then return {version, {}, last, gone} end
return {version, redis.call('ZRANGE', KEYS[1], 0, -1), last, gone}
"""

log = structlog.get_logger(__name__)


class RedisPresence:
    """Presence shared by all processes that use the same `name`.

    While Redis is away `here` goes on with what was known, what this process holds is counted by its own clock, and
    what expires here is told here; the others are told when Redis is back.
    """

    def __init__(self, redis: Client, clock: Clock, name: str = "lingxi:presence") -> None:
        self._clock = clock
        self._script = redis.register_script(_STEP)
        self._keys = [name, f"{name}:gone", f"{name}:seen", f"{name}:version"]
        self._own: dict[str, tuple[float, float]] = {}  # key: held at, until, both by our monotonic clock
        self._unsaid: dict[str, float | None] = {}  # key: until; None: left
        self._here: frozenset[str] = frozenset()
        self._version, self._last = "", ""
        self._told: set[str] = set()
        self._up = False
        self._back_at = clock.monotonic()
        self._hooks = Hooks()

    def hold(self, key: str, ttl_s: float) -> None:
        now = self._clock.monotonic()
        until = max(now + ttl_s, self._own.get(key, (now, now))[1])
        self._own[key] = (now, until)
        self._unsaid[key] = until
        self._told.discard(key)

    def leave(self, key: str) -> None:
        self._own.pop(key, None)
        self._unsaid[key] = None

    def here(self, prefix: str = "") -> list[str]:
        now = self._clock.monotonic()
        left = {key for key, until in self._unsaid.items() if until is None}
        ours = {key for key, (_, until) in self._own.items() if until > now}
        return sorted(key for key in (self._here - left - self._told) | ours if key.startswith(prefix))

    def on_gone(self, hook: Gone) -> Callable[[], None]:
        return self._hooks.add(hook)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_up("presence", self._follow))
            tasks.create_task(self._watch_own())

    async def _follow(self, stands: Callable[[], None]) -> None:
        self._unsaid.update({key: until for key, (_, until) in self._own.items() if key not in self._unsaid})
        try:
            while True:
                await self._step()
                if not self._up:
                    self._up, self._back_at = True, self._clock.monotonic()
                stands()
                await asyncio.sleep(SWEEP_S)
        finally:
            self._up = False

    async def _step(self) -> None:
        said, now = dict(self._unsaid), self._clock.monotonic()
        holds = [(key, max(1, int((until - now) * 1000))) for key, until in said.items() if until is not None]
        left = [key for key, until in said.items() if until is None]
        words: list[Any] = [self._version, self._last, len(holds), *(word for pair in holds for word in pair), *left]
        version, members, last, gone = await self._script(keys=self._keys, args=words)
        for key, until in said.items():
            if self._unsaid.get(key, 0.0) == until:
                del self._unsaid[key]
        if version.decode() != self._version:
            self._version, self._here = version.decode(), frozenset(member.decode() for member in members)
        self._last = last.decode()
        for key in gone:
            self._expired(key.decode())

    def _expired(self, key: str) -> None:
        """Redis says that a key expired; unless it is held here again, or was told already, tell it."""
        _, until = self._own.get(key, (0.0, 0.0))
        if until > self._clock.monotonic():
            self._unsaid.setdefault(key, until)
            return
        self._own.pop(key, None)
        if key in self._told:
            self._told.discard(key)
        else:
            self._hooks.call(key)

    async def _watch_own(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep_own()

    def sweep_own(self) -> None:
        """Tell of what was held here and expired while Redis could not see it; what Redis saw, Redis tells."""
        now = self._clock.monotonic()
        for key, (held_at, until) in list(self._own.items()):
            if until + _MARGIN_S > now:
                continue
            del self._own[key]
            self._unsaid.pop(key, None)
            if not self._up or (held_at < self._back_at and key not in self._here):
                self._told.add(key)
                self._hooks.call(key)
