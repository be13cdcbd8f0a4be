"""The call board: a PBX's facts in, the product's events out.

It keeps every live call of one PBX and says what happened to each, once. Pure: no clock, no I/O; time is what the PBX says.
Events may come twice, late or in another order; what is known already changes nothing, what comes too early waits for its leg.
The rules live beside it: legs come and go in `legs`, lines in `waits`, ringing seats in `offers`, who hears whom in `talk`,
transfers in `passing`, the finished call in `closing` and `fact`, a look at the PBX after a gap in `reconcile`; `live` answers screens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cti.domain.floor import Floor
from cti.domain.leg import Leg
from cti.domain.legs import Legs
from cti.domain.live import Live
from cti.domain.offers import Offers
from cti.domain.passing import Passing
from cti.domain.reconcile import Reconciler
from cti.domain.talk import Talk
from cti.domain.waits import Waits
from cti.events import (
    DomainEvent,
    PbxLinkChanged,
    PhoneLost,
    PhoneRegistered,
    RecordingBegan,
)
from cti.pbx_events import (
    Booted,
    CallMerged,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHeld,
    LegHungUpBy,
    LegJoined,
    LegListens,
    LegNamed,
    LegParked,
    LegParted,
    LegResumed,
    LegRinging,
    LegsPaired,
    LegStarted,
    LinkDown,
    LinkUp,
    MemberSeen,
    Noted,
    OfferAnswered,
    OfferMissed,
    OfferStarted,
    PbxEvent,
    PhoneSeen,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
    QueueRefused,
    RecordingStarted,
    Snapshot,
    TransferKind,
    Transferred,
)


class CallBoard(Live):
    """All live calls of one PBX. `new_id` makes our identifiers; `recall` gives a call its id of before a restart, by PBX name."""

    def __init__(
        self,
        unit_id: int,
        pbx_id: int,
        epoch: str,
        new_id: Callable[[], int],
        recall: Callable[[str], int | None] = lambda _pbx_call: None,
    ) -> None:
        floor = Floor(unit_id, pbx_id, epoch, new_id, recall)
        super().__init__(floor)
        self._legs_known = floor.legs
        self._waits = Waits(floor)
        self._offers = Offers(floor, self._waits)
        self._passing = Passing(floor)
        self._talk = self._passing.talk = Talk(floor, self._offers.seat_talks, self._passing.returned)
        self._legs = Legs(floor, self._waits, self._offers, self._talk, self.apply_one)
        self._reconciler = Reconciler(floor, self.apply_one, self._legs.over, self._waits, self._offers)
        # Events of one leg: the leg they speak of is looked up, or the event waits for it.
        self._of_leg: dict[type[PbxEvent], Callable[[Leg, Any], None]] = {
            LegNamed: self._legs.named,
            LegDialed: self._legs.dialed,
            LegRinging: self._legs.ringing,
            LegAnswered: self._legs.answered,
            LegJoined: self._legs.joined,
            LegParted: self._talk.parted,
            LegHeld: self._talk.held,
            LegResumed: self._talk.resumed,
            LegParked: self._passing.parked,
            LegsPaired: self._talk.paired,
            LegHungUpBy: self._legs.hung_up,
            LegEnded: self._legs.ended,
            LegListens: self._listens,
            CallMerged: self._merged,
            QueueJoined: self._waits.joined,
            QueueAbandoned: self._waits.abandoned,
            QueueLeft: self._waits.left,
            QueueRefused: self._waits.refused,
            OfferStarted: self._offers.offered,
            OfferAnswered: self._offers.answered,
            OfferMissed: self._offers.missed,
            RecordingStarted: self._recorded,
            Noted: self._noted,
        }
        self._of_pbx: dict[type[PbxEvent], Callable[[Any], None]] = {
            LegStarted: self._legs.started,
            Transferred: self._transferred,
            Booted: self._booted,
            LinkUp: lambda event: self._link(event, up=True, why=""),
            LinkDown: lambda event: self._link(event, up=False, why=event.why),
            PhoneSeen: self._phone,
            MemberSeen: self._member,
        }

    # ------------------------------------------------------------------------------------------------------ the doors

    def apply(self, event: PbxEvent, *, unheard: bool = False) -> list[DomainEvent]:
        """Take in one fact and say what it means, in order. The same fact again says nothing.

        `unheard`: it comes from the PBX's books; the calls it changes are marked as rebuilt.
        """
        floor = self._floor
        floor.unheard = unheard
        self.apply_one(event)
        if (at := event.at) is not None:
            if floor.heard_at is None or at > floor.heard_at:
                floor.heard_at = at
            if floor.missing:
                self._reconciler.give_up(at)
        return floor.take()

    def reconcile(self, snapshot: Snapshot) -> list[DomainEvent]:
        """Make the board agree with the PBX as it is now, telling what was missed. Calls found gone end as unobserved.

        Their end may just be on its way, or in the books of a silence that was not noticed yet: they are ended as soon as
        something is heard that the PBX said GRACE_S later.
        """
        self._reconciler.agree(snapshot)
        return self._floor.take()

    def end_all(self, at: float | None = None) -> list[DomainEvent]:
        """The PBX has started anew: every call is over, unobserved. `at` counts as the last moment known, if nothing else does."""
        if self._floor.heard_at is None:
            self._floor.heard_at = at
        self._reconciler.close_all()
        return self._floor.take()

    def apply_one(self, event: PbxEvent) -> None:
        kind = type(event)
        of_leg = self._of_leg.get(kind)
        if of_leg is not None:
            leg = self._legs_known.get(event.leg)  # type: ignore[attr-defined]  # all keys of that table have one
            if leg is not None:
                of_leg(leg, event)
            else:
                self._floor.keep_early(event.leg, event)  # type: ignore[attr-defined]
        elif (of_pbx := self._of_pbx.get(kind)) is not None:
            of_pbx(event)

    # ---------------------------------------------------------------------------------------------------- whole calls

    def _merged(self, leg: Leg, event: CallMerged) -> None:
        into = self._floor.calls.get(event.call)
        if into is not None and into is not leg.call:
            self._floor.merge(into, leg.call, event.at)

    def _listens(self, leg: Leg, _event: LegListens) -> None:
        leg.call.listens = True

    def _transferred(self, event: Transferred) -> None:
        by = self._floor.legs.get(event.by)
        if by is None:
            self._floor.keep_early(event.by, event)
            return
        self._passing.transferred(by, event)
        if event.kind is TransferKind.ATTENDED and event.done:
            self._legs.left(by, event.at)

    def _recorded(self, leg: Leg, event: RecordingStarted) -> None:
        if event.file not in leg.call.recordings:
            leg.call.recordings.append(event.file)
            self._floor.tell(leg.call, RecordingBegan, event.at, file=event.file)

    def _noted(self, leg: Leg, event: Noted) -> None:
        note = (event.kind, event.fields)
        if note not in leg.call.notes:
            leg.call.notes.append(note)

    # --------------------------------------------------------------------------------------------------------- the PBX

    def _booted(self, event: Booted) -> None:
        floor = self._floor
        if floor.epoch and event.epoch and floor.epoch != event.epoch:
            self._reconciler.close_all()
            floor.forget_names()
        floor.epoch = event.epoch or floor.epoch

    def _link(self, event: PbxEvent, *, up: bool, why: str) -> None:
        floor = self._floor
        if floor.link_up is up and floor.link_why == why:
            return
        floor.link_up, floor.link_why = up, why
        floor.note(PbxLinkChanged(unit_id=floor.unit_id, pbx_id=floor.pbx_id, at=event.at, up=up, why=why))

    def _phone(self, event: PhoneSeen) -> None:
        floor = self._floor
        before = floor.phones.get(event.extension)
        floor.phones[event.extension] = event.registered
        if event.registered == (before or False):
            return
        what = PhoneRegistered if event.registered else PhoneLost
        floor.note(what(unit_id=floor.unit_id, pbx_id=floor.pbx_id, at=event.at, extension=event.extension))

    def _member(self, event: MemberSeen) -> None:
        key = (event.queue, event.extension)
        if event.present:
            self._floor.members[key] = event
        else:
            self._floor.members.pop(key, None)
