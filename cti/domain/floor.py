"""The board's memory and its pen: which legs and calls live, and what is to be told.

No rule of telephony here; the rules keep what they know in it and write what they conclude through `tell`. No clock, no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from cti.domain.call import Call, Entry, Offer
from cti.domain.leg import Leg
from cti.events import CallEvent, CallMerged, CallStarted, Direction, DomainEvent
from cti.pbx_events import MemberSeen, PbxEvent

_GONE_KEPT: Final = 20_000
_EARLY_LEGS: Final = 512
_EARLY_EACH: Final = 32


class Floor:
    """Everything alive on one PBX of one business unit. `recall` gives back a call's id from before a restart, if it had one."""

    def __init__(
        self, unit_id: int, pbx_id: int, epoch: str, new_id: Callable[[], int], recall: Callable[[str], int | None]
    ) -> None:
        self.unit_id = unit_id
        self.pbx_id = pbx_id
        self.epoch = epoch
        self.new_id = new_id
        self.recall = recall
        self.link_up: bool | None = None
        self.link_why = ""
        self.heard_at: float | None = None  # the latest moment the PBX told us of
        self.here = ("", "")  # the PBX's boot, and how far the stream of its events has been taken in; opaque
        self.since: dict[int, tuple[str, str]] = {}  # by call alive: where in the stream it was first heard of, oldest first
        self.unheard = False  # what is being applied was not heard, but read in the PBX's books
        self.legs: dict[str, Leg] = {}  # of live calls, ended legs included
        self.calls: dict[str, Call] = {}  # by each of the PBX's names for it
        self.bridges: dict[str, list[Leg]] = {}
        self.offers: dict[str, Offer] = {}  # by offer leg, open ones
        self.seats: dict[str, list[Leg]] = {}  # live legs by extension
        self.waits: dict[str, dict[int, Entry]] = {}  # by queue
        self.phones: dict[str, bool] = {}
        self.members: dict[tuple[str, str], MemberSeen] = {}
        self.missing: list[Leg] = []
        self._early: OrderedDict[str, list[PbxEvent]] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._told: list[DomainEvent] = []

    # -------------------------------------------------------------------------------------------------------- the pen

    def tell(self, call: Call, what: type[CallEvent], at: float | None, **details: Any) -> None:
        """Write down what happened to a call; that the call began is written before anything else about it."""
        if not call.told:
            self.tell_start(call, at)
        if self.unheard:
            call.rebuilt = True
        self._told.append(what(unit_id=self.unit_id, pbx_id=self.pbx_id, at=at, call_id=call.call_id, **details))

    def tell_start(self, call: Call, at: float | None) -> None:
        """Write down that the call began, with what is known of it by now."""
        call.told = True
        call.direction = call.decide_direction() or Direction.INTERNAL
        self._told.append(
            CallStarted(
                unit_id=self.unit_id,
                pbx_id=self.pbx_id,
                at=call.started_at if call.started_at is not None else at,
                call_id=call.call_id,
                direction=call.direction,
                caller=call.caller,
                caller_name=call.caller_name,
                dialed=call.dialed,
            )
        )

    def note(self, event: DomainEvent) -> None:
        """Write down something that belongs to no call."""
        self._told.append(event)

    def take(self) -> list[DomainEvent]:
        """What was written since the last time, in order."""
        if not self._told:
            return []
        told, self._told = self._told, []
        return told

    # -------------------------------------------------------------------------------------------------- early and gone

    def keep_early(self, leg: str, event: PbxEvent) -> None:
        """Put aside an event of a leg not heard of yet. Only so many are kept; what belongs to a leg long gone is dropped."""
        if not leg or leg in self._gone:
            return
        kept = self._early.setdefault(leg, [])
        if len(kept) < _EARLY_EACH:
            kept.append(event)
        if len(self._early) > _EARLY_LEGS:
            self._early.popitem(last=False)

    def early(self, leg: str) -> list[PbxEvent]:
        """What was put aside for this leg."""
        return self._early.pop(leg, [])

    def is_gone(self, leg: str) -> bool:
        """The leg belonged to a call that is finished."""
        return leg in self._gone

    # -------------------------------------------------------------------------------------------------------- the calls

    def call_for(self, name: str, leg: str, at: float | None) -> Call:
        """The live call the PBX means by `name`; a new one if there is none, named after the leg if the name was used up."""
        call = self.calls.get(name)
        if call is None:
            key = leg if name in self._gone or not name else name
            known = self.recall(key)
            call = Call(
                call_id=self.new_id() if known is None else known,
                pbx_call=key,
                started_at=at,
                aliases={name, key},
                rebuilt=self.unheard,
            )
            self.since[call.call_id] = self.here
            self.calls[name] = self.calls[key] = call
        return call

    def place(self, leg: Leg) -> None:
        """Take a new leg in."""
        self.legs[leg.pbx_leg] = leg
        leg.call.take_in(leg)
        if leg.is_seat:
            self.seats.setdefault(leg.extension, []).append(leg)

    def unseat(self, leg: Leg) -> None:
        """The leg no longer occupies its seat."""
        legs = self.seats.get(leg.extension, [])
        if leg in legs:
            legs.remove(leg)
            if not legs:
                del self.seats[leg.extension]

    def forget(self, call: Call) -> None:
        """The call is finished: keep only the names, so that late echoes are known as such."""
        for call_id in (call.call_id, *call.merged):
            self.since.pop(call_id, None)
        for leg in call.legs:
            self.legs.pop(leg.pbx_leg, None)
            self._gone[leg.pbx_leg] = None
        for name in call.aliases:
            if self.calls.get(name) is call:
                del self.calls[name]
            self._gone[name] = None
        for offer in call.offers:
            self.offers.pop(offer.offer_leg, None)
            self.offers.pop(offer.pipe, None)
        while len(self._gone) > _GONE_KEPT:
            self._gone.popitem(last=False)

    def forget_names(self) -> None:
        """A new boot of the PBX uses all its names anew."""
        self._gone.clear()
        self._early.clear()

    def merge(self, one: Call, other: Call, at: float | None) -> Call:
        """Make one conversation of two; the older (of those told of) goes on and takes all the other had. Returns it."""
        into, gone = sorted((one, other), key=lambda call: (not call.told, call.started_at or 0.0, call.call_id))
        for leg in gone.legs:
            into.take_in(leg)
        for offer in gone.offers:
            offer.call = into
        for entry in gone.entries:
            entry.call = into
        into.entries += gone.entries
        into.offers += gone.offers
        into.segments += gone.segments
        into.transfers += gone.transfers
        into.notes += gone.notes
        into.recordings += gone.recordings
        into.listens = into.listens or gone.listens
        into.rebuilt = into.rebuilt or gone.rebuilt
        into.aliases |= gone.aliases
        into.merged += [gone.call_id, *gone.merged]
        known = [moment for moment in (into.answered_at, gone.answered_at) if moment is not None]
        into.answered_at = min(known) if known else None
        for name in gone.aliases:
            self.calls[name] = into
        if gone.told:
            self.tell(gone, CallMerged, at, into=into.call_id)
        return into
