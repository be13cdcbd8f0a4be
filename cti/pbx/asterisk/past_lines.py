"""What the log of Asterisk's queues knows of each wait that the event log tells of: whether it was one, where, and how it ended.

Pure. The event log has the precise times and the log of the queues the reasons; its rows are handed out one by one, in their order,
as the waits they belong to come up. Sources: Asterisk's queue log page.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from enum import Enum
from typing import Final

from cti.pbx.asterisk.book_rows import QueueRow


class Exit(Enum):
    """How a wait ended: by whose word, if by any."""

    TAKEN = "CONNECT"
    GAVE_UP = "ABANDON"
    TIMED_OUT = "EXITWITHTIMEOUT"
    NOBODY_LEFT = "EXITEMPTY"
    BY_KEY = "EXITWITHKEY"


_EXITS: Final = {exit.value: exit for exit in Exit}
_POSITION: Final = 2  # among the data of ENTERQUEUE
_NEAR_S: Final = 2.0  # its whole seconds and the event log's may be this far apart


class Lines:
    """The log of the queues from some moment on. Where there is none, every wait is believed and no reason known."""

    def __init__(self, rows: Iterable[QueueRow]) -> None:
        self._entered: dict[str, deque[QueueRow]] = defaultdict(deque)
        self._exits: dict[tuple[str, str], deque[Exit]] = defaultdict(deque)
        self._missed: dict[tuple[str, str], int] = defaultdict(int)
        self._there = False
        for row in rows:
            self._there = True
            if row.kind == "ENTERQUEUE":
                self._entered[row.leg].append(row)
            elif row.kind == "RINGNOANSWER":
                self._missed[row.leg, row.queue] += 1
            elif row.kind in _EXITS:
                self._exits[row.leg, row.queue].append(_EXITS[row.kind])

    def enter(self, leg: str, queue: str, at: float) -> int | None:
        """The leg asks to be let in: at which position it then waits (0 = not told), or None where it was refused."""
        entered = self._entered.get(leg)
        while entered and entered[0].at < at - _NEAR_S:
            entered.popleft()
        if not entered or entered[0].queue != queue or entered[0].at > at + _NEAR_S:
            return None if self._there else 0
        data = entered.popleft().data
        return int(data[_POSITION]) if len(data) > _POSITION and data[_POSITION].isdigit() else 0

    def moved_to(self, leg: str, at: float) -> str:
        """The queue the leg has gone on to by that moment without being said to ask for it; "" if none."""
        entered = self._entered.get(leg)
        return entered[0].queue if entered and at - _NEAR_S < entered[0].at <= at else ""

    def exit(self, leg: str, queue: str) -> Exit | None:
        """How the wait that ends now ended."""
        exits = self._exits.get((leg, queue))
        return exits.popleft() if exits else None

    def missed(self, leg: str, queue: str) -> bool:
        """A seat that rang for this wait is written down as one that did not answer; once for each."""
        if not self._missed.get((leg, queue)):
            return False
        self._missed[leg, queue] -= 1
        return True
