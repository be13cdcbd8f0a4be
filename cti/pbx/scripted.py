"""The line to a PBX that is played in this process: where no Asterisk can be had, and in tests.

It sees and does less than the line to an Asterisk (no transfer, no hold, no recording, no sound), which shows that such a line
fits the same contract. What happens on that PBX is told in `scripted_floor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from cti.pbx.scripted_floor import PhoneHabit, ScriptedPbx
from cti.pbx_events import Booted, LinkUp, PbxEvent, Snapshot
from cti.ports import Batch, Capability, Member, PbxRefused

__all__ = ["PhoneHabit", "ScriptedDriver", "ScriptedPbx"]


class ScriptedDriver:
    """The line to a ScriptedPbx: `cti.ports.PbxDriver` without hold and transfer."""

    def __init__(self, pbx: ScriptedPbx) -> None:
        self.pbx = pbx
        self.beats: list[bool] = []
        self.secrets: dict[str, str] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._closed = asyncio.Event()

    @property
    def capabilities(self) -> Capability:
        return Capability.QUEUES | Capability.ORIGINATE | Capability.HANG_UP | Capability.PROVISION

    async def run(self) -> AsyncIterator[Batch]:
        yield Batch(events=[Booted(epoch=self.pbx.epoch), LinkUp()], position="")
        closed = asyncio.ensure_future(self._closed.wait())
        while True:
            heard = asyncio.ensure_future(self.pbx.said.get())
            await asyncio.wait({heard, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                heard.cancel()
                return
            events = [heard.result()]
            while not self.pbx.said.empty():
                events.append(self.pbx.said.get_nowait())
            yield Batch(events=events, position="")

    async def snapshot(self) -> Snapshot:
        now = self.pbx.snapshot()
        self.pbx.said.put_nowait(PbxEvent(at=now.at))
        return now

    async def standing(self) -> Mapping[str, bool]:
        return {leg.leg: leg.up for leg in self.pbx.snapshot().legs}

    async def set_members(self, members: Sequence[Member]) -> None:
        wanted = {(member.queue, member.extension): member for member in members}
        for key in [key for key in self.pbx.members if key not in wanted]:
            self.pbx.set_member(None, key)
        for key, member in wanted.items():
            self.pbx.set_member(member, key)

    async def put_members(self, members: Sequence[Member]) -> None:
        for member in members:
            self.pbx.set_member(member, (member.queue, member.extension))

    async def drop_member(self, queue: str, extension: str) -> None:
        if (queue, extension) in self.pbx.members:
            self.pbx.set_member(None, (queue, extension))

    async def hang_up(self, leg: str) -> None:
        line = self.pbx.lines.get(leg)
        if line is not None:
            line.over.set()

    async def originate(self, *, extension: str, number: str, caller_id: str, leg: str) -> None:
        if leg in self._calls:
            return
        if extension not in self.pbx.phones:
            raise PbxRefused("The phone of {extension} is not registered.", extension=extension)
        self._calls[leg] = asyncio.create_task(self.pbx.dial_out(extension, number, leg), name=f"scripted call {leg}")

    async def set_phone_secret(self, extension: str, secret: str) -> None:
        self.secrets[extension] = secret

    async def heartbeat(self, alive: bool) -> None:
        self.beats = [*self.beats[-99:], alive]

    async def reload(self) -> None:
        """Nothing is configured by files here."""

    async def close(self) -> None:
        self._closed.set()
        for call in self._calls.values():
            call.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)
