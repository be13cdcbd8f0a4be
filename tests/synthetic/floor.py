"""The inside of the PBX at one moment: channels, bridges, queues with their members, phones; and what it says when they change.

No socket and no clock of its own. What calls do is decided by the scripts; whether a member may be offered a call by what the
product told us of it (added, removed, paused) and by the guard of wrap-up that runs in the product's dialplan.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from tests.synthetic import words
from tests.synthetic.clockwork import Clockwork, Task

DOWN, RING, RINGING, UP = 0, 4, 5, 6
UNKNOWN: Final = "<unknown>"
BEAT_FRESH_S: Final = 10
GUARD_REASON: Final = "WrapUp"
NOTED_APPS: Final = ("Queue", "Dial")
Say = Callable[[str, str, str], None]
"""Class of the event, its text, and what orders it: events of one channel keep their order."""


class Records(Protocol):
    """Asterisk's own books, kept beside."""

    def cel(self, at: float, name: str, c: Channel, own: str, extra: dict[str, object] | None, peer: str) -> None: ...
    def queue_log(self, at: float, call: str, queue: str, agent: str, name: str, *data: object) -> None: ...


@dataclass(slots=True, eq=False, kw_only=True)
class Bridge:
    """Those in it hear one another."""

    uniqueid: str
    channels: list[Channel] = field(default_factory=list)


@dataclass(slots=True, eq=False, kw_only=True)
class Channel:
    """One party's connection. `task` is the script it belongs to; `told_to_end` is set by an action of the product."""

    name: str
    uniqueid: str
    linkedid: str
    seat: str
    state: int
    number: str
    caller: str
    context: str
    exten: str
    dialed: str
    since: float
    other_number: str = UNKNOWN
    other: str = UNKNOWN
    priority: int = 1
    application: str = ""
    data: str = ""
    bridge: Bridge | None = None
    task: Task | None = None
    told_to_end: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Member:
    """A seat that takes calls of a queue."""

    seat: str
    name: str
    penalty: int
    paused: bool
    reason: str
    since: float
    taken: int = 0
    last_call: float = 0.0
    last_pause: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class Queue:
    """A waiting line with its rules. Durations in seconds."""

    name: str
    ring_s: float = 15.0
    retry_s: float = 1.0
    max_wait_s: float = 60.0
    members: dict[str, Member] = field(default_factory=dict)
    waiting: list[Channel] = field(default_factory=list)
    joined: dict[str, float] = field(default_factory=dict)  # by channel, the host's clock
    rung_for: set[str] = field(default_factory=set)  # the channels for which a member is being rung
    turn: int = 0

    def in_line(self) -> list[Channel]:
        """Those for whom nobody is being rung, in order."""
        return [c for c in self.waiting if c.uniqueid not in self.rung_for]


