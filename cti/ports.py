"""The doors through which telephony leaves the process: the PBX driver's contract.

A driver is told what to do with commands and answers whether the PBX took them; it never changes any state of ours. State
moves only when the PBX says so, through the events that `run` yields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, Protocol

from crm_core.kernel.sentence import Trouble
from cti.pbx_events import LinkDown, LinkUp, PbxEvent, Snapshot

_OF_LINK: Final = frozenset({LinkUp, LinkDown})


class Capability(Flag):
    """What a PBX and its line can do. Screens offer nothing that is missing here."""

    QUEUES = auto()
    RECORDING = auto()
    ORIGINATE = auto()
    HANG_UP = auto()
    HOLD = auto()
    TRANSFER = auto()
    PROVISION = auto()
    BROWSER_PHONE = auto()


class PbxRefused(Trouble):
    """The PBX said no. The sentence is ours, or the PBX's own words, which are in no catalogue; `say` is it in English."""

    @property
    def say(self) -> str:
        return str(self.sentence)


class PbxUnreachable(PbxRefused):
    """The PBX can't be heard just now; the command was not carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A seat that takes calls of a queue, and whether it may be offered one now. `reason` is shown by the PBX's own tools."""

    queue: str
    extension: str
    name: str
    penalty: int = 0
    paused: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events that came together, and the journal position after them (opaque; "" where nothing is journalled)."""

    events: Sequence[PbxEvent]
    position: str
    rebuilt: bool = False  # read back from the journal, not heard live
    unheard: bool = False  # told by the PBX's own books: nobody listened when it happened

    @property
    def of_link(self) -> bool:
        """Whether it tells of the link itself, as few do."""
        return not _OF_LINK.isdisjoint(map(type, self.events))


class PbxDriver(Protocol):
    """A line to one PBX. One reader, one writer; all commands raise PbxRefused or PbxUnreachable."""

    @property
    def capabilities(self) -> Capability: ...

    def run(self) -> AsyncIterator[Batch]:
        """Yield everything the PBX says, for ever; the only loop with I/O. Reconnects by itself, saying LinkDown and LinkUp.

        After every LinkUp the receiver takes `snapshot()`. While the PBX is heard something is said every few seconds, and soon
        after every snapshot: a bare PbxEvent with the time, if there is nothing else.
        """
        ...

    async def snapshot(self) -> Snapshot: ...

    async def standing(self) -> Mapping[str, bool]:
        """The legs alive now, each with whether it is answered: little enough to ask for often."""
        ...

    async def set_members(self, members: Sequence[Member]) -> None:
        """Make the PBX's queues have exactly these members (idempotent: adds, removes, pauses what differs)."""
        ...

    async def put_members(self, members: Sequence[Member]) -> None:
        """Make these memberships of one seat, which are all it has, so: added, or changed where they are there already."""
        ...

    async def drop_member(self, queue: str, extension: str) -> None: ...

    async def hang_up(self, leg: str) -> None: ...

    async def originate(self, *, extension: str, number: str, caller_id: str, leg: str) -> None:
        """Ring `extension`; when it answers, dial `number`. `leg` becomes the identifier of the seat's leg, so a retry is harmless."""
        ...

    async def set_phone_secret(self, extension: str, secret: str) -> None:
        """Let the phone of `extension` register with this secret only, from now on, across restarts of the PBX."""
        ...

    async def heartbeat(self, alive: bool) -> None:
        """Tell the PBX that we watch (or stop watching), so that its own guard of wrap-up knows whether someone will lift it."""
        ...

    async def reload(self) -> None:
        """Take over changed configuration without touching live calls."""
        ...

    async def close(self) -> None: ...
