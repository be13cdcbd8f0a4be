"""Calls passed on: what the PBX says of transfers, and the attended ones that were called off, of which it says nothing.

Whether a transfer got anywhere is settled when the call ends.
"""

from __future__ import annotations

from cti.domain.call import Segment, Transfer, near, older
from cti.domain.floor import Floor
from cti.domain.leg import Leg
from cti.domain.talk import Talk
from cti.events import CallTransferred
from cti.pbx_events import LegParked, TransferKind, Transferred


class Passing:
    """Keeps the transfers of a floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.talk: Talk

    def transferred(self, by: Leg, event: Transferred) -> None:
        party = self._floor.legs.get(event.party)
        for known in by.call.transfers:
            if known.by is by and known.kind is event.kind and known.returned_from is None:
                late = self._floor.unheard and event.done and known.done and known.party is party and older(event.at, known.at)
                if late or near(known.at, event.at):
                    return  # told again, by the PBX's books perhaps, which have the very moment; it may have been heard much later
        if event.kind is TransferKind.BLIND:
            if party is None or party.parked_at is None or not near(party.parked_at, event.at):
                self._add(Transfer(event.kind, by, party, event.to, event.done, event.at))
            return
        consult = self._floor.legs.get(event.consult, by)
        self._add(Transfer(event.kind, by, party, self._target(event.to, party, consult), event.done, event.at))
        if event.done and party is not None:
            self._hand_over(by, consult, party, event.at)

    def parked(self, leg: Leg, event: LegParked) -> None:
        """A PBX may say of a parking that it was a blind transfer, too."""
        if leg.parked_at is None or older(leg.parked_at, event.at):
            leg.parked_at, leg.taken_up = event.at, False
        passed = [
            one for one in leg.call.transfers if one.kind is TransferKind.BLIND and one.party is leg and near(one.at, event.at)
        ]
        for transfer in passed:
            leg.call.transfers.remove(transfer)

    def _hand_over(self, by: Leg, consult: Leg, party: Leg, at: float | None) -> None:
        """The party takes the place of whoever asked for it: what rings or waits for the one, does so for the other from now on."""
        if consult.call is not by.call:
            self._floor.merge(by.call, consult.call, at)
        self.talk.handed_over(by, party, at)
        if consult is by:
            return
        for leg in by.call.legs:
            if leg.dialed_by == consult.pbx_leg and leg.alive and not leg.answered:
                leg.dialed_by = party.pbx_leg
        for offer in by.call.offers:
            if offer.asked_by is consult and offer.result is None:
                offer.asked_by = party
        for entry in by.call.entries:
            if entry.leg is consult and entry.outcome is None:
                entry.leg, party.entry, consult.entry = party, entry, None

    def returned(self, seat: Leg, segment: Segment, at: float | None) -> None:
        """The seat is back with a party it had left on hold: the attended transfer it had in mind did not come about."""
        if not seat.is_seat or (segment.apart_at is None and at is not None):
            return
        consulted = self._consulted(seat, segment)
        if consulted is None:
            return
        to = consulted.spoken_name
        self._add(Transfer(TransferKind.ATTENDED, seat, segment.other(seat), to, done=False, at=at, returned_from=consulted))

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

    def _target(self, name: str, party: Leg | None, consult: Leg) -> str:
        """Whom the party is handed to: the one behind the pipe, if a pipe was named; whoever rings or was dialled, if nobody was."""
        target = self._floor.legs.get(name)
        if target is None:
            rung = [leg for leg in consult.call.legs if leg.dialed_by == consult.pbx_leg and leg.is_real and leg.alive]
            return rung[-1].spoken_name if rung and consult.entry is None else consult.dialed
        if target.is_real:
            return target.spoken_name
        behind = [leg for leg in self.talk.reach(target) if leg is not party and not leg.same_party(consult)]
        behind += [leg for leg in consult.call.legs if leg.dialed_by == target.pair and leg.is_real]
        return behind[0].spoken_name if behind else target.spoken_name

    def _consulted(self, seat: Leg, segment: Segment) -> Leg | None:
        """Whom the seat turned to while the other waited: called after it went away, for it or by a pipe it was joined to."""
        party = segment.other(seat)
        for leg in reversed(seat.call.legs):
            asked = self._floor.legs.get(leg.dialed_by) if leg.dialed_by else None
            ours = asked is seat or (not leg.inward and leg.dialed_by is None) or (asked is not None and not asked.is_real)
            if leg.is_real and leg not in (seat, party) and ours and not _earlier(leg, segment):
                return leg
        return None


def _earlier(leg: Leg, segment: Segment) -> bool:
    """The leg was called before the two began to talk, so not for a consultation."""
    return leg.started_at is not None and segment.started_at is not None and leg.started_at < segment.started_at
