"""The store of leases for several processes: one Redis, whose clock counts.

Epochs are at least the milliseconds of Redis' clock, so they go on growing when Redis has lost everything. In that
case two processes may hold one lease until the former one asks again (a third of the lease's time): the epochs tell
them apart.
"""

from __future__ import annotations

from crm_core.kernel.redis_link import Client, heed_cancellation

# KEYS: holder, epoch. ARGV: holder, ms.
_TAKE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now)
local text = string.format('%.0f', epoch)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. text, 'PX', ARGV[2])
return text
"""

# KEYS as above. ARGV: holder:epoch, ms, epoch. A lease that merely ran out is taken up again while nobody else had it.
_RENEW = """
local now, last = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if now and now ~= ARGV[1] then return 0 end
if not now and last and last ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1"


class RedisLeaseStore:
    """Leases shared by all processes that use the same `prefix`."""

    def __init__(self, redis: Client, prefix: str = "lingxi:lease") -> None:
        self._prefix = prefix
        self._take = redis.register_script(_TAKE)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)

    async def take(self, name: str, holder: str, ttl_s: float) -> int | None:
        answer = await self._take(keys=self._keys(name), args=[holder, _ms(ttl_s)])
        heed_cancellation()
        return None if answer is None else int(answer)

    async def renew(self, name: str, holder: str, epoch: int, ttl_s: float) -> bool:
        answer = await self._renew(keys=self._keys(name), args=[f"{holder}:{epoch}", _ms(ttl_s), str(epoch)])
        heed_cancellation()
        return bool(answer)

    async def release(self, name: str, holder: str, epoch: int) -> None:
        await self._release(keys=self._keys(name), args=[f"{holder}:{epoch}"])

    def _keys(self, name: str) -> list[str]:
        return [f"{self._prefix}:{name}", f"{self._prefix}:{name}:epoch"]


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
