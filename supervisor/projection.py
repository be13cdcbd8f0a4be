"""The floor feed: every seat and queue of a unit as rows, kept from what happened. No I/O: it listens to the bus and changes feeds.

Numbers are masked in here for everybody: a board hangs on walls. The call's own page shows a number whole to those who may see it.
What changes is gathered for GATHER_S and told in slices: on a large floor something changes every millisecond, and eyes are slow. On a
floor that nobody looks at it is only noted what changed; that is drawn when somebody comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crm_core.kernel.bus import Bus
from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.gather import Gather
from crm_core.numbers import mask
from cti.events import (
    CallAnswered,
    CallerKnown,
    CallLeftQueue,
    CallOffered,
    CallQueued,
    CallStarted,
    Direction,
    PbxLinkChanged,
    SeatChanged,
)
from cti.services.hearing import hear
from cti.services.seats import Seats
from cti.services.sitting import Sitting

TABLES = ("seats", "queues", "figures", "health")
BUSY = ("ringing", "talking", "held", "wrap_up")
GROUPS = {"ready": "ready", **dict.fromkeys(BUSY, "busy"), "paused": "paused", "unreachable": "paused"}
GATHER_S, AT_ONCE, BREATH_S = 0.2, 16, 0.005
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
        self._ends: dict[int, tuple[str, str]] = {}  # of calls inside: who called whom
        self._queue_of: dict[int, str] = {}
        self._agents: dict[int, dict[int, dict[str, Any]]] = {}
        self._figures: dict[int, dict[str, dict[str, Any]]] = {}
        self._group_of: dict[int, tuple[int, tuple[str, ...], str]] = {}
        self._there: dict[tuple[int, str], Counter[str]] = {}
        self._unseen: dict[int, dict[tuple[int, str, str], None]] = {}
        self._due: Gather[tuple[int, str, str]] = Gather(self._tell, wait_s=GATHER_S, at_once=AT_ONCE, breath_s=BREATH_S)
        hear(bus, SeatChanged, self._seat)
        hear(bus, CallStarted, self._started)
        hear(bus, CallerKnown, self._known)
        hear(bus, CallQueued, self._queued)
        hear(bus, CallLeftQueue, self._left_queue)
        hear(bus, CallOffered, self._came_by)
        hear(bus, CallAnswered, self._came_by)
        hear(bus, PbxLinkChanged, self._link)

    def feed(self, unit_id: int) -> Feed:
        """The floor of a unit as it is now."""
        feed = self._open(unit_id)
        unseen = self._unseen.pop(unit_id, None)
        if unseen:
            self._tell(list(unseen))
        return feed

    def _open(self, unit_id: int) -> Feed:
        """The feed of a floor, filled from what is known when it is new."""
        address = FeedAddress(unit_id, "floor")
        feed = self._feeds.find(address)
        if feed is None:
            feed = self._feeds.open(address)
            seats = [("seats", str(user_id), self._seat_row(unit_id, user_id)) for user_id in self._people(unit_id)]
            queues = [("queues", name, self._queue_row(unit_id, name)) for name, _ in self._queues(unit_id)]
            feed.change("floor.opened", [*seats, *queues, ("health", "pbx", dict(self._pbx_up(unit_id)))])
        return feed

    def _changed(self, unit_id: int, keys: Iterable[tuple[str, str]]) -> None:
        """These rows, named by table and key, are no longer what they were."""
        feed = self._feeds.find(FeedAddress(unit_id, "floor"))
        if feed is not None and (feed.joined or feed.mirror):
            self._due.add((unit_id, table, key) for table, key in keys)
        elif feed is not None:
            self._unseen.setdefault(unit_id, {}).update(dict.fromkeys((unit_id, table, key) for table, key in keys))

    def _seat(self, event: SeatChanged) -> None:
        sitting = self._seats.of_user(event.user_id)
        names = tuple(name for name, _ in sitting.queues) if sitting else ()
        moved = self._regroup(event, names)
        self._changed(event.unit_id, [("seats", str(event.user_id)), *(("queues", name) for name in moved)])

    def _regroup(self, event: SeatChanged, names: tuple[str, ...]) -> tuple[str, ...]:
        """Count the seat where it belongs now; the queues whose counts changed."""
        now = (event.unit_id, names, GROUPS.get(event.state, ""))
        before = self._group_of.get(event.user_id)
        if before == now:
            return ()
        for unit_id, queues, group, step in ((*before, -1), (*now, 1)) if before is not None else ((*now, 1),):
            for name in queues:
                self._there.setdefault((unit_id, name), Counter())[group] += step
        self._group_of[event.user_id] = now
        return tuple({*names, *(before[1] if before is not None else ())})

    def _tell(self, keys: list[tuple[int, str, str]]) -> None:
        for unit_id in {key[0] for key in keys}:
            people = self._people(unit_id)
            seats = [
                ("seats", key, self._seat_row(unit_id, int(key)))
                for u, t, key in keys
                if u == unit_id and t == "seats" and int(key) in people
            ]
            queues = [("queues", key, self._queue_row(unit_id, key)) for u, t, key in keys if u == unit_id and t == "queues"]
            self._open(unit_id).change("floor.changed", [*seats, *queues])

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
                "queue": "",
                "queue_title": "",
            }
        call_id = s.call_id if s.call_id is not None else s.wrap_up_call
        return {
            **base, "extension": s.extension, "state": s.state.value, "since": _ms(s.since), "reason": s.reason, "next": s.intent.next_state,
            "with": self._other_side(call_id, s) if call_id is not None and s.state.value in BUSY else None,
            "queue": self._queue_of.get(call_id or 0, "") if s.state.value in BUSY else "",
            "queue_title": self._titles(s.pbx_id, self._queue_of.get(call_id or 0, "")) if s.state.value in BUSY else "",
        }  # fmt: skip

    def _other_side(self, call_id: int, s: Sitting) -> dict[str, Any] | None:
        """Whom a seat's call is with; of a call inside it is whichever of the two is not this seat, with who sits there."""
        seen = self._with.get(call_id)
        ends = self._ends.get(call_id)
        if seen is None or ends is None:
            return seen
        number = ends[1] if ends[0] == s.extension else ends[0]
        there = self._seats.at(s.pbx_id, number)
        return {**seen, "number": number, "name": there.user_name if there is not None else ""}

    def _started(self, event: CallStarted) -> None:
        outside = event.dialed if event.direction is Direction.OUTBOUND else event.caller
        self._with[event.call_id] = {"number": mask(outside), "name": "", "direction": event.direction.value}
        if event.direction is Direction.INTERNAL:
            self._ends[event.call_id] = (event.caller, event.dialed)

    def _queued(self, event: CallQueued) -> None:
        self._queue_of[event.call_id] = event.queue
        entry = {"call_id": str(event.call_id), "since": _ms(event.at), "position": event.position}
        self._waiting.setdefault((event.unit_id, event.queue), {})[event.call_id] = entry
        self._changed(event.unit_id, [("queues", event.queue)])

    def _left_queue(self, event: CallLeftQueue) -> None:
        self._waiting.get((event.unit_id, event.queue), {}).pop(event.call_id, None)
        self._changed(event.unit_id, [("queues", event.queue)])

    def _came_by(self, event: CallOffered | CallAnswered) -> None:
        if event.queue:
            self._queue_of[event.call_id] = event.queue

    def _known(self, event: CallerKnown) -> None:
        seen = self._with.setdefault(event.call_id, {"number": "", "name": "", "direction": "inbound"})
        seen["number"] = event.shown if event.kind == "internal" else mask(event.shown)
        names = {m.customer for m in event.matches}
        seen["name"] = next(iter(names)) if len(names) == 1 else ""
        queue = self._queue_of.get(event.call_id)
        if queue and event.call_id in self._waiting.get((event.unit_id, queue), {}):
            self._changed(event.unit_id, [("queues", queue)])

    def forget_call(self, call_id: int) -> None:
        """A call is over and booked."""
        self._with.pop(call_id, None)
        self._ends.pop(call_id, None)
        self._queue_of.pop(call_id, None)
        for entries in self._waiting.values():
            entries.pop(call_id, None)

    def _queue_row(self, unit_id: int, name: str) -> dict[str, Any]:
        waiting = self._waiting.get((unit_id, name), {})
        entries = [
            {**entry, **{k: v for k, v in self._with.get(call_id, {}).items() if k != "direction"}}
            for call_id, entry in waiting.items()
        ]
        entries = [{"number": "", "name": "", **e} for e in entries]
        there = self._there.get((unit_id, name), Counter())
        return {
            "title": self._title(unit_id, name), "waiting": len(entries), "entries": entries,
            "longest_since": min((e["since"] for e in entries if e["since"] is not None), default=None),
            "ready": there["ready"], "busy": there["busy"], "paused": there["paused"],
            "figures": self._figures.get(unit_id, {}).get(name, {}),
        }  # fmt: skip

    def _title(self, unit_id: int, queue: str) -> str:
        return next((title for name, title in self._queues(unit_id) if name == queue), queue)

    def waiting(self, unit_id: int, queue: str) -> dict[str, Any]:
        """What an agent's desk says of a queue."""
        waits = self._waiting.get((unit_id, queue), {}).values()
        longest = min((e["since"] for e in waits if e["since"] is not None), default=None)
        return {"title": self._title(unit_id, queue), "waiting": len(waits), "longest_since": longest}

    def take_figures(
        self, unit_id: int, queues: dict[str, dict[str, Any]], agents: dict[int, dict[str, Any]], whole: dict[str, Any]
    ) -> None:  # fmt: skip
        """The day's figures changed."""
        before, old = self._figures.get(unit_id, {}), self._agents.get(unit_id, {})
        self._figures[unit_id], self._agents[unit_id] = queues, {**old, **agents}
        self._changed(unit_id, (("queues", name) for name, row in queues.items() if row != before.get(name)))
        self._changed(unit_id, (("seats", str(user_id)) for user_id, row in agents.items() if row != old.get(user_id)))
        self._open(unit_id).change("figures.changed", [("figures", "all", whole)])

    def _link(self, event: PbxLinkChanged) -> None:
        row = {"up": event.up, "since": _ms(event.at), "why": event.why}
        self._open(event.unit_id).change(event.WIRE, [("health", "pbx", row)])


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
