"""A PBX in which many calls stand at once, whose line can be cut; while it is, calls go on, end and begin, and nobody is told.

Of the same words as the synthetic PBX, and with lists that say what stands: channels, bridges, queues with members and callers, phones.
It knows the truth, and gives it when it is asked.

    python -m config.bench.standing_pbx      settings as its first line, then one command a line
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop

from config.bench import call_script as script
from config.bench.processes import Helper, asked, say, settings_line
from config.bench.synthetic_pbx import DIALED, Pbx, Session

WAITING, RINGING, TALKING = "waiting", "ringing", "talking"
_NEXT: Final = {WAITING: RINGING, RINGING: TALKING}
_TOLD: Final = {RINGING: (script.OFFERED, script.RINGS), TALKING: (script.ANSWERED,)}
_STATES: Final = {"5": "Ringing", "6": "Up"}


class StandingPbx(Helper):
    """The process. Its first answer is its port."""

    MODULE = "config.bench.standing_pbx"

    async def port(self) -> int:
        """Where it listens."""
        return int((await self.hear())["port"])


@dataclass(slots=True)
class Standing:
    """A call."""

    values: dict[bytes, Any]
    since: float
    phase: str = WAITING
    rung_at: float = 0.0

    def word(self, name: bytes) -> str:
        """A value as text."""
        return str(self.values[name].decode())


@dataclass(slots=True)
class Truth:
    """Everything there is, apart from members."""

    calls: list[Standing] = field(default_factory=list)
    away: set[str] = field(default_factory=set)  # seats whose phones are not registered


class CallsStand(Pbx):
    """The PBX itself."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self._truth = Truth()
        self._rng = random.Random(settings["seed"])  # noqa: S311 - who calls, no secret
        self._made = 0
        self._idle = list(self.seats)
        self._rng.shuffle(self._idle)
        self.booted_at = 0.0  # by the clock that all processes share: when the last account that hears events was told all is up
        self.server: asyncio.Server | None = None
        self.port = 0

    # ---------------------------------------------------------------------------------------------------------- the line

    async def open(self) -> None:
        """Listen, at the same port each time."""
        self.server = await asyncio.get_running_loop().create_server(lambda: Session(self), "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every session without a word, and take no new one."""
        if self.server is not None:
            self.server.close()
        for session in list(self.sessions):
            session.transport.abort()

    def _login(self, session: Session, said: dict[str, str]) -> None:
        super()._login(session, said)
        if session.events:
            self.booted_at = time.monotonic()

    # ------------------------------------------------------------------------------------------------------------- calls

    def begin(self, count: int) -> None:
        """Let so many call; one in ten waits, one in ten rings a seat, the others talk."""
        for n in range(count):
            call = self._new()
            self._tell(script.ARRIVES, call.values)
            for _ in range((0, 1)[n % 10 == 1] if n % 10 < 2 else 2):
                self._go_on(call)

    def _new(self) -> Standing:
        self._made += 1
        seat, n = self._idle.pop(), self._made
        queues = self.seats[seat]
        values: dict[bytes, Any] = {
            b"call": f"bench-{self._boot}.{2 * n}".encode(), b"leg": f"bench-{self._boot}.{2 * n + 1}".encode(), b"tail": f"{n:08x}".encode(),
            b"seat": seat.encode(), b"queue": queues[n % len(queues)].encode(), b"number": f"138{n:08}".encode(), b"name": f"Caller {n}".encode(),
            b"dialed": DIALED, b"bridge": f"{self._boot:08x}-{n:012x}".encode(),
        }  # fmt: skip
        call = Standing(values, time.time())
        self._truth.calls.append(call)
        return call

    def _go_on(self, call: Standing) -> None:
        call.phase, call.rung_at = _NEXT[call.phase], call.rung_at or time.time()
        for part in _TOLD[call.phase]:
            self._tell(part, call.values)

    def change(self, share: float) -> None:
        """A share of the calls ends, as many begin, others go on; seats are paused, phones go: all of it heard only by who is there."""
        calls, rng = self._truth.calls, self._rng
        ended = rng.sample(calls, int(len(calls) * share))
        for call in ended:
            self._idle.insert(0, call.word(b"seat"))
            self._tell(script.ENDED, call.values)
        gone = set(map(id, ended))
        self._truth.calls = [call for call in calls if id(call) not in gone]
        for call in self._truth.calls:
            if call.phase in _NEXT and rng.random() < 0.5:
                self._go_on(call)
        self.begin(len(ended))
        for seat in rng.sample(list(self.seats), int(len(self.seats) * share / 2)):
            self._pause(seat, list(self._queues.get(seat, ())), True, "WrapUp")
        self._truth.away = set(rng.sample(self._idle, int(len(self._idle) * share)))

    def truth(self) -> dict[str, Any]:
        """What stands: calls, seats whose phones are away, and who is paused where."""
        names = ("call", "leg", "seat", "queue", "number")
        calls = [{"phase": call.phase, **{name: call.word(name.encode()) for name in names}} for call in self._truth.calls]
        members = [[queue, seat, paused] for (queue, seat), paused in self.paused.items()]
        return {"calls": calls, "away": sorted(self._truth.away), "members": members}

    # ------------------------------------------------------------------------------------------------------------- lists

    def _channels(self) -> list[tuple[Standing, bool, str]]:
        """Every channel with its call, whether it is the seat's, and its state; in no order, as a PBX lists them."""
        found = []
        for call in self._truth.calls:
            found.append((call, False, "6"))
            if call.phase != WAITING:
                found.append((call, True, "6" if call.phase == TALKING else "5"))
        self._rng.shuffle(found)
        return found

    def _status(self, session: Session, said: dict[str, str]) -> None:
        now = time.time()
        session.listing(said, "Status", [
            f"Event: Status\r\nPrivilege: Call\r\n{_party(call, seat, state)}Type: PJSIP\r\nDNID: {'' if seat else call.word(b'dialed')}\r\n"
            "EffectiveConnectedLineNum: <unknown>\r\nEffectiveConnectedLineName: <unknown>\r\nTimeToHangup: 0\r\n"
            f"BridgeID: {call.word(b'bridge') if call.phase == TALKING else ''}\r\nApplication: {'AppQueue' if seat else 'Queue'}\r\n"
            f"Data: {'(Outgoing Line)' if seat else call.word(b'queue') + ',tT,,,300'}\r\nNativeformats: (ulaw)\r\nReadformat: ulaw\r\n"
            f"Readtrans: \r\nWriteformat: ulaw\r\nWritetrans: \r\nCallgroup: 0\r\nPickupgroup: 0\r\nSeconds: {int(now - (call.rung_at if seat else call.since))}\r\n"
            for call, seat, state in self._channels()
        ])  # fmt: skip

    def _coreshowchannels(self, session: Session, said: dict[str, str]) -> None:
        session.listing(
            said,
            "CoreShowChannels",
            [f"Event: CoreShowChannel\r\n{_party(call, seat, state)}" for call, seat, state in self._channels()],
        )

    def _bridgelist(self, session: Session, said: dict[str, str]) -> None:
        session.listing(said, "BridgeList", [
            f"Event: BridgeListItem\r\nBridgeUniqueid: {call.word(b'bridge')}\r\nBridgeType: basic\r\nBridgeTechnology: simple_bridge\r\n"
            "BridgeCreator: <unknown>\r\nBridgeName: <unknown>\r\nBridgeNumChannels: 2\r\nBridgeVideoSourceMode: none\r\n"
            for call in self._truth.calls
            if call.phase == TALKING
        ])  # fmt: skip

    def _queuestatus(self, session: Session, said: dict[str, str]) -> None:
        members = [
            f"Event: QueueMember\r\nQueue: {queue}\r\nName: Agent {seat}\r\nLocation: PJSIP/{seat}\r\nStateInterface: PJSIP/{seat}\r\n"
            f"Membership: dynamic\r\nPenalty: 0\r\nCallsTaken: 0\r\nLastCall: 0\r\nLastPause: 0\r\nLoginTime: {self._boot}\r\nInCall: 0\r\n"
            f"Status: 1\r\nPaused: {int(paused)}\r\nPausedReason: {'WrapUp' if paused else ''}\r\nWrapuptime: 0\r\n"
            for (queue, seat), paused in self.paused.items()
        ]
        places: dict[str, int] = {}
        entries, now = [], time.time()
        for call in self._truth.calls:
            if call.phase != TALKING:
                queue = call.word(b"queue")
                places[queue] = places.get(queue, 0) + 1
                entries.append(
                    f"Event: QueueEntry\r\nQueue: {queue}\r\nPosition: {places[queue]}\r\nChannel: PJSIP/carrier-{call.word(b'tail')}\r\n"
                    f"Uniqueid: {call.word(b'call')}\r\nCallerIDNum: {call.word(b'number')}\r\nCallerIDName: {call.word(b'name')}\r\n"
                    f"ConnectedLineNum: unknown\r\nConnectedLineName: unknown\r\nWait: {int(now - call.since)}\r\nPriority: 1\r\n"
                )
        session.listing(said, "QueueStatus", members + entries)

    def _devicestatelist(self, session: Session, said: dict[str, str]) -> None:
        session.listing(said, "DeviceStateList", [
            f"Event: DeviceStateChange\r\nDevice: PJSIP/{seat}\r\nState: {'UNAVAILABLE' if seat in self._truth.away else 'NOT_INUSE'}\r\n"
            for seat in self.seats
        ])  # fmt: skip


def _party(call: Standing, seat: bool, state: str) -> str:
    """A channel as it stands in lists."""
    mine, other = (b"seat", b"number") if seat else (b"number", b"seat")
    return (
        f"Channel: PJSIP/{call.word(b'seat') if seat else 'carrier'}-{call.word(b'tail')}\r\nChannelState: {state}\r\nChannelStateDesc: {_STATES[state]}\r\n"
        f"CallerIDNum: {call.word(mine)}\r\nCallerIDName: {'Agent ' + call.word(b'seat') if seat else call.word(b'name')}\r\n"
        f"ConnectedLineNum: {call.word(other)}\r\nConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: \r\n"
        f"Context: {'lingxi-seats' if seat else 'lingxi-in'}\r\nExten: {'s' if seat else call.word(b'dialed')}\r\nPriority: 4\r\n"
        f"Uniqueid: {call.word(b'leg' if seat else b'call')}\r\nLinkedid: {call.word(b'call')}\r\n"
    )


async def serve() -> None:
    """Listen, say where, and do what is asked until nobody asks any more."""
    pbx = CallsStand(settings_line())
    await pbx.open()
    lines = await asked()
    say(port=pbx.port)
    while line := await lines.readline():
        match json.loads(line):
            case {"do": "begin", "count": count}:
                pbx.begin(count)
                say()
            case {"do": "cut", "change": share}:
                pbx.cut()
                await asyncio.sleep(0)
                pbx.change(share)
                say(**pbx.truth())
            case {"do": "open"}:
                await pbx.open()
                say()
            case _:
                say(**pbx.state(), booted_at=pbx.booted_at)


if __name__ == "__main__":
    uvloop.run(serve())
