"""Waits: who waits in which line, since when, and how each wait ended.

Knows nothing of bridges and of seats that ring. A wait's end is told as soon as it can be; the finished call's facts have the last
word, since a PBX says "abandoned" of a time-out too and only what the caller's leg does next tells the two apart.
"""

from __future__ import annotations

from cti.domain.call import AT_ONCE_S, Entry, older, span
from cti.domain.floor import Floor
from cti.domain.leg import Leg
from cti.events import CallLeftQueue, CallQueued, EntryOutcome
from cti.pbx_events import QueueAbandoned, QueueJoined, QueueLeft, QueueRefused


class Waits:
    """Keeps the waits of a floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def joined(self, leg: Leg, event: QueueJoined) -> None:
        if any(entry.queue == event.queue and _told_before(entry, leg, event.at) for entry in leg.call.entries):
            return
        self.open(leg, event.queue, event.position, event.at, event.at)

    def open(self, leg: Leg, queue: str, position: int, joined_at: float | None, at: float | None) -> Entry:
        """Let a leg wait."""
        leg.busy(at)
        entry = Entry(self._floor.new_id(), leg.call, leg, queue, position, joined_at)
        leg.entry = entry
        leg.call.entries.append(entry)
        self._floor.waits.setdefault(queue, {})[entry.entry_id] = entry
        self._floor.tell(leg.call, CallQueued, at, entry_id=entry.entry_id, queue=queue, position=position)
        return entry

    def abandoned(self, leg: Leg, event: QueueAbandoned) -> None:
        entry = self.entry(leg, event.queue)
        if entry is None or older(event.at, entry.joined_at):
            return
        entry.abandoned = True
        if entry.left and entry.outcome is None:
            self.finish(entry, self._why_left(entry), event.at)

    def left(self, leg: Leg, event: QueueLeft) -> None:
        entry = self.entry(leg, event.queue)
        if entry is None or entry.left or older(event.at, entry.joined_at):
            return
        entry.left, entry.left_at = True, event.at
        self._unlist(entry)
        if entry.abandoned or leg.hung_up:
            self.finish(entry, self._why_left(entry), event.at)

    def refused(self, leg: Leg, event: QueueRefused) -> None:
        """The queue did not let the leg in: a wait of no length. Or it sent it away, which looked like a time-out until now."""
        entry = next((one for one in reversed(leg.call.entries) if one.leg is leg and one.queue == event.queue), None)
        gap = None if entry is None else span(entry.left_at, event.at)
        if entry is None or (gap is not None and gap > AT_ONCE_S) or entry.outcome is EntryOutcome.ANSWERED:
            entry = self.open(leg, event.queue, 0, event.at, event.at)
        entry.refusal = event.reason
        if entry.outcome is None:
            self.finish(entry, EntryOutcome.REFUSED, event.at)
        entry.outcome = EntryOutcome.REFUSED

    def leg_ended(self, leg: Leg, at: float | None) -> None:
        """Whoever waits no more because it is gone has abandoned, unless it was let out before."""
        for entry in leg.call.entries:
            if entry.leg is leg and entry.outcome is None:
                let_out = entry.left and not entry.abandoned and not leg.hung_up
                self.finish(entry, EntryOutcome.LEFT_BY_KEY if let_out else EntryOutcome.ABANDONED, at)

    def answered(self, leg: Leg, queue: str, at: float | None) -> None:
        """A seat took the waiting party; what was believed of the wait's end before is put right."""
        for entry in reversed(leg.call.entries):
            if entry.leg is leg and entry.queue == queue:
                if entry.outcome is None:
                    self.finish(entry, EntryOutcome.ANSWERED, at)
                elif entry.outcome in (EntryOutcome.LEFT_BY_KEY, EntryOutcome.TIMED_OUT):
                    entry.outcome = EntryOutcome.ANSWERED
                return

    def life_after(self, leg: Leg, at: float | None) -> None:
        """The leg goes on after it left the line without a word why: it was let out by a key."""
        entry = leg.entry
        if entry is not None and entry.left and entry.outcome is None:
            self.finish(entry, EntryOutcome.LEFT_BY_KEY, at)

    def _why_left(self, entry: Entry) -> EntryOutcome:
        gone = entry.leg.hung_up or not entry.leg.alive
        return EntryOutcome.ABANDONED if gone else EntryOutcome.TIMED_OUT

    def entry(self, leg: Leg, queue: str) -> Entry | None:
        """The latest wait of a leg in a queue, if its end is not known yet."""
        for entry in reversed(leg.call.entries):
            if entry.leg is leg and entry.queue == queue:
                return None if entry.outcome is not None else entry
        return None

    def finish(self, entry: Entry, outcome: EntryOutcome, at: float | None) -> None:
        """The wait is over."""
        entry.outcome = outcome
        entry.left = True
        if entry.left_at is None:
            entry.left_at = at
        if entry.leg.entry is entry:
            entry.leg.entry = None
        self._unlist(entry)
        wait_s = span(entry.joined_at, entry.left_at)
        self._floor.tell(entry.call, CallLeftQueue, at, entry_id=entry.entry_id, queue=entry.queue, outcome=outcome, wait_s=wait_s)

    def _unlist(self, entry: Entry) -> None:
        line = self._floor.waits.get(entry.queue)
        if line is not None and line.pop(entry.entry_id, None) is not None and not line:
            del self._floor.waits[entry.queue]


def _told_before(entry: Entry, leg: Leg, at: float | None) -> bool:
    """Whether a leg that joins at that moment joins what is this very wait: told again, it comes before the wait's end."""
    if entry.waiting and leg in (entry.leg, entry.joiner):
        return True
    return entry.joiner is leg and at is not None and (at == entry.joined_at or older(at, entry.left_at))
