"""A PBX made of words alone: an AMI server that says what an Asterisk would say while calls are offered, answered and ended.

It keeps the ledger of truth: which call was offered to which seat, and when the bytes that say so left. It offers calls only to
seats whose members are added and not paused, as the product made them. No sound, no SIP; one account; every command succeeds.

    python -m config.bench.synthetic_pbx      settings as its first line, then one command a line
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from typing import Any, Final, cast

import uvloop

from config.bench import call_script as script
from config.bench.processes import Helper, asked, say, settings_line

END: Final = b"\r\n\r\n"
OFFER_AFTER_S: Final = 0.0015  # from the caller's place in the line to the first offer, as recorded
RING_AFTER_S: Final = 0.001
DIALED: Final = b"057188000001"
_LETTERS: Final = str.maketrans("0123456789", "abcdefghij")  # a name with many digits would be masked as a number


class SyntheticPbx(Helper):
    """The process. Its answer to the first line is its port."""

    MODULE = "config.bench.synthetic_pbx"

    async def port(self) -> int:
        """Where it listens."""
        return int((await self.hear())["port"])

    async def calls(self, **how: Any) -> dict[str, Any]:
        """Let people call: `rate` a second for `seconds`; answers with the ledger when the last call is over."""
        return await self.ask(do="calls", within=float(how["seconds"]) + float(how["talk_s"]) + 60, **how)


class Session(asyncio.Protocol):
    """One logged-in connection."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._held = b""
        self.events = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"Asterisk Call Manager/11.0.0\r\n")

    def connection_lost(self, _exc: Exception | None) -> None:
        self._pbx.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        *whole, self._held = (self._held + data).split(END)
        for block in whole:
            said = dict(line.split(": ", 1) for line in block.decode().split("\r\n") if ": " in line)
            self._pbx.hear(self, said)

    def answer(self, said: dict[str, str], *lines: str, success: bool = True) -> None:
        """The response to an action."""
        head = ["Response: " + ("Success" if success else "Error"), f"ActionID: {said.get('ActionID', '')}"]
        self.transport.write("\r\n".join([*head, *lines]).encode() + END)

    def listing(self, said: dict[str, str], what: str, entries: list[str]) -> None:
        """The response to an action that asks for a list."""
        of = f"ActionID: {said.get('ActionID', '')}\r\n"
        self.answer(said, "EventList: start", "Message: it follows")
        body = "".join(f"{entry}{of}\r\n" for entry in entries)
        tail = f"Event: {what}Complete\r\n{of}EventList: Complete\r\nListItems: {len(entries)}\r\n\r\n"
        self.transport.write((body + tail).encode())


