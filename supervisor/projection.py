"""The floor feed: every seat and queue of a unit as rows, kept from what happened. No I/O: it listens to the bus and changes feeds.

Numbers are masked in here for everybody: a board hangs on walls. The call's own page shows a number whole to those who may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crm_core.kernel.bus import Bus
from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds
from crm_core.numbers import mask
from cti.events import CallAnswered, CallerKnown, CallLeftQueue, CallOffered, CallQueued, CallStarted, PbxLinkChanged, SeatChanged
from cti.services.seats import Seats, Sitting

TABLES = ("seats", "queues", "figures", "health")
BUSY = ("ringing", "talking", "held", "wrap_up")
Person = dict[str, Any]


class Floors:
    """The floors of all units in this process."""

    def __init__(
        self, bus: Bus, feeds: Feeds, seats: Seats, people: Callable[[int], Mapping[int, Person]], queues: Callable[[int], list[tuple[str, str]]],
        titles: Callable[[int, str], str], pbx_up: Callable[[int], Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self._feeds, self._seats, self._people, self._queues, self._titles, self._pbx_up = (
            feeds,
            seats,
            people,
            queues,
            titles,
            pbx_up,
        )
        self._waiting: dict[tuple[int, str], dict[int, dict[str, Any]]] = {}
        self._with: dict[int, dict[str, Any]] = {}
        self._queue_of: dict[int, str] = {}
        self._agents: dict[int, dict[int, dict[str, Any]]] = {}
        self._figures: dict[int, dict[str, dict[str, Any]]] = {}
        bus.subscribe("unit.*.pbx.*.seat.changed", self._seat)
        bus.subscribe("unit.*.pbx.*.call", self._call)
        bus.subscribe("unit.*.pbx.*.pbx.link", self._link)

    def feed(self, unit_id: int) -> Feed:
        """The floor of a unit, filled from what is known when it is new."""
        address = FeedAddress(unit_id, "floor")
        feed = self._feeds.find(address)
        if feed is None:
            feed = self._feeds.open(address)
            seats = [("seats", str(user_id), self._seat_row(unit_id, user_id)) for user_id in self._people(unit_id)]
            queues = [("queues", name, self._queue_row(unit_id, name)) for name, _ in self._queues(unit_id)]
            feed.change("floor.opened", [*seats, *queues, ("health", "pbx", dict(self._pbx_up(unit_id)))])
        return feed

    def _seat(self, _topic: str, event: object) -> None:
        if not isinstance(event, SeatChanged):
            return
        sitting = self._seats.of_user(event.user_id)
        names = [name for name, _ in sitting.queues] if sitting else []
        self.feed(event.unit_id).change(
            event.WIRE,
            [("seats", str(event.user_id), self._seat_row(event.unit_id, event.user_id))]
            + [("queues", name, self._queue_row(event.unit_id, name)) for name in names],
        )

    def _seat_row(self, unit_id: int, user_id: int) -> dict[str, Any]:
        person = self._people(unit_id)[user_id]
        s = self._seats.of_user(user_id)
        figures = self._agents.get(unit_id, {}).get(user_id, {})
        handled, aht = figures.get("handled"), figures.get("aht")
        base = {
            "name": person["name"], "team": person["team"], "calls": handled["value"] if handled else 0, "aht_s": aht["value"] if aht else None,
            "href": handled["href"] if handled else f"/calls?agent={user_id}",
        }  # fmt: skip
        if s is None or s.state.value == "signed_out":
            since = s.since if s else person.get("signed_out_at")
            return {
                **base,
                "extension": "",
                "state": "signed_out",
                "since": _ms(since),
                "reason": "",
                "next": "",
                "with": None,
                "queue_title": "",
            }
        call_id = s.call_id if s.call_id is not None else s.wrap_up_call
        return {
            **base, "extension": s.extension, "state": s.state.value, "since": _ms(s.since), "reason": s.reason, "next": s.intent.next_state,
            "with": self._with.get(call_id) if call_id is not None and s.state.value in BUSY else None,
            "queue_title": self._titles(s.pbx_id, self._queue_of.get(call_id or 0, "")) if s.state.value in BUSY else "",
        }  # fmt: skip

    def _call(self, _topic: str, event: object) -> None:
        match event:
            case CallStarted():
                outside = event.dialed if event.direction.value == "outbound" else event.caller
                self._with[event.call_id] = {"number": mask(outside), "name": "", "direction": event.direction.value}
            case CallerKnown():
                self._known(event)
            case CallQueued():
                self._queue_of[event.call_id] = event.queue
                entry = {"call_id": str(event.call_id), "since": _ms(event.at), "position": event.position}
                self._waiting.setdefault((event.unit_id, event.queue), {})[event.call_id] = entry
                self._tell_queue(event.WIRE, event.unit_id, event.queue)
            case CallLeftQueue():
                self._waiting.get((event.unit_id, event.queue), {}).pop(event.call_id, None)
                self._tell_queue(event.WIRE, event.unit_id, event.queue)
            case CallOffered() | CallAnswered() if event.queue:
                self._queue_of[event.call_id] = event.queue

    def _known(self, event: CallerKnown) -> None:
        seen = self._with.setdefault(event.call_id, {"number": "", "name": "", "direction": "inbound"})
        seen["number"] = event.shown if event.kind == "internal" else mask(event.shown)
        names = {m.customer for m in event.matches}
        seen["name"] = next(iter(names)) if len(names) == 1 else ""
        queue = self._queue_of.get(event.call_id)
        if queue and event.call_id in self._waiting.get((event.unit_id, queue), {}):
            self._tell_queue(event.WIRE, event.unit_id, queue)

    def forget_call(self, call_id: int) -> None:
        """A call is over and booked."""
        self._with.pop(call_id, None)
        self._queue_of.pop(call_id, None)
        for entries in self._waiting.values():
            entries.pop(call_id, None)

    def _tell_queue(self, wire: str, unit_id: int, queue: str) -> None:
        self.feed(unit_id).change(wire, [("queues", queue, self._queue_row(unit_id, queue))])

    def _queue_row(self, unit_id: int, name: str) -> dict[str, Any]:
        waiting = self._waiting.get((unit_id, name), {})
        entries = [
            {**entry, **{k: v for k, v in self._with.get(call_id, {}).items() if k != "direction"}}
            for call_id, entry in waiting.items()
        ]
        entries = [{"number": "", "name": "", **e} for e in entries]
        there = [s for s in self._seats.all(unit_id) if any(q == name for q, _ in s.queues)]
        titles = dict(self._queues(unit_id))
        return {
            "title": titles.get(name, name), "waiting": len(entries), "entries": entries,
            "longest_since": min((e["since"] for e in entries if e["since"] is not None), default=None),
            "ready": _count(there, ("ready",)), "busy": _count(there, BUSY), "paused": _count(there, ("paused", "unreachable")),
            "figures": self._figures.get(unit_id, {}).get(name, {}),
        }  # fmt: skip

    def waiting(self, unit_id: int, queue: str) -> dict[str, Any]:
        """What an agent's desk says of a queue."""
        row = self._queue_row(unit_id, queue)
        return {"title": row["title"], "waiting": row["waiting"], "longest_since": row["longest_since"]}

    def take_figures(
        self, unit_id: int, queues: dict[str, dict[str, Any]], agents: dict[int, dict[str, Any]], whole: dict[str, Any]
    ) -> None:  # fmt: skip
        """The day's figures changed."""
        self._figures[unit_id], self._agents[unit_id] = queues, agents
        feed = self.feed(unit_id)
        feed.change(
            "figures.changed",
            [("queues", name, self._queue_row(unit_id, name)) for name, _ in self._queues(unit_id)]
            + [("seats", str(u), self._seat_row(unit_id, u)) for u in self._people(unit_id)]
            + [("figures", "all", whole)],
        )

    def _link(self, _topic: str, event: object) -> None:
        if isinstance(event, PbxLinkChanged):
            row = {"up": event.up, "since": _ms(event.at), "why": event.why}
            self.feed(event.unit_id).change(event.WIRE, [("health", "pbx", row)])


def _count(sittings: list[Sitting], states: tuple[str, ...]) -> int:
    return sum(1 for s in sittings if s.state.value in states)


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
