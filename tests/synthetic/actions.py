"""What the product may ask of the PBX, and the answers: manager actions against the floor, text back. No socket."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from tests.synthetic import words
from tests.synthetic.floor import Channel, Floor, Member

Asked = dict[str, str]
_NAMES: Final = """
    BridgeList CoreShowChannels CoreStatus CoreSettings DeviceStateList Getvar Hangup ListCommands Login Logoff Originate Ping QueueAdd QueuePause
    QueuePenalty QueueRemove QueueStatus Reload Setvar Status
"""
COMMANDS: Final = tuple(_NAMES.split())
_MARK: Final = re.compile(r"DEVICE_STATE\(Custom:lingxi-guard-(\w+)\)")


class Actions:
    """Carries actions out. `dial` lets a seat be made to dial: seat, number, the leg's name; `looked` is told of every list of channels."""

    def __init__(self, floor: Floor, dial: Callable[[str, str, str], None], looked: Callable[[], None]) -> None:
        self._floor, self._dial, self._looked = floor, dial, looked
        self.counted: dict[str, int] = {}

    def carry_out(self, asked: Asked) -> str:
        """The answer to one action, lists included."""
        name, action_id = asked.get("Action", ""), asked.get("ActionID", "")
        self.counted[name] = self.counted.get(name, 0) + 1
        act: Callable[[Asked, str], str] | None = getattr(self, "_" + name.lower(), None)
        if act is None:
            return words.answer(action_id, "Message: Invalid/unknown command", good=False)
        return act(asked, action_id)

    # ---------------------------------------------------------------------------------------------------------- the PBX

    def _ping(self, _asked: Asked, action_id: str) -> str:
        return words.answer(action_id, "Ping: Pong", f"Timestamp: {self._floor.wall:.6f}")

    def _corestatus(self, _asked: Asked, action_id: str) -> str:
        day, clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._floor.booted)).split()
        calls = len({c.linkedid for c in self._floor.channels.values()})
        return words.answer(
            action_id, f"CoreStartupDate: {day}", f"CoreStartupTime: {clock}", f"CoreReloadDate: {day}", f"CoreReloadTime: {clock}",
            f"CoreCurrentCalls: {calls}",
        )  # fmt: skip

    def _listcommands(self, _asked: Asked, action_id: str) -> str:
        return words.answer(action_id, *(f"{name}: (Priv: all)" for name in COMMANDS))

    def _reload(self, _asked: Asked, action_id: str) -> str:
        return words.answer(action_id, "Message: Module Reloaded")

    def _logoff(self, _asked: Asked, action_id: str) -> str:
        return f"Response: Goodbye\r\nActionID: {action_id}\r\nMessage: Thanks for all the fish.\r\n\r\n"

    def _getvar(self, asked: Asked, action_id: str) -> str:
        name = asked.get("Variable", "")
        device = name.removeprefix("DEVICE_STATE(PJSIP/").removesuffix(")")
        value = self._floor.device_state(device) if device != name else ""
        return words.answer(action_id, f"Variable: {name}", f"Value: {value}")

    def _setvar(self, asked: Asked, action_id: str) -> str:
        name, value = asked.get("Variable", ""), asked.get("Value", "")
        if name == "LINGXI_BEAT":
            self._floor.beat = float(value)
        elif (mark := _MARK.fullmatch(name)) is not None:
            self._floor.guarded.discard(mark[1])
        return words.answer(action_id, "Message: Variable Set")

    # ------------------------------------------------------------------------------------------------------------ lists

    def _status(self, _asked: Asked, action_id: str) -> str:
        floor = self._floor
        self._looked()
        items = [words.status(c, int(floor.work.now - c.since)) for c in floor.channels.values()]
        return words.listing(action_id, "Status", "Channel status will follow", items, twice=True)

    def _coreshowchannels(self, _asked: Asked, action_id: str) -> str:
        floor = self._floor
        items = [words.shown_channel(c, int(floor.work.now - c.since)) for c in floor.channels.values()]
        return words.listing(action_id, "CoreShowChannels", "Channels will follow", items)

    def _bridgelist(self, _asked: Asked, action_id: str) -> str:
        there = {c.bridge.uniqueid: c.bridge for c in self._floor.channels.values() if c.bridge is not None}
        return words.listing(action_id, "BridgeList", "Bridge listing will follow", [words.bridge_item(b) for b in there.values()])

    def _queuestatus(self, asked: Asked, action_id: str) -> str:
        floor, items = self._floor, list[str]()
        for queue in floor.queues.values():
            if asked.get("Queue", queue.name) != queue.name:
                continue
            items.append(words.queue_item(queue))
            for m in queue.members.values():
                in_call = any(c.bridge is not None for c in floor.at_seat.get(m.seat, ()))
                items.append(words.member_item(queue, m, floor.device_number(m.seat), in_call))
            for place, c in enumerate(queue.waiting, 1):
                items.append(words.waiting_item(queue, place, c, int(floor.work.now - queue.joined[c.uniqueid])))
        return words.listing(action_id, "QueueStatus", "Queue status will follow", items)

    def _devicestatelist(self, _asked: Asked, action_id: str) -> str:
        floor = self._floor
        items = [words.device_item(f"PJSIP/{seat}", floor.device_state(seat)) for seat in floor.phones]
        return words.listing(action_id, "DeviceStateList", "Device State Changes will follow", items)

    # ---------------------------------------------------------------------------------------------------------- members

    def _queueadd(self, asked: Asked, action_id: str) -> str:
        floor, queue, seat = self._floor, self._floor.queues.get(asked["Queue"]), _seat(asked)
        if queue is None:
            return words.answer(action_id, "Message: Unable to add interface to queue: No such queue", good=False)
        if seat in queue.members:
            return words.answer(action_id, "Message: Unable to add interface: Already there", good=False)
        m = Member(
            seat=seat, name=asked.get("MemberName", seat), penalty=int(asked.get("Penalty", 0)), paused=_yes(asked),
            reason=asked.get("Reason", "") if _yes(asked) else "", since=floor.wall,
        )  # fmt: skip
        floor.add(queue, m)
        return words.answer(action_id, "Message: Added interface to queue")

    def _queueremove(self, asked: Asked, action_id: str) -> str:
        queue = self._floor.queues.get(asked["Queue"])
        m = queue.members.get(_seat(asked)) if queue is not None else None
        if queue is None or m is None:
            return words.answer(action_id, "Message: Unable to remove interface: Not there", good=False)
        self._floor.remove(queue, m)
        return words.answer(action_id, "Message: Removed interface from queue")

    def _queuepause(self, asked: Asked, action_id: str) -> str:
        of = [(queue, m) for queue, m in self._floor.of_seat(_seat(asked)) if asked.get("Queue", queue.name) == queue.name]
        if not of:
            return words.answer(action_id, "Message: Interface not found", good=False)
        for queue, m in of:
            self._floor.pause(queue, m, _yes(asked), asked.get("Reason", ""))
        return words.answer(action_id, f"Message: Interface {'paused' if _yes(asked) else 'unpaused'} successfully")

    def _queuepenalty(self, asked: Asked, action_id: str) -> str:
        for queue, m in self._floor.of_seat(_seat(asked)):
            if asked.get("Queue", queue.name) == queue.name:
                m.penalty = int(asked["Penalty"])
        return words.answer(action_id, "Message: Interface penalty set successfully")

    # ------------------------------------------------------------------------------------------------------------ calls

    def _hangup(self, asked: Asked, action_id: str) -> str:
        wanted = asked.get("Channel", "")
        c = self._find(wanted)
        if c is None:
            return words.answer(action_id, "Message: No such channel", good=False)
        self._floor.end(c)
        return words.answer(action_id, "Message: Channel Hungup")

    def _find(self, wanted: str) -> Channel | None:
        return next((c for c in self._floor.channels.values() if wanted in (c.name, c.uniqueid)), None)

    def _originate(self, asked: Asked, action_id: str) -> str:
        self._dial(asked["Channel"].partition("/")[2], asked["Exten"], asked.get("ChannelId", ""))
        return words.answer(action_id, "Message: Originate successfully queued")


def _seat(asked: Asked) -> str:
    return asked["Interface"].partition("/")[2]


def _yes(asked: Asked) -> bool:
    return asked.get("Paused") in ("true", "1", "yes")