class Floor:
    """Everything the PBX knows. `offset` is how much its clock is ahead of the host's."""

    def __init__(
        self, work: Clockwork, say: Say, records: Records | None, *, system: str, queues: list[Queue], phones: list[str], trunk: str, seed: int
    ) -> None:  # fmt: skip
        self.work, self._say, self.records = work, say, records
        self.system, self.trunk = system, trunk
        self.queues = {queue.name: queue for queue in queues}
        self.phones = dict.fromkeys(phones, True)
        self.offset = 0.0
        self.rng = random.Random(seed)
        self.channels: dict[str, Channel] = {}
        self.at_seat: dict[str, list[Channel]] = {}
        self.beat = 0.0
        self.guarded: set[str] = set()
        self._serial = self._names = 0
        self.booted = self.wall
        self._log_start()

    @property
    def wall(self) -> float:
        """The PBX's clock."""
        return self.work.now + self.offset

    def boot(self) -> None:
        """Begin anew: members, their pauses and the phones are remembered, everything else is gone."""
        self.channels.clear()
        self.at_seat.clear()
        for queue in self.queues.values():
            queue.waiting.clear()
            queue.joined.clear()
            queue.rung_for.clear()
        self.beat = 0.0
        self._serial = self._names = 0
        self.booted = self.wall
        self._log_start()

    def _log_start(self) -> None:
        if self.records is not None:
            self.records.queue_log(self.wall, "NONE", "NONE", "NONE", "QUEUESTART", "")

    def say(self, name: str, kind: str, body: str, c: Channel | None = None) -> None:
        """One event, now."""
        self._say(kind, words.event(name, kind, self.wall, self.system, body), c.uniqueid if c is not None else "")

    def about(self, name: str, c: Channel, more: str = "", kind: str = "call") -> None:
        """One event about a channel."""
        self.say(name, kind, words.party(c) + more, c)

    # -------------------------------------------------------------------------------------------------------- channels

    def open(
        self, *, seat: str = "", state: int, number: str, caller: str, exten: str, inward: bool, linked: Channel | None = None, uniqueid: str = ""
    ) -> Channel:  # fmt: skip
        """A channel comes into being; with `linked` on behalf of another one."""
        own = uniqueid or f"{self.system}-{int(self.wall)}.{self._serial}"
        self._serial += 1
        c = Channel(
            name=f"PJSIP/{seat or self.trunk}-{self._names:08x}", uniqueid=own, linkedid=linked.linkedid if linked else own, seat=seat,
            state=state, number=number, caller=caller, context="lingxi-seats" if seat else "lingxi-in", exten=exten,
            dialed=exten if inward else "", since=self.work.now, task=linked.task if linked else None,
        )  # fmt: skip
        self._names += 1
        self.channels[c.uniqueid] = c
        if seat:
            self.at_seat.setdefault(seat, []).append(c)
        self.about("Newchannel", c)
        self._cel("CHAN_START", c)
        return c

    def move(self, c: Channel, state: int) -> None:
        """A channel rings, or is up."""
        c.state = state
        self.about("Newstate", c)
        if state == UP:
            self._cel("ANSWER", c)

    def close(self, c: Channel, cause: int, technical: int = 0, *, by: Channel | None = None) -> None:
        """A channel is gone; `by` is who hung up."""
        self.about("Hangup", c, words.cause(cause, technical))
        del self.channels[c.uniqueid]
        source = by.name if by is not None else "" if c.seat else "dialplan/builtin"
        self.app_ends(c)
        self._cel("HANGUP", c, extra={"hangupcause": cause, "hangupsource": source, "dialstatus": ""})
        self._cel("CHAN_END", c)
        if not any(other.linkedid == c.linkedid for other in self.channels.values()):
            self._cel("LINKEDID_END", c)
        if c.seat:
            self.at_seat[c.seat].remove(c)
            self.device(c.seat)
            self.lift()
            self.freed(c.seat)
        else:
            self.say("DeviceStateChange", "call", words.device_item(f"PJSIP/{self.trunk}", "NOT_INUSE").partition("\r\n")[2])

    def app_begins(self, c: Channel, name: str, data: str) -> None:
        """The dialplan lets a channel do something; of some of it the event log takes note."""
        c.application, c.data = name, data
        if name in NOTED_APPS:
            self._cel("APP_START", c)

    def app_ends(self, c: Channel) -> None:
        """It is done, and the dialplan goes on."""
        if c.application in NOTED_APPS:
            self._cel("APP_END", c)
            c.application = c.data = ""

    def music(self, c: Channel, on: bool) -> None:
        """Music on hold begins or ends."""
        if on:
            self.about("MusicOnHoldStart", c, "Class: default\r\n")
            self._cel("STREAM_BEGIN", c, "MOH_STREAM_BEGIN", {"class": "default"})
        else:
            self.about("MusicOnHoldStop", c)
            self._cel("STREAM_END", c, "MOH_STREAM_END")

    def idle_phones(self) -> list[str]:
        """Phones that are registered and in no call."""
        return [seat for seat, there in self.phones.items() if there and not self.at_seat.get(seat)]

    def end(self, c: Channel) -> None:
        """The product asked for the end of a channel."""
        c.told_to_end = True
        if c.task is not None:
            self.work.wake(c.task)

    # --------------------------------------------------------------------------------------------------------- bridges

    def bridge(self) -> Bridge:
        """A bridge, empty yet."""
        made = Bridge(uniqueid=str(uuid.UUID(int=self.rng.getrandbits(128), version=4)))
        self.say("BridgeCreate", "call", words.bridge(made))
        return made

    def enter(self, b: Bridge, c: Channel) -> None:
        """A channel goes in."""
        peer = ",".join(other.name for other in b.channels)
        b.channels.append(c)
        c.bridge = b
        self.about_bridge("BridgeEnter", b, c)
        self._cel("BRIDGE_ENTER", c, "", {"bridge_id": b.uniqueid, "bridge_technology": "simple_bridge"}, peer)

    def leave(self, c: Channel) -> None:
        """A channel comes out."""
        b = c.bridge
        assert b is not None
        b.channels.remove(c)
        c.bridge = None
        self.about_bridge("BridgeLeave", b, c)
        peer = ",".join(other.name for other in b.channels)
        self._cel("BRIDGE_EXIT", c, "", {"bridge_id": b.uniqueid, "bridge_technology": "simple_bridge"}, peer)

    def about_bridge(self, name: str, b: Bridge, c: Channel) -> None:
        """One event of a bridge and a channel."""
        self.say(name, "call", words.bridge(b) + words.party(c), c)

    # ---------------------------------------------------------------------------------------------------------- queues

    def join(self, queue: Queue, c: Channel) -> None:
        """Somebody begins to wait."""
        queue.waiting.append(c)
        queue.joined[c.uniqueid] = self.work.now
        self._device(f"Queue:{queue.name}", "RINGING")
        place = len(queue.waiting)
        self.about("QueueCallerJoin", c, f"Queue: {queue.name}\r\nPosition: {place}\r\nCount: {place}\r\n", "agent")
        self.log(c, queue, "NONE", "ENTERQUEUE", "", c.number, place)
        self.music(c, True)

    def out(self, queue: Queue, c: Channel) -> None:
        """Somebody waits no more."""
        place = queue.waiting.index(c) + 1
        queue.waiting.remove(c)
        queue.joined.pop(c.uniqueid)
        if not queue.waiting:
            self._device(f"Queue:{queue.name}", "NOT_INUSE")
        self.about("QueueCallerLeave", c, f"Queue: {queue.name}\r\nPosition: {place}\r\nCount: {len(queue.waiting)}\r\n", "agent")

    def pick(self, queue: Queue, c: Channel) -> Member | None:
        """The member to be rung for this caller, if one is free and nobody before it in the line wants them."""
        free = [m for m in queue.members.values() if self.may_ring(m)]
        if c not in queue.in_line()[: len(free)]:
            return None
        order = list(queue.members.values())
        after = order[queue.turn % len(order) :] + order[: queue.turn % len(order)]
        chosen = min((m for m in after if m in free), key=lambda m: m.penalty)
        queue.turn = order.index(chosen) + 1
        return chosen

    def may_ring(self, m: Member) -> bool:
        """Not paused, registered, in no call."""
        return not m.paused and self.phones.get(m.seat, False) and not self.at_seat.get(m.seat)

    def freed(self, seat: str) -> None:
        """A seat may be free now: those who wait for one are told."""
        for queue in self.queues.values():
            if queue.waiting and seat in queue.members and self.may_ring(queue.members[seat]):
                free = sum(self.may_ring(m) for m in queue.members.values())
                for c in queue.in_line()[:free]:
                    if c.task is not None:
                        self.work.wake(c.task)

    def of_seat(self, seat: str) -> Iterator[tuple[Queue, Member]]:
        """The queues a seat is a member of."""
        for queue in self.queues.values():
            if seat in queue.members:
                yield queue, queue.members[seat]

    def add(self, queue: Queue, m: Member) -> None:
        """A member more."""
        queue.members[m.seat] = m
        self._device(f"Queue:{queue.name}_pause_PJSIP/{m.seat}", "INUSE" if m.paused else "NOT_INUSE")
        self.say("QueueMemberAdded", "agent", words.member(queue, m, self.device_number(m.seat)))
        self.log(None, queue, m.name, "ADDMEMBER", "PAUSED" if m.paused else "", by="MANAGER")
        self.freed(m.seat)

    def remove(self, queue: Queue, m: Member) -> None:
        """A member less."""
        del queue.members[m.seat]
        self.say("QueueMemberRemoved", "agent", words.member(queue, m, self.device_number(m.seat)))
        self.log(None, queue, m.name, "REMOVEMEMBER", "", by="MANAGER")

    def pause(self, queue: Queue, m: Member, paused: bool, reason: str) -> None:
        """A member is paused, or no longer."""
        if m.paused != paused:
            self._device(f"Queue:{queue.name}_pause_PJSIP/{m.seat}", "INUSE" if paused else "NOT_INUSE")
        m.paused, m.reason, m.last_pause = paused, reason if paused else "", self.wall if paused else m.last_pause
        self.say("QueueMemberPause", "agent", words.member(queue, m, self.device_number(m.seat)))
        self.log(None, queue, m.name, "PAUSE" if paused else "UNPAUSE", reason)
        if not paused:
            self.freed(m.seat)

    # ----------------------------------------------------------------------------------------------- the product's guard

    def guard(self, seat: str) -> None:
        """A member took an offer: paused in all its queues, as long as somebody is there to lift it."""
        if self.wall - self.beat < BEAT_FRESH_S:
            for queue, m in self.of_seat(seat):
                self.pause(queue, m, True, GUARD_REASON)
            self.guarded.add(seat)

    def lift(self) -> None:
        """Nobody watches any more: whom only the guard paused is free again."""
        if self.guarded and self.wall - self.beat >= BEAT_FRESH_S:
            guarded, self.guarded = self.guarded, set()
            for seat in sorted(guarded):
                for queue, m in self.of_seat(seat):
                    self.pause(queue, m, False, "")

    # ---------------------------------------------------------------------------------------------------------- phones

    def register(self, seat: str, there: bool) -> None:
        """A phone comes or goes."""
        self.phones[seat] = there
        status = "Reachable" if there else "Unreachable"
        self.say("PeerStatus", "system", f"ChannelType: PJSIP\r\nPeer: PJSIP/{seat}\r\nPeerStatus: {status}\r\n")
        self.device(seat)
        self.freed(seat)

    def device_state(self, seat: str) -> str:
        """What the device of a seat does, in Asterisk's word."""
        if not self.phones.get(seat):
            return "UNAVAILABLE"
        return "BUSY" if self.at_seat.get(seat) else "NOT_INUSE"

    def device_number(self, seat: str) -> int:
        """The same as app_queue numbers it."""
        return {"UNAVAILABLE": 5, "BUSY": 3, "NOT_INUSE": 1}[self.device_state(seat)]

    def device(self, seat: str) -> None:
        """The state of a seat's device changed."""
        self._device(f"PJSIP/{seat}", self.device_state(seat))
        for queue, m in self.of_seat(seat):
            self.say("QueueMemberStatus", "agent", words.member(queue, m, self.device_number(seat)))

    def _device(self, device: str, state: str) -> None:
        self.say("DeviceStateChange", "call", f"Device: {device}\r\nState: {state}\r\n")

    # ---------------------------------------------------------------------------------------------------- Asterisk's books

    def log(self, c: Channel | None, queue: Queue, agent: str, name: str, *data: object, by: str = "NONE") -> None:
        """A line of the queue log; `by` stands where there is no call."""
        if self.records is not None:
            self.records.queue_log(self.wall, c.uniqueid if c is not None else by, queue.name, agent, name, *data)

    def passed_on(self, a: Channel, c: Channel, to: str) -> None:
        """The event log's word on a blind transfer."""
        assert a.bridge is not None
        self._cel(
            "BLINDTRANSFER", a, "",
            {
                "extension": to, "context": a.context, "bridge_id": a.bridge.uniqueid, "transferee_channel_name": c.name,
                "transferee_channel_uniqueid": c.uniqueid,
            },
        )  # fmt: skip

    def _cel(self, name: str, c: Channel, own: str = "", extra: dict[str, object] | None = None, peer: str = "") -> None:
        if self.records is not None:
            self.records.cel(self.wall, name, c, own, extra, peer)
