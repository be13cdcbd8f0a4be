"""How a part of the product hears what happened: one handler for one kind of event, called for nothing else.

The bus finds who hears an event once for each topic, so that nobody is asked about events that mean nothing to them. What must be known
of an event beside its kind is the handler's to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crm_core.kernel.bus import Bus, Unsubscribe
from cti.events import DomainEvent

E = TypeVar("E", bound=DomainEvent)


def hear(bus: Bus, kind: type[E], handler: Callable[[E], None]) -> Unsubscribe:
    """Call `handler` with every event of this kind, of all units and PBXs, inside `publish`: it must cost microseconds."""

    def take(_topic: str, event: object) -> None:
        if isinstance(event, kind):
            handler(event)

    take.__qualname__ = getattr(handler, "__qualname__", type(handler).__qualname__)
    return bus.subscribe(f"unit.*.pbx.*.{kind.WIRE}", take)
