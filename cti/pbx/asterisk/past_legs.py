"""Who was where at the row in hand: the memory with which rows of the event log are read.

Each leg with what it runs, waits in, dials and hears, and who asks for others in each of Asterisk's calls. It concludes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from cti.pbx_events import Endpoint, Party

_LOCAL: Final = "Local/"


@dataclass(slots=True, eq=False)
class Ringing:
    """A seat's leg that a queue rings for somebody."""

    leg: PastLeg
    waiting: PastLeg
    queue: str


@dataclass(slots=True, eq=False)
class PastLeg:
    """A leg as far as the rows up to now tell."""

    name: str
    call: str
    channel: str
    endpoint: Endpoint
    inward: bool
    number: str
    answered: bool = False
    bridge: str = ""
    asked: str = ""  # what its Queue() was given, "" where it runs none
    queue: str = ""  # the line it waits in
    dials: str = ""  # what its Dial() was given, while it has nobody yet
    dialed_by: PastLeg | None = None
    replaced: bool = False  # another has taken over what it ran
    holder: str = ""  # who holds it
    pair: PastLeg | None = None
    rings: list[Ringing] = field(default_factory=list)  # seats that ring for its wait
    offer: Ringing | None = None

    @property
    def is_seat(self) -> bool:
        return self.endpoint.party is Party.SEAT

    @property
    def is_real(self) -> bool:
        """Its party is a person or may be one; not the PBX itself."""
        return self.endpoint.party is not Party.SYSTEM

    def means(self, target: str) -> bool:
        """Whether a target of Dial() such as `PJSIP/1001`, `PJSIP/0211@trunk`, `PJSIP/trunk/sip:…` or `Local/x@y/n` is this leg."""
        technology, _, rest = target.partition("/")
        own, _, name = self.channel.partition("/")
        party = name.rpartition("-")[0]
        return technology == own and party in (rest, rest.partition("/")[0], rest.rpartition("@")[2])


class PastLegs:
    """The legs alive, and those of each call that wait or dial, oldest first."""

    def __init__(self) -> None:
        self._legs: dict[str, PastLeg] = {}
        self._asking: dict[str, list[PastLeg]] = defaultdict(list)
        self._bridges: dict[str, list[PastLeg]] = defaultdict(list)
        self._halves: dict[str, PastLeg] = {}

    def get(self, name: object) -> PastLeg | None:
        return self._legs.get(name) if isinstance(name, str) else None

    def begin(self, leg: PastLeg) -> None:
        self._legs[leg.name] = leg

    def end(self, leg: PastLeg) -> None:
        """The leg is gone."""
        self.asks_no_more(leg)
        self.move(leg, "")
        self._halves.pop(leg.channel.rpartition(";")[0], None)
        self._legs.pop(leg.name, None)

    def other_half(self, leg: PastLeg) -> PastLeg | None:
        """The half of the pipe that began before this one, once both are there."""
        pipe, _, half = leg.channel.rpartition(";")
        if not leg.channel.startswith(_LOCAL) or half not in ("1", "2"):
            return None
        other = self._halves.setdefault(pipe, leg)
        if other is leg:
            return None
        leg.pair, other.pair = other, leg
        return other

    def count_to(self, leg: PastLeg, call: str) -> None:
        """The leg belongs to another call of Asterisk's now."""
        asks = leg in self._asking.get(leg.call, ())
        self.asks_no_more(leg)
        leg.call = call
        if asks:
            self.asks(leg)

    # -------------------------------------------------------------------------------------------------------- asking

    def asks(self, leg: PastLeg) -> None:
        """The leg waits or dials from now on."""
        self.asks_no_more(leg)
        self._asking[leg.call].append(leg)

    def asks_no_more(self, leg: PastLeg) -> None:
        asking = self._asking.get(leg.call)
        if asking is not None and leg in asking:
            asking.remove(leg)
            if not asking:
                del self._asking[leg.call]

    def who_dials(self, leg: PastLeg) -> PastLeg | None:
        """Who called this new leg: whoever dials just that, or else whoever dials at all; the latest of them."""
        dialing = [one for one in reversed(self._asking.get(leg.call, ())) if one.dials and one is not leg]
        exact = [one for one in dialing if any(leg.means(target) for target in targets(one.dials))]
        return next(iter(exact or dialing), None)

    def dials_it(self, leg: PastLeg, by: PastLeg | None) -> bool:
        """Whether it was just this leg that was dialled."""
        return by is not None and any(leg.means(target) for target in targets(by.dials))

    def who_waits(self, call: str) -> PastLeg | None:
        """The party of a call that waits in a line; the latest of them."""
        return next((one for one in reversed(self._asking.get(call, ())) if one.queue), None)

    # ------------------------------------------------------------------------------------------------------- hearing

    def move(self, leg: PastLeg, bridge: str) -> None:
        """The leg is in this bridge now, "" = in none."""
        if leg.bridge:
            mates = self._bridges[leg.bridge]
            mates.remove(leg)
            if not mates:
                del self._bridges[leg.bridge]
        leg.bridge = bridge
        if bridge:
            self._bridges[bridge].append(leg)

    def hears(self, leg: PastLeg) -> list[PastLeg]:
        """The real parties it is joined to, through pipes too."""
        seen: list[PastLeg] = [leg]
        for one in seen:
            near = [*self._bridges.get(one.bridge, ())] if one.bridge else []
            if one.pair is not None and one.pair.name in self._legs:
                near.append(one.pair)
            seen += [mate for mate in near if mate not in seen]
        return [one for one in seen if one.is_real and one is not leg]


def targets(dials: str) -> list[str]:
    """The single targets in what Dial() was given."""
    return dials.partition(",")[0].split("&")