class Pbx:
    """Everything the PBX knows: its members, which seats are free, the calls of now."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.sessions: set[Session] = set()
        self.secret = settings["secret"]
        self.seats: dict[str, list[str]] = settings["seats"]
        self.anybody: bool = settings["anybody"]
        self.paused: dict[tuple[str, str], bool] = {}
        self._queues: dict[str, list[str]] = {}
        self._busy: set[str] = set()
        self._free: deque[str] = deque()
        self._waiting: set[str] = set()
        self._boot = int(time.time())
        self._legs = 0
        self._live = 0
        self._ledger: list[tuple[str, str, str, float]] = []
        self._starved = 0
        self._done = asyncio.Event()
        if self.anybody:
            self._queues = self.seats
            for seat in self.seats:
                self._free_up(seat)

    # -------------------------------------------------------------------------------------------------------- commands

    def hear(self, session: Session, said: dict[str, str]) -> None:
        """One action."""
        act = getattr(self, "_" + said.get("Action", "").lower(), None)
        if act is None:
            session.answer(said)
        else:
            act(session, said)

    def _login(self, session: Session, said: dict[str, str]) -> None:
        if said.get("Secret") != self.secret:
            session.answer(said, "Message: Authentication failed", success=False)
            return
        session.answer(said, "Message: Authentication accepted")
        session.events = said.get("Events") != "off"
        self.sessions.add(session)
        if session.events:
            session.transport.write(b"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 60\r\nStatus: Fully Booted" + END)

    def _ping(self, session: Session, said: dict[str, str]) -> None:
        session.answer(said, "Ping: Pong", f"Timestamp: {time.time():.6f}")

    def _corestatus(self, session: Session, said: dict[str, str]) -> None:
        day, clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._boot)).split()
        session.answer(said, f"CoreStartupDate: {day}", f"CoreStartupTime: {clock}", "CoreCurrentCalls: 0")

    def _listcommands(self, session: Session, said: dict[str, str]) -> None:
        names = "QueueAdd QueueRemove QueuePause QueueStatus Status CoreStatus DeviceStateList Originate Hangup Setvar"
        session.answer(said, *(f"{name}: (Priv: all)" for name in names.split()))

    def _getvar(self, session: Session, said: dict[str, str]) -> None:
        session.answer(said, f"Variable: {said.get('Variable')}", "Value: NOT_INUSE")

    def _status(self, session: Session, said: dict[str, str]) -> None:
        session.listing(said, "Status", [])

    def _bridgelist(self, session: Session, said: dict[str, str]) -> None:
        session.listing(said, "BridgeList", [])

    def _devicestatelist(self, session: Session, said: dict[str, str]) -> None:
        session.listing(
            said, "DeviceStateList", [f"Event: DeviceStateChange\r\nDevice: PJSIP/{s}\r\nState: NOT_INUSE\r\n" for s in self.seats]
        )

    def _queuestatus(self, session: Session, said: dict[str, str]) -> None:
        lines = [
            f"Event: QueueMember\r\nQueue: {queue}\r\nName: Agent {seat}\r\nLocation: PJSIP/{seat}\r\nMembership: dynamic\r\nPenalty: 0\r\n"
            f"Paused: {int(paused)}\r\nPausedReason: \r\n"
            for (queue, seat), paused in self.paused.items()
        ]
        session.listing(said, "QueueStatus", lines)

    def _queueadd(self, session: Session, said: dict[str, str]) -> None:
        queue, seat = said["Queue"], said["Interface"].partition("/")[2]
        self.paused[(queue, seat)] = said.get("Paused") == "true"
        if queue not in self._queues.setdefault(seat, []):
            self._queues[seat].append(queue)
        session.answer(said, "Message: Added interface to queue")
        self._tell(
            script.ADDED,
            {b"queue": queue.encode(), b"seat": seat.encode(), b"paused": b"1" if self.paused[(queue, seat)] else b"0"},
        )
        self._free_up(seat)

    def _queueremove(self, session: Session, said: dict[str, str]) -> None:
        queue, seat = said["Queue"], said["Interface"].partition("/")[2]
        there = self.paused.pop((queue, seat), None) is not None
        if there:
            self._queues[seat].remove(queue)
        session.answer(
            said, "Message: Removed interface from queue" if there else "Message: Unable to remove: not there", success=there
        )

    def _queuepause(self, session: Session, said: dict[str, str]) -> None:
        seat, paused = said["Interface"].partition("/")[2], said.get("Paused") == "true"
        queues = [said["Queue"]] if said.get("Queue") else list(self._queues.get(seat, ()))
        if not all((queue, seat) in self.paused for queue in queues) or not queues:
            session.answer(said, "Message: Interface not found", success=False)
            return
        session.answer(said, "Message: Interface " + ("paused" if paused else "unpaused") + " successfully")
        self._pause(seat, queues, paused, said.get("Reason", ""))

    def _pause(self, seat: str, queues: list[str], paused: bool, reason: str) -> None:
        for queue in queues:
            self.paused[(queue, seat)] = paused
            words = {b"use": b"INUSE" if paused else b"NOT_INUSE", b"paused": b"1" if paused else b"0", b"reason": reason.encode()}
            self._tell(script.PAUSED, {b"queue": queue.encode(), b"seat": seat.encode(), **words})
        if not paused:
            self._free_up(seat)

    def _free_up(self, seat: str) -> None:
        """The seat may be offered a call, if no queue has it paused."""
        ready = self.anybody or not any(self.paused[(queue, seat)] for queue in self._queues[seat])
        if ready and seat not in self._busy and seat not in self._waiting:
            self._waiting.add(seat)
            self._free.append(seat)

    def _tell(self, part: bytes, values: dict[bytes, Any]) -> None:
        values[b"at"] = time.time()
        said = script.fill(part, values)
        for session in self.sessions:
            if session.events:
                session.transport.write(said)

    # ----------------------------------------------------------------------------------------------------------- calls

    async def calls(self, how: dict[str, Any]) -> dict[str, Any]:
        """Let people call, and wait until the last has hung up."""
        loop, rng = asyncio.get_running_loop(), random.Random(how["seed"])  # noqa: S311 - arrivals, not secrets
        self._ledger, self._starved, self._done = [], 0, asyncio.Event()
        at, end, count = loop.time() + 0.1, loop.time() + 0.1 + how["seconds"], 0
        numbers: list[str] = how["numbers"]
        while at < end:
            name = f"{how['run']}{count:06}".translate(_LETTERS)
            loop.call_at(at, self._arrive, name, numbers[count % len(numbers)], how["ring_s"], how["talk_s"])
            at, count = at + rng.expovariate(how["rate"]), count + 1
        self._live = count
        await self._done.wait()
        return {"ledger": self._ledger, "starved": self._starved, "placed": count}

    def _arrive(self, name: str, number: str, ring_s: float, talk_s: float) -> None:
        seat = self._take_free()
        if seat is None:
            self._starved += 1
            self._over()
            return
        self._legs += 2
        queues = self._queues[seat]
        values: dict[bytes, Any] = {
            b"call": f"bench-{self._boot}.{self._legs}".encode(), b"leg": f"bench-{self._boot}.{self._legs + 1}".encode(),
            b"tail": f"{self._legs:08x}".encode(), b"seat": seat.encode(), b"queue": queues[self._legs // 2 % len(queues)].encode(),
            b"number": number.encode(), b"name": name.encode(), b"dialed": DIALED, b"bridge": f"{self._boot:08x}-{self._legs:012x}".encode(),
        }  # fmt: skip
        loop = asyncio.get_running_loop()
        self._tell(script.ARRIVES, values)
        loop.call_later(OFFER_AFTER_S, self._offer, name, seat, values)
        loop.call_later(OFFER_AFTER_S + ring_s, self._answer, seat, values)
        loop.call_later(OFFER_AFTER_S + ring_s + talk_s, self._end, seat, values)

    def _take_free(self) -> str | None:
        while self._free:
            seat = self._free.popleft()
            self._waiting.discard(seat)
            if self.anybody or not any(self.paused[(queue, seat)] for queue in self._queues[seat]):
                self._busy.add(seat)
                return seat
        return None

    def _offer(self, name: str, seat: str, values: dict[bytes, Any]) -> None:
        values[b"at"] = time.time()
        said = script.fill(script.OFFERED, values)
        at = time.monotonic()
        for session in self.sessions:
            if session.events:
                session.transport.write(said)
        self._ledger.append((name, seat, values[b"number"].decode(), at))
        asyncio.get_running_loop().call_later(RING_AFTER_S, self._tell, script.RINGS, values)

    def _answer(self, seat: str, values: dict[bytes, Any]) -> None:
        if not self.anybody:
            self._pause(seat, self._queues[seat], True, "WrapUp")
        self._tell(script.ANSWERED, values)

    def _end(self, seat: str, values: dict[bytes, Any]) -> None:
        self._tell(script.ENDED, values)
        self._busy.discard(seat)
        self._free_up(seat)
        self._over()

    def _over(self) -> None:
        self._live -= 1
        if self._live == 0:
            self._done.set()

    def state(self) -> dict[str, Any]:
        """How many members there are, and how many seats could be offered a call now."""
        return {"members": len(self.paused), "free": len(self._waiting), "listeners": sum(s.events for s in self.sessions)}


async def serve() -> None:
    """Listen, say where, and do what is asked until nobody asks any more."""
    pbx = Pbx(settings_line())
    server = await asyncio.get_running_loop().create_server(lambda: Session(pbx), "127.0.0.1", 0)
    lines = await asked()
    say(port=server.sockets[0].getsockname()[1])
    while line := await lines.readline():
        said = json.loads(line)
        say(**(await pbx.calls(said) if said["do"] == "calls" else pbx.state()))


if __name__ == "__main__":
    uvloop.run(serve())
