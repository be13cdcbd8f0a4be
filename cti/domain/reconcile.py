"""After a gap: make the board agree with what the PBX says is there now.

The difference is played as if it had been heard, so that every rule of the board tells what was missed. What can't be known
stays unknown: a leg found gone has no end and no cause, and its call is marked as unobserved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cti.domain.call import Entry, older
from cti.domain.floor import Floor
from cti.domain.leg import Leg
from cti.domain.offers import Offers
from cti.domain.waits import Waits
from cti.events import EntryOutcome
from cti.pbx_events import (
    Booted,
    LegAnswered,
    LegJoined,
    LegNow,
    LegParted,
    LegRinging,
    LegsPaired,
    LegStarted,
    OfferStarted,
    PbxEvent,
    PhoneSeen,
    Snapshot,
)

# The end of a leg that a snapshot lacks may already be on its way; so long is waited for it.
GRACE_S: Final = 1.0


class Reconciler:
    """Plays snapshots into a floor."""

    def __init__(
        self,
        floor: Floor,
        apply: Callable[[PbxEvent], None],
        leg_over: Callable[[Leg, float | None, int | None], None],
        waits: Waits,
        offers: Offers,
    ) -> None:
        self._floor = floor
        self._apply = apply
        self._leg_over = leg_over
        self._waits = waits
        self._offers = offers

    def agree(self, snapshot: Snapshot) -> None:
        """Take the snapshot for the truth."""
        if snapshot.epoch:
            self._apply(Booted(epoch=snapshot.epoch, at=snapshot.at))
        self._find_missing(snapshot)
        for now in sorted(snapshot.legs, key=_by_age):
            self._start(now)
        for leg, other in snapshot.pairs:
            self._apply(LegsPaired(leg=leg, other=other, at=snapshot.at))
        self._agree_on_waits(snapshot)
        for now in snapshot.legs:
            self._catch_up(now, snapshot.at)
        self._settle_waits(snapshot)
        self._agree_on_seats(snapshot)

    def give_up(self, at: float) -> None:
        """End the legs that were found gone and of whose end nothing was heard in GRACE_S of the PBX's time."""
        waiting = []
        for leg in self._floor.missing:
            if leg.alive and leg.missing_since is not None:
                if at - leg.missing_since >= GRACE_S:
                    self._leg_over(leg, None, None)
                else:
                    waiting.append(leg)
        self._floor.missing = waiting

    def close_all(self) -> None:
        """The PBX has started anew: no leg of before is left."""
        for leg in list(self._floor.legs.values()):
            self._leg_over(leg, None, None)
        self._floor.missing = []

    # ----------------------------------------------------------------------------------------------------------- legs

    def _find_missing(self, snapshot: Snapshot) -> None:
        present = {now.leg for now in snapshot.legs}
        for name, leg in list(self._floor.legs.items()):
            if name in present:
                leg.missing_since = None
            elif leg.alive and snapshot.at is None:
                self._leg_over(leg, None, None)
            elif leg.alive and leg.missing_since is None and not older(snapshot.at, leg.started_at):
                leg.missing_since = snapshot.at
                self._floor.missing.append(leg)

    def _start(self, now: LegNow) -> None:
        if now.leg not in self._floor.legs:
            self._apply(
                LegStarted(
                    call=now.call,
                    leg=now.leg,
                    endpoint=now.endpoint,
                    number=now.number,
                    name=now.name,
                    dialed=now.dialed,
                    inward=now.inward,
                    at=now.started_at,
                )
            )

    def _catch_up(self, now: LegNow, at: float | None) -> None:
        leg = self._floor.legs.get(now.leg)
        if leg is None:
            return
        if now.ringing and leg.is_seat and not leg.inward:
            self._offer(leg, at)
            self._apply(LegRinging(leg=now.leg))
        if now.up and not leg.answered:
            self._apply(LegAnswered(leg=now.leg, at=now.answered_at))
        if leg.bridge and leg.bridge != now.bridge:
            self._apply(LegParted(leg=now.leg, bridge=leg.bridge, at=at))
        if now.bridge:
            self._apply(LegJoined(leg=now.leg, bridge=now.bridge, at=at))

    def _offer(self, leg: Leg, at: float | None) -> None:
        """A seat found ringing while its call waits is rung by the queue."""
        entry = leg.call.waiting
        if entry is not None and leg.offer is None:
            self._offers.offered(
                entry.leg,
                OfferStarted(leg=entry.leg.pbx_leg, offer_leg=leg.pbx_leg, queue=entry.queue, extension=leg.extension, at=at),
            )

    # ---------------------------------------------------------------------------------------------------------- queues

    def _agree_on_waits(self, snapshot: Snapshot) -> None:
        for now in snapshot.waits:
            leg = self._floor.legs.get(now.leg)
            if leg is None:
                continue
            entry = leg.entry
            if any(one.leg is leg and one.queue == now.queue and older(snapshot.at, one.left_at) for one in leg.call.entries):
                continue  # it was heard since that it waits no more
            if entry is None or entry.queue != now.queue or not entry.waiting:
                joined_at = None if snapshot.at is None else snapshot.at - now.wait_s
                entry = self._waits.open(leg, now.queue, now.position, joined_at, snapshot.at)
            entry.position = now.position

    def _settle_waits(self, snapshot: Snapshot) -> None:
        still = {(now.leg, now.queue) for now in snapshot.waits}
        lines = [entry for line in self._floor.waits.values() for entry in line.values()]
        for entry in lines:
            if older(snapshot.at, entry.joined_at):
                continue
            if (entry.leg.pbx_leg, entry.queue) not in still and entry.leg.missing_since is None and entry.outcome is None:
                self._waits.finish(entry, self._how_it_ended(entry), snapshot.at)

    def _how_it_ended(self, entry: Entry) -> EntryOutcome:
        talks = any(segment.other(entry.leg).is_seat for segment in entry.leg.segments)
        return EntryOutcome.ANSWERED if talks else EntryOutcome.TIMED_OUT

    def _agree_on_seats(self, snapshot: Snapshot) -> None:
        self._floor.members = {(member.queue, member.extension): member for member in snapshot.members}
        seen = {phone.extension for phone in snapshot.phones}
        for phone in snapshot.phones:
            self._apply(phone)
        for extension in [name for name, registered in self._floor.phones.items() if registered and name not in seen]:
            self._apply(PhoneSeen(extension=extension, registered=False, at=snapshot.at))


def _by_age(now: LegNow) -> tuple[float, bool]:
    """A PBX lists legs in any order and tells their age in whole seconds; the one that the call is named after was there first."""
    return now.started_at or 0.0, now.leg != now.call
