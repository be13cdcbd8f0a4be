"""Calls passed on: what the PBX says of transfers, and the attended ones that were called off, of which it says nothing.

Whether a transfer got anywhere is settled when the call ends.
"""

from __future__ import annotations

from cti.domain.call import Segment, Transfer
from cti.domain.closing import CANCELLED, FAILED
from cti.domain.floor import Floor
from cti.domain.leg import Leg
from cti.domain.talk import Talk
from cti.events import CallTransferred
from cti.pbx_events import TransferKind, Transferred


class Passing:
    """Keeps the transfers of a floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.talk: Talk

    def transferred(self, by: Leg, event: Transferred) -> None:
        party = self._floor.legs.get(event.party)
        for known in by.call.transfers:
            if known.by is by and known.kind is event.kind and known.at == event.at:
                return
        to = event.to if event.kind is TransferKind.BLIND else self._target(event.to, party, by)
        self._add(Transfer(event.kind, by, party, to, event.done, event.at))

    def returned(self, seat: Leg, segment: Segment, at: float | None) -> None:
        """The seat is back with a party it had left on hold: the attended transfer it had in mind did not come about."""
        if not seat.is_seat or (segment.apart_at is None and at is not None):
            return
        consulted = self._consulted(seat, segment)
        if consulted is None:
            return
        refused = not consulted.answered and consulted.cause not in (None, 0, 16)
        result = FAILED if refused else CANCELLED
        self._add(
            Transfer(TransferKind.ATTENDED, seat, segment.other(seat), consulted.spoken_name, done=False, at=at, result=result)
        )

    def _add(self, transfer: Transfer) -> None:
        call = transfer.by.call
        call.transfers.append(transfer)
        self._floor.tell(
            call,
            CallTransferred,
            transfer.at,
            kind=transfer.kind,
            by=transfer.by.spoken_name,
            to=transfer.to,
            done=transfer.done,
        )

    def _target(self, name: str, party: Leg | None, by: Leg) -> str:
        """Whom the party is handed to: the one behind the pipe, if a pipe was named."""
        target = self._floor.legs.get(name)
        if target is None:
            return ""
        if target.is_real:
            return target.spoken_name
        behind = [leg for leg in self.talk.reach(target) if leg not in (party, by)]
        behind += [leg for leg in by.call.legs if leg.dialed_by == target.pair and leg.is_real]
        return behind[0].spoken_name if behind else target.spoken_name

    def _consulted(self, seat: Leg, segment: Segment) -> Leg | None:
        """Whom the seat turned to while the other waited: called after it went away, for it or by a pipe it was joined to."""
        party = segment.other(seat)
        for leg in reversed(seat.call.legs):
            asked = self._floor.legs.get(leg.dialed_by) if leg.dialed_by else None
            ours = asked is seat or (asked is not None and not asked.is_real)
            if leg.is_real and leg not in (seat, party) and ours and not _earlier(leg, segment):
                return leg
        return None


def _earlier(leg: Leg, segment: Segment) -> bool:
    """The leg was called before the two began to talk, so not for a consultation."""
    return leg.started_at is not None and segment.started_at is not None and leg.started_at < segment.started_at
