"""Leases: one active process a task, as with the one CTI process of a PBX, and a standby that takes over.

A lease has a name, which holds the business unit and PBX, and an epoch that grows with every change of hands: whoever
is asked to act compares epochs and refuses an older one. A lease is a promise about time, not a lock: after a pause
of any length ask `held` before acting. This module has the rules and the store of a single process; the store of
several is `redis_leases`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from crm_core.kernel.clock import Clock

_TICK_S = 0.1
_RENEWALS = 3  # a lease is renewed this often within its time

log = structlog.get_logger(__name__)


class LeaseStore(Protocol):
    """Where it is written who holds what. Errors of the store are raised; nobody gets or keeps a lease by them."""

    async def take(self, name: str, holder: str, ttl_s: float) -> int | None:
        """The new epoch, larger than every one before; None where somebody holds it."""
        ...

    async def renew(self, name: str, holder: str, epoch: int, ttl_s: float) -> bool:
        """Hold it for `ttl_s` from now; False where somebody else has had it since."""
        ...

    async def release(self, name: str, holder: str, epoch: int) -> None:
        """Give it back, if it is still ours."""
        ...


@dataclass(slots=True, eq=False)
class Lease:
    """A lease that was taken. Renewed by `Leases.run` until it is lost or released."""

    name: str
    epoch: int
    ttl_s: float
    _clock: Clock = field(repr=False)
    _on_lost: Callable[[Lease], None] = field(repr=False)
    until: float
    over: bool = False

    @property
    def held(self) -> bool:
        """Whether it is certainly still ours at this instant, by our own clock."""
        return not self.over and self._clock.monotonic() < self.until


class Leases:
    """Takes and keeps leases for one process."""

    def __init__(self, store: LeaseStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._leases: dict[Lease, float] = {}  # lease: when to renew

    async def take(self, name: str, ttl_s: float, on_lost: Callable[[Lease], None]) -> Lease | None:
        """The lease, or None where somebody has it. `on_lost(lease)` is called once, when it is no longer certainly
        ours.

        Raises what the store raises. Needs `run` to be running, or the lease ends after `ttl_s`.
        """
        begun = self._clock.monotonic()
        epoch = await self._store.take(name, self._holder, ttl_s)
        if epoch is None:
            return None
        lease = Lease(name, epoch, ttl_s, self._clock, on_lost, until=begun + ttl_s)
        self._leases[lease] = begun + ttl_s / _RENEWALS
        log.info("A lease was taken.", lease=name, epoch=epoch)
        return lease

    async def wait(self, name: str, ttl_s: float, on_lost: Callable[[Lease], None]) -> Lease:
        """Stand by until the lease is ours; a store that is away is asked again."""
        while True:
            try:
                lease = await self.take(name, ttl_s, on_lost)
            except Exception as failure:
                log.warning("A lease could not be asked for.", lease=name, why=str(failure) or type(failure).__name__)
                lease = None
            if lease is not None:
                return lease
            await asyncio.sleep(ttl_s / (2 * _RENEWALS))

    async def release(self, lease: Lease) -> None:
        """Give it back; `on_lost` is not called. Raises what the store raises; the lease is over in any case."""
        self._leases.pop(lease, None)
        lease.over = True
        await self._store.release(lease.name, self._holder, lease.epoch)

    async def run(self) -> None:
        """Renew what is held until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(_TICK_S)

    async def step(self) -> None:
        """Renew what is due and let go what is lost, once."""
        now = self._clock.monotonic()
        due = [lease for lease, at in self._leases.items() if at <= now]
        await asyncio.gather(*(self._renew(lease) for lease in due))

    async def _renew(self, lease: Lease) -> None:
        begun = self._clock.monotonic()
        left = lease.until - begun
        if left <= 0:
            self._lose(lease, "it could not be renewed in time")
            return
        try:
            async with asyncio.timeout(min(left, lease.ttl_s / _RENEWALS)):
                ours = await self._store.renew(lease.name, self._holder, lease.epoch, lease.ttl_s)
        except Exception as failure:
            log.warning("A lease could not be renewed yet.", lease=lease.name, why=str(failure) or type(failure).__name__)
            if lease in self._leases:
                self._leases[lease] = begun + lease.ttl_s / (4 * _RENEWALS)
            return
        if not ours:
            self._lose(lease, "somebody else took it")
        elif lease in self._leases:
            lease.until = begun + lease.ttl_s
            self._leases[lease] = begun + lease.ttl_s / _RENEWALS

    def _lose(self, lease: Lease, why: str) -> None:
        if self._leases.pop(lease, None) is None:
            return
        lease.over = True
        log.error("A lease was lost.", lease=lease.name, epoch=lease.epoch, why=why)
        try:
            lease._on_lost(lease)
        except Exception:
            log.exception("The hook for a lost lease failed.", lease=lease.name)


class MemoryLeaseStore:
    """Who holds what within one process: shared by all `Leases` that are given it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._holders: dict[str, tuple[str, int, float]] = {}
        self._epochs: dict[str, int] = {}

    async def take(self, name: str, holder: str, ttl_s: float) -> int | None:
        now = self._clock.monotonic()
        if name in self._holders and self._holders[name][2] > now:
            return None
        epoch = self._epochs[name] = max(self._epochs.get(name, 0) + 1, int(self._clock.now() * 1000))
        self._holders[name] = (holder, epoch, now + ttl_s)
        return epoch

    async def renew(self, name: str, holder: str, epoch: int, ttl_s: float) -> bool:
        if self._holders.get(name, ("", 0, 0.0))[:2] != (holder, epoch):
            return False
        self._holders[name] = (holder, epoch, self._clock.monotonic() + ttl_s)
        return True

    async def release(self, name: str, holder: str, epoch: int) -> None:
        if self._holders.get(name, ("", 0, 0.0))[:2] == (holder, epoch):
            del self._holders[name]
