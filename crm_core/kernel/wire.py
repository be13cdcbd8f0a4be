"""The wire: events as versioned JSON, for the bus between processes and for journals.

A registry of wire name → dataclass or struct, filled by the composition root; it knows no event by itself. It is not the shape
of any public interface: REST and webhooks have their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import msgspec

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownOnWire(LookupError):
    """A message whose name, or whose version, this program does not know. The sentence says which."""


class Wire:
    """Encodes events to (name, version, body) and back. Events are frozen dataclasses or structs with WIRE and VERSION."""

    def __init__(self, types: Iterable[type] = (), upgrades: Mapping[tuple[str, int], Upgrade] | None = None) -> None:
        """`upgrades` maps (name, old version) to a function that turns a body of that version into the next one's."""
        self._types: dict[str, type] = {}
        self._upgrades = dict(upgrades or {})
        for one in types:
            self.add(one)

    def add(self, event_type: type) -> None:
        """Make a type known. Raises ValueError for a type without a wire name, or a name that is taken."""
        name = getattr(event_type, "WIRE", "")
        if not name or not (is_dataclass(event_type) or issubclass(event_type, msgspec.Struct)):
            raise ValueError(f"{event_type.__qualname__} is no event: it needs to be a dataclass or struct with a WIRE name")
        if self._types.get(name, event_type) is not event_type:
            raise ValueError(f"two events are called {name}: {self._types[name].__qualname__}, {event_type.__qualname__}")
        self._types[name] = event_type

    def knows(self, event: object) -> bool:
        """Whether this event can travel. One that is not registered stays in its process."""
        return self._types.get(getattr(event, "WIRE", "")) is type(event)

    def encode(self, event: object) -> tuple[str, int, Any]:
        """Name, version and body (plain JSON types) of an event. Raises UnknownOnWire where `knows` says no."""
        if not self.knows(event):
            raise UnknownOnWire(f"{type(event).__qualname__} is not registered on the wire")
        return event.WIRE, getattr(event, "VERSION", 1), msgspec.to_builtins(event)  # type: ignore[attr-defined]

    def decode(self, name: str, version: int, body: Any) -> object:
        """The event again. Raises UnknownOnWire for a strange name or version, ValueError for a body that does not
        fit.
        """
        event_type = self._types.get(name)
        if event_type is None:
            raise UnknownOnWire(f"no event is called {name!r}")
        wanted = getattr(event_type, "VERSION", 1)
        while version < wanted:
            upgrade = self._upgrades.get((name, version))
            if upgrade is None:
                break
            body, version = upgrade(body), version + 1
        if version != wanted:
            raise UnknownOnWire(f"{name} comes in version {version}, known is {wanted}")
        return msgspec.convert(body, event_type)
