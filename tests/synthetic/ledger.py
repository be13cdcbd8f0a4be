"""The truth: one line of JSON for each call that is over, for each gap in which nobody heard us, for each look at all channels, for
each fault.

Kept by the scripts that decide what calls do, by their own clock (the host's, whatever the PBX's clock says), and never computed
from what the product does. Words are those of the glossary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class OfferLine:
    """One seat rung."""

    seat: str
    started: float
    ended: float = 0.0
    result: str = ""


@dataclass(slots=True, kw_only=True)
class EntryLine:
    """One wait in a queue."""

    queue: str
    joined: float
    left: float = 0.0
    outcome: str = ""
    offers: list[OfferLine] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SegmentLine:
    """Who talked with whom; `seat` is the one that counts as the agent's, `held` the seconds on hold in it."""

    seat: str
    other: str
    queue: str
    started: float
    ended: float = 0.0
    held: float = 0.0


@dataclass(slots=True, kw_only=True)
class TransferLine:
    """One passing-on."""

    by: str
    to: str
    result: str = ""


@dataclass(slots=True, kw_only=True)
class CallLine:
    """One call. Times are the host's; `offset` is what the PBX's clock was ahead at the start, `offset_after` at the end."""

    call: str
    epoch: str
    kind: str
    direction: str
    caller: str
    dialed: str
    started: float
    offset: float
    offset_after: float = 0.0
    answered: float | None = None
    ended: float = 0.0
    outcome: str = ""
    hung_up_by: str = ""
    lost: bool = False  # the PBX itself was gone before the call was over
    entries: list[EntryLine] = field(default_factory=list)
    segments: list[SegmentLine] = field(default_factory=list)
    transfers: list[TransferLine] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)  # when the PBX said what
    legs: list[str] = field(default_factory=list)  # every channel that was in it


class Ledger:
    """Takes down what happened. `write` gets one object at a time."""

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self.open: dict[str, CallLine] = {}
        self.written = 0

    def begin(self, line: CallLine) -> None:
        """A call began."""
        self.open[line.call] = line

    def end(self, line: CallLine, at: float, offset: float) -> None:
        """A call is over."""
        line.ended, line.offset_after = at, offset
        del self.open[line.call]
        self.written += 1
        self._write({"what": "call", **asdict(line)})

    def lose_all(self, at: float, offset: float) -> None:
        """The PBX is gone, and every call with it: what was under way ends here."""
        for line in list(self.open.values()):
            line.lost = True
            for segment in line.segments:
                segment.ended = segment.ended or at
            for entry in line.entries:
                entry.left = entry.left or at
            self.end(line, at, offset)

    def gap(self, doubtful: float, since: float, until: float) -> None:
        """Nobody heard us from `since` on; what was said from `doubtful` on may have been on its way."""
        self._write({"what": "gap", "doubtful": doubtful, "since": since, "until": until})

    def look(self, at: float) -> None:
        """Somebody asked for all channels there are."""
        self._write({"what": "look", "at": at})

    def fault(self, at: float, name: str, **details: Any) -> None:
        """Something was done to us on purpose."""
        self._write({"what": "fault", "at": at, "name": name, **details})
