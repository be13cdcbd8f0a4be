"""The call board: a PBX's facts in, the product's events out.

It keeps every live call of one PBX and says what happened to each, once. Pure: no clock, no I/O; time is what the PBX says.
Events may come twice, late or in another order; what is known already changes nothing, what comes too early waits for its leg.
The rules live beside it: waits and offers in `queueing`, who hears whom in `talk`, transfers in `passing`, the finished call
in `closing`, a look at the PBX after a gap in `reconcile`; what screens ask of it is in `live`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cti.domain.call import Call
from cti.domain.closing import fact_of
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegTrigger
from cti.domain.live import Live
from cti.domain.passing import Passing
from cti.domain.queueing import Queueing
from cti.domain.reconcile import Reconciler
from cti.domain.talk import Talk
from cti.events import (
    CallEnded,
    DomainEvent,
    PbxLinkChanged,
    PhoneLost,
    PhoneRegistered,
    RecordingBegan,
    SeatLeftCall,
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
    RecordingStarted,
    Snapshot,
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
        self._queueing = Queueing(floor)
        self._passing = Passing(floor)
        self._talk = self._passing.talk = Talk(floor, self._queueing.seat_talks, self._passing.returned)
        self._reconciler = Reconciler(floor, self.apply_one, self.leg_over, self._queueing)
        # Events of one leg: the leg they speak of is looked up, or the event waits for it.
        self._of_leg: dict[type[PbxEvent], Callable[[Leg, Any], None]] = {
            LegNamed: self._named,
            LegDialed: self._dialed,
            LegRinging: self._ringing,
            LegAnswered: self._answered,
            LegJoined: self._joined,
            LegParted: self._talk.parted,
            LegHeld: self._talk.held,
            LegResumed: self._talk.resumed,
            LegsPaired: self._talk.paired,
            LegHungUpBy: self._hung_up,
            LegEnded: self._leg_ended,
            LegListens: self._listens,
            CallMerged: self._merged,
            QueueJoined: self._queueing.joined,
            QueueAbandoned: self._queueing.abandoned,
            QueueLeft: self._queueing.left,
            OfferStarted: self._queueing.offered,
            OfferAnswered: self._queueing.answered,
            OfferMissed: self._queueing.missed,
            RecordingStarted: self._recorded,
            Noted: self._noted,
        }
        self._of_pbx: dict[type[PbxEvent], Callable[[Any], None]] = {
            LegStarted: self._leg_started,
            Transferred: self._transferred,
            Booted: self._booted,
            LinkUp: lambda event: self._link(event, up=True, why=""),
            LinkDown: lambda event: self._link(event, up=False, why=event.why),
            PhoneSeen: self._phone,
            MemberSeen: self._member,
        }

    # ------------------------------------------------------------------------------------------------------ the doors

    def apply(self, event: PbxEvent) -> list[DomainEvent]:
        """Take in one fact and say what it means, in order. The same fact again says nothing."""
        self.apply_one(event)
        floor, at = self._floor, event.at
        if at is not None:
            if floor.heard_at is None or at > floor.heard_at:
                floor.heard_at = at
            if floor.missing:
                self._reconciler.give_up(at)
        return floor.take()

    def reconcile(self, snapshot: Snapshot) -> list[DomainEvent]:
        """Make the board agree with the PBX as it is now, telling what was missed. Calls found gone end as unobserved.

        Their end may just be on its way, so they are given GRACE_S of the PBX's time; `tick` or the next event ends them.
        """
        self._reconciler.agree(snapshot)
        return self._floor.take()

    def end_all(self, at: float | None = None) -> list[DomainEvent]:
        """The PBX has started anew: every call is over, unobserved. `at` counts as the last moment known, if nothing else does."""
        if self._floor.heard_at is None:
            self._floor.heard_at = at
        self._reconciler.close_all()
        return self._floor.take()

    def tick(self, at: float) -> list[DomainEvent]:
        """Time has passed on the PBX's clock: what was found gone and not explained since is ended."""
        self._reconciler.give_up(at)
        return self._floor.take()

    def apply_one(self, event: PbxEvent) -> None:
        of_leg = self._of_leg.get(type(event))
        if of_leg is not None:
            name: str = event.leg  # type: ignore[attr-defined]  # all keys of that table have one
            leg = self._floor.legs.get(name)
            if leg is None:
                self._floor.keep_early(name, event)
            else:
                of_leg(leg, event)
            return
        of_pbx = self._of_pbx.get(type(event))
        if of_pbx is not None:
            of_pbx(event)

    # ----------------------------------------------------------------------------------------------------------- legs

    def _leg_started(self, event: LegStarted) -> None:
        floor = self._floor
        known = floor.legs.get(event.leg)
        if known is not None:
            known.dialed = known.dialed or event.dialed
            return
        if floor.is_gone(event.leg):
            return
        call = floor.call_for(event.call, event.leg, event.at)
        leg = Leg(floor.new_id(), event.leg, call, event.endpoint, event.number, event.name, event.dialed, event.inward, event.at)
        floor.place(leg)
        if call.started_at is None or (event.at is not None and event.at < call.started_at):
            call.started_at = event.at
        self._queueing.attach(leg)
        for early in floor.early(event.leg):
            self.apply_one(early)
        self._tell_when_clear(call, event)

    def _tell_when_clear(self, call: Call, event: PbxEvent) -> None:
        """A call is told as soon as its direction is sure; the PBX may name its later legs before the first."""
        if call.told:
            return
        head = call.head
        numbered = head is not None and (head.is_seat or head.inward or head.number)
        if numbered and call.pbx_call in self._floor.legs and call.decide_direction() is not None:
            self._floor.tell_start(call, event.at)

    def _named(self, leg: Leg, event: LegNamed) -> None:
        leg.number, leg.name = event.number, event.name

    def _dialed(self, leg: Leg, event: LegDialed) -> None:
        if leg.dialed_by is None:
            leg.dialed_by = event.by
            if not leg.inward and not leg.is_seat and event.dialed:
                leg.number = event.dialed
            self._tell_when_clear(leg.call, event)
        self._queueing.rung(leg, event.at)

    def _ringing(self, leg: Leg, event: LegRinging) -> None:
        if leg.rang_at is None:
            leg.rang_at = event.at
        if leg.move(LegTrigger.RANG):
            self._queueing.rung(leg, event.at)

    def _answered(self, leg: Leg, event: LegAnswered) -> None:
        if leg.answered_at is None:
            leg.answered_at = event.at
        if leg.move(LegTrigger.ANSWERED):
            self._queueing.direct_answered(leg, event.at)

    def _joined(self, leg: Leg, event: LegJoined) -> None:
        self._queueing.life_after(leg, event.at)
        self._talk.joined(leg, event)

    def _hung_up(self, leg: Leg, _event: LegHungUpBy) -> None:
        if leg.alive and not any(segment.other(leg).hung_up for segment in leg.segments):
            leg.hung_up = True

    def _leg_ended(self, leg: Leg, event: LegEnded) -> None:
        self.leg_over(leg, event.at, event.cause)

    def leg_over(self, leg: Leg, at: float | None, cause: int | None) -> None:
        """The leg is gone. `at` and `cause` are None where nobody saw it go."""
        if not leg.alive:
            return
        leg.cause, leg.ended_at = cause, at
        self._talk.ended(leg, at)
        leg.move(LegTrigger.ENDED)
        self._queueing.leg_ended(leg, at)
        if leg.is_seat:
            self._floor.unseat(leg)
            self._seat_left(leg, at)
        if not any(other.alive for other in leg.call.legs):
            self._finish(leg.call, at)

    def _seat_left(self, leg: Leg, at: float | None) -> None:
        mine = [other for other in leg.call.legs if other.extension == leg.extension]
        if any(other.alive for other in mine) or not any(other.inward or other.answered_at for other in mine):
            return
        talked = any(other.talked for other in mine)
        heard = [segment.other(leg) for segment in leg.call.segments if leg in (segment.a, segment.b)]
        by_other = bool(heard) and heard[-1].hung_up
        self._floor.tell(
            leg.call,
            SeatLeftCall,
            at,
            extension=leg.extension,
            queue=leg.offer.queue if leg.offer is not None else "",
            talked=talked,
            hung_up_by_seat=True if leg.hung_up else False if by_other else None,
        )

    def _finish(self, call: Call, at: float | None, *, unobserved: bool = False) -> None:
        floor = self._floor
        floor.forget(call)
        if call.head is None:
            return  # the PBX talked to itself
        unseen = unobserved or any(leg.cause is None for leg in call.legs)
        fact = fact_of(call, unit_id=floor.unit_id, pbx_id=floor.pbx_id, epoch=floor.epoch, ended_at=at, unobserved=unseen)
        floor.tell(call, CallEnded, at, fact=fact)

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
        else:
            self._passing.transferred(by, event)

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
        if floor.link_up is up:
            return
        floor.link_up = up
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
