"""Who hears whom: bridges and pipes of the PBX turned into segments between real parties.

Only this module opens and closes segments. It knows nothing of queues; of offers only that a seat that talks has answered.
A segment broken for less than JOINT_S (the PBX swaps a pipe for a direct path) goes on as the same one. A seat that goes away
from a party it put on hold, to consult somebody, keeps its segment with that party, held, until one of them is gone for good.
"""

from __future__ import annotations

from collections.abc import Callable

from cti.domain.call import JOINT_S, Segment, older
from cti.domain.floor import Floor
from cti.domain.leg import Leg, LegPhase, LegTrigger
from cti.events import CallAnswered, CallHeld, CallResumed
from cti.pbx_events import LegHeld, LegJoined, LegParted, LegResumed, LegsPaired


class Talk:
    """Keeps the segments of a floor. `on_answer` is called when a seat first hears its party, `on_return` when it comes back."""

    def __init__(
        self, floor: Floor, on_answer: Callable[[Leg, float | None], None], on_return: Callable[[Leg, Segment, float | None], None]
    ) -> None:
        self._floor = floor
        self._on_answer = on_answer
        self._on_return = on_return

    # ---------------------------------------------------------------------------------------------------------- events

    def joined(self, leg: Leg, event: LegJoined) -> None:
        if not leg.alive or leg.bridge == event.bridge:
            return
        # The PBX's books tell everything again in its order, a little earlier than it was heard.
        if older(event.at, leg.been.get(event.bridge) if self._floor.unheard else leg.moved_at):
            return
        self._move(leg, event.bridge, event.at)

    def parted(self, leg: Leg, event: LegParted) -> None:
        if leg.bridge != event.bridge:
            return
        if older(event.at, leg.moved_at) and (event.bridge in leg.been or not self._floor.unheard):
            return
        self._move(leg, "", event.at)

    def paired(self, leg: Leg, event: LegsPaired) -> None:
        other = self._floor.legs.get(event.other)
        if other is None:
            self._floor.keep_early(event.other, event)
            return
        before = self.reach(leg) + self.reach(other)
        leg.pair, other.pair = other.pbx_leg, leg.pbx_leg
        self._settle(before + self.reach(leg), event.at)

    def held(self, leg: Leg, event: LegHeld) -> None:
        if _not_newer(event.at, leg.held_at) or not leg.move(LegTrigger.HELD):
            return
        leg.held_at = event.at
        for segment in leg.segments:
            if segment.held_since is None and not segment.apart:
                segment.held_since = event.at
        if leg.is_seat:
            self._floor.tell(leg.call, CallHeld, event.at, extension=leg.extension)

    def resumed(self, leg: Leg, event: LegResumed) -> None:
        if _not_newer(event.at, leg.held_at) or not leg.move(LegTrigger.RESUMED):
            return
        leg.held_at = event.at
        for segment in leg.segments:
            if segment.other(leg).phase is not LegPhase.HELD and not segment.apart:
                _count_hold(segment, event.at)
        if leg.is_seat:
            self._floor.tell(leg.call, CallResumed, event.at, extension=leg.extension)

    def handed_over(self, leg: Leg, party: Leg, at: float | None) -> None:
        """The leg gave this party to somebody else: it does not come back to it."""
        for segment in list(leg.segments):
            if segment.apart and segment.other(leg) is party:
                self._close(segment, at)

    def ended(self, leg: Leg, at: float | None) -> None:
        """The leg is over: whoever it heard hears it no more."""
        if leg.bridge:
            self._move(leg, "", at)
        for segment in list(leg.segments):
            self._close(segment, at)

    # --------------------------------------------------------------------------------------------------------- hearing

    def reach(self, leg: Leg) -> list[Leg]:
        """All real parties that hear one another with this leg, itself included if it is real."""
        if not leg.bridge and not leg.pair:
            return [leg] if leg.is_real else []
        mates = self._floor.bridges.get(leg.bridge)
        if mates is not None:
            real = [mate for mate in mates if mate.is_real]
            if len(real) == len(mates):
                return real
        seen: dict[str, Leg] = {}
        todo = [leg]
        while todo:
            one = todo.pop()
            if one.pbx_leg in seen:
                continue
            seen[one.pbx_leg] = one
            todo += self._floor.bridges.get(one.bridge, ()) if one.bridge else ()
            pair = self._floor.legs.get(one.pair) if one.pair else None
            if pair is not None and pair.alive:
                todo.append(pair)
        return [one for one in seen.values() if one.is_real]

    def _move(self, leg: Leg, bridge: str, at: float | None) -> None:
        bridges = self._floor.bridges
        alone = not leg.pair and not leg.segments and not bridges.get(bridge)
        before = [] if alone else self.reach(leg)
        if leg.bridge:
            leg.been[leg.bridge] = at
            mates = bridges[leg.bridge]
            mates.remove(leg)
            if not mates:
                del bridges[leg.bridge]
        leg.bridge, leg.moved_at = bridge, at
        if bridge:
            mates = bridges.setdefault(bridge, [])
            for mate in mates:
                if mate.call is not leg.call:
                    self._floor.merge(mate.call, leg.call, at)
            mates.append(leg)
        if not alone:  # nobody was heard and nobody will be
            self._settle(before + self.reach(leg), at)

    def _settle(self, affected: list[Leg], at: float | None) -> None:
        """Make the segments of these legs what their bridges say."""
        hears: list[Leg] = []
        for leg in dict.fromkeys(affected):
            if leg not in hears:  # whoever hears the last one hears whom that one hears
                hears = self.reach(leg)
            for segment in list(leg.segments):
                if segment.apart:
                    if not _left_alone(segment).bridge:
                        self._close(segment, at)
                elif segment.other(leg) not in hears:
                    self._break(segment, at)
            for other in hears:
                if other is not leg:
                    self._connect(leg, other, at)

    # -------------------------------------------------------------------------------------------------------- segments

    def _connect(self, leg: Leg, other: Leg, at: float | None) -> None:
        for segment in leg.segments:
            if segment.other(leg) is other:
                if segment.apart:
                    self._rejoin(segment, at)
                return
        if leg.call is not other.call:
            self._floor.merge(leg.call, other.call, at)
        for mine in (leg, other):
            for segment in list(mine.segments):
                if segment.apart and _left_alone(segment) is mine:
                    self._close(segment, at)
        segment = self._again(leg, other, at) or self._new_segment(leg, other, at)
        leg.segments.append(segment)
        other.segments.append(segment)
        if segment.held_since is None and (_holds(leg) or _holds(other)):
            segment.held_since = at
        if leg.call.answered_at is None:
            leg.call.answered_at = at
        for seat in (leg, other):
            if seat.is_seat and not seat.talked:
                self._answer(seat, segment, at)

    def _answer(self, seat: Leg, segment: Segment, at: float | None) -> None:
        seat.talked = True
        self._on_answer(seat, at)
        self._floor.tell(seat.call, CallAnswered, at, extension=seat.extension, queue=segment.queue)

    def _new_segment(self, leg: Leg, other: Leg, at: float | None) -> Segment:
        order = leg.call.legs
        a, b = (leg, other) if order.index(leg) <= order.index(other) else (other, leg)
        segment = Segment(self._floor.new_id(), a, b, _queue_of(a, b) or _queue_of(b, a), at)
        leg.call.segments.append(segment)
        return segment

    def _again(self, leg: Leg, other: Leg, at: float | None) -> Segment | None:
        """The segment of these two that was broken a moment ago, opened again."""
        for segment in reversed(leg.call.segments):
            if not segment.open and {segment.a, segment.b} == {leg, other}:
                if segment.ended_at is None or at is None or at - segment.ended_at > JOINT_S:
                    return None
                segment.open, segment.ended_at = True, None
                return segment
        return None

    def _break(self, segment: Segment, at: float | None) -> None:
        """The two hear one another no more; if the one left a party it holds, that one still waits for it."""
        gone = _consulting(segment)
        if gone is None:
            self._close(segment, at)
        else:
            segment.apart, segment.apart_at = True, at

    def _rejoin(self, segment: Segment, at: float | None) -> None:
        segment.apart = False
        for leg in (segment.a, segment.b):
            if leg.is_seat:
                self._on_return(leg, segment, at)
        segment.apart_at = None
        if LegPhase.HELD not in (segment.a.phase, segment.b.phase):
            _count_hold(segment, at)

    def _close(self, segment: Segment, at: float | None) -> None:
        if not segment.open:
            return
        segment.known_until = self._floor.heard_at if at is None else at
        _count_hold(segment, segment.known_until)
        segment.open, segment.apart, segment.ended_at = False, False, at
        for leg in (segment.a, segment.b):
            if segment in leg.segments:
                leg.segments.remove(segment)


def _consulting(segment: Segment) -> Leg | None:
    """The leg of a broken segment that holds the other and is alive, while the other is left alone in the bridge."""
    for leg in (segment.a, segment.b):
        other = segment.other(leg)
        if leg.phase is LegPhase.HELD and other.alive and other.bridge and leg.bridge != other.bridge:
            return leg
    return None


def _holds(leg: Leg) -> bool:
    """The leg's hold is meant for whom it is joined to now, not for one it left to consult."""
    return leg.phase is LegPhase.HELD and not any(segment.apart for segment in leg.segments)


def _left_alone(segment: Segment) -> Leg:
    """The leg of a segment apart that waits for the other."""
    return segment.b if segment.a.phase is LegPhase.HELD else segment.a


def _queue_of(seat: Leg, party: Leg) -> str:
    """The queue that brought this party to this seat, "" if none did."""
    offer = seat.offer
    return offer.queue if offer is not None and offer.asked_by is party else ""


def _count_hold(segment: Segment, at: float | None) -> None:
    if segment.held_since is not None and at is not None:
        segment.hold_s += max(0.0, at - segment.held_since)
    segment.held_since = None


def _not_newer(at: float | None, than: float | None) -> bool:
    return at is not None and than is not None and at <= than
