"""What Asterisk's books say of a time nobody listened to, in the same words as what is heard.

Pure: rows in, PbxEvents out, so that the board concludes from them as from anything else. The books know less: a phone that was
called is taken to have rung, and who holds whom is told by the music that is played to them (Asterisk 22; older ones say nothing).
Source: the CEL design page of Asterisk. Who was where is kept by `past_legs`; waits and offers are told by `past_waits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from cti.pbx.asterisk.book_rows import QueueRow, Row
from cti.pbx.asterisk.channel_names import ExtensionOf, dialed_number, digits_are_seats, endpoint_of, shown
from cti.pbx.asterisk.past_legs import PastLeg, PastLegs, targets
from cti.pbx.asterisk.past_waits import PastWaits
from cti.pbx.asterisk.translate import said_by_dialplan
from cti.pbx_events import (
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
    Party,
    PbxEvent,
    RecordingStarted,
    TransferKind,
    Transferred,
)

_NOWHERE: Final = frozenset({"", "s", "h", "failed"})
_NOBODY: Final = "N/A"
_DEAF_BRIDGE: Final = "holding_bridge"
_MUSIC: Final = {"MOH_STREAM_BEGIN": True, "MOH_STREAM_END": False}
_AT_ONCE_S: Final = 0.05
_SERIAL: Final = re.compile(r"\d+\.(\d+)$")
_CHANNEL_SERIAL: Final = re.compile(r"(PJSIP|SIP|Local)/.*-([0-9a-f]{8})(?:;[12])?$")
_DISORDER_S: Final = 1.0  # channels that begin so near to one another may be written in any order; a boot takes longer

Said = list[PbxEvent]


def boots(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows of each boot of the PBX by itself: it numbers its channels, and begins anew with every boot.

    The numbers stand in its identifiers and, for each technology, in the channels' names, which a leg that we named has too.
    """
    latest: dict[str, tuple[int, float]] = {}
    first = 0
    for place, row in enumerate(rows):
        if row.kind != "CHAN_START":
            continue
        serials = _serials(row)
        if any(_used(latest.get(kind), serial, row.at) for kind, serial in serials):
            yield rows[first:place]
            first = place
            latest.clear()
        for kind, serial in serials:
            if serial >= latest.get(kind, (0, 0.0))[0]:
                latest[kind] = serial, row.at
    yield rows[first:]


def _serials(row: Row) -> list[tuple[str, int]]:
    """The numbers in a new channel's names, each with what it counts."""
    found: list[tuple[str, int]] = []
    if serial := _SERIAL.search(row.leg):
        found.append(("", int(serial[1])))
    if named := _CHANNEL_SERIAL.match(row.channel):
        found.append((named[1], int(named[2], 16)))
    return found


def _used(latest: tuple[int, float] | None, serial: int, at: float) -> bool:
    """Whether this boot has counted further than that for a while."""
    return latest is not None and serial <= latest[0] and at - latest[1] > _DISORDER_S


def past_of(
    rows: Sequence[Row], queues: Iterable[QueueRow], since: float, extension_of: ExtensionOf = digits_are_seats
) -> list[PbxEvent]:
    """What happened after `since`. Rows from before it only tell who was where."""
    past = _Past(rows, queues, extension_of)
    found: list[PbxEvent] = []
    for row in rows:
        said = past.take(row)
        if row.at > since:
            found += said
    return found


class _Past:
    """Reads row after row."""

    def __init__(self, rows: Sequence[Row], queues: Iterable[QueueRow], extension_of: ExtensionOf) -> None:
        self._extension_of = extension_of
        self._legs = PastLegs()
        self._waits = PastWaits(self._legs, rows, queues)
        ends = [row for row in rows if row.kind == "HANGUP"]
        self._gave_up = {row.leg: row.at for row in ends if row.extra.get("hangupsource") == row.channel}
        self._say: dict[str, Callable[[Row, PastLeg], Said]] = {
            "ANSWER": self._answered,
            "APP_START": self._app_began,
            "APP_END": self._app_ended,
            "BRIDGE_ENTER": self._joined,
            "BRIDGE_EXIT": self._parted,
            "STREAM_BEGIN": self._music,
            "STREAM_END": self._music,
            "HANGUP": self._ended,
            "BLINDTRANSFER": self._blind,
            "ATTENDEDTRANSFER": self._attended,
            "PICKUP": self._picked_up,
            "PARK_START": lambda row, leg: [LegParked(leg=leg.name, at=row.at)],
        }
        self._runs: dict[str, Callable[[Row, PastLeg], Said]] = {
            "Queue": self._waits.asks,
            "Dial": self._dials,
            "UserEvent": lambda row, leg: _noted(row),
            "MixMonitor": self._recorded,
            "ChanSpy": lambda row, leg: [LegListens(leg=leg.name, to="", at=row.at)],
        }

    def take(self, row: Row) -> Said:
        """What this row says."""
        if row.kind == "CHAN_START":
            return self._started(row)
        say = self._say.get(row.kind)
        if say is None:
            return []
        leg = self._legs.get(row.leg) or self._unknown(row)
        return [*self._changed(row, leg), *say(row, leg)]

    # ----------------------------------------------------------------------------------------------------------- legs

    def _unknown(self, row: Row) -> PastLeg:
        """A leg that began before the first row that was read."""
        endpoint = endpoint_of(row.channel, self._extension_of)
        leg = PastLeg(row.leg, row.call, row.channel, endpoint, inward=False, number=shown(row.number))
        self._legs.begin(leg)
        self._legs.other_half(leg)
        return leg

    def _started(self, row: Row) -> Said:
        endpoint = endpoint_of(row.channel, self._extension_of)
        inward = row.leg == row.call and row.dialed not in _NOWHERE and endpoint.party is not Party.SYSTEM
        leg = PastLeg(row.leg, row.call, row.channel, endpoint, inward, number=shown(row.number))
        self._legs.begin(leg)
        number = endpoint.name if leg.is_seat else leg.number if inward else ""
        said: Said = [
            LegStarted(
                call=row.call, leg=row.leg, endpoint=endpoint, number=number, name=shown(row.name), dialed=row.dialed if inward else "",
                inward=inward, at=row.at,
            )
        ]  # fmt: skip
        other = self._legs.other_half(leg)
        if other is not None:
            said.append(LegsPaired(leg=other.name, other=leg.name, at=row.at))
        return said if inward or not leg.is_real else [*said, *self._called(row, leg)]

    def _called(self, row: Row, leg: PastLeg) -> Said:
        """A leg towards somebody: called by whoever dials it, or by the queue in which somebody of the same call waits."""
        by, waiting = self._legs.who_dials(leg), self._legs.who_waits(leg.call)
        said: Said = []
        if waiting is not None and leg.is_seat and not self._legs.dials_it(leg, by):
            said += self._waits.moved_on(row.at, waiting)
            said += self._waits.offered(row.at, leg, waiting)
            said.append(LegDialed(leg=leg.name, by=waiting.name, dialed=leg.endpoint.name, at=row.at))
        elif by is not None:
            leg.dialed_by = by
            if waiting is not None and by.pair is not None and by.pair.offer is None and not by.pair.answered:
                said += self._waits.offered(row.at, by.pair, waiting)  # the queue rings it through a pipe
            what = next((target for target in targets(by.dials) if leg.means(target)), targets(by.dials)[0])
            dialed = leg.endpoint.name if leg.is_seat else dialed_number(what)
            said.append(LegDialed(leg=leg.name, by=by.name, dialed=dialed, at=row.at))
        return [*said, LegRinging(leg=leg.name, at=row.at)] if leg.is_seat else said

    def _changed(self, row: Row, leg: PastLeg) -> Said:
        """What a row of any kind tells: that the leg counts to another call, that the dialplan set its caller's number right."""
        said: Said = []
        if row.call != leg.call:
            self._legs.count_to(leg, row.call)
            said.append(CallMerged(leg=leg.name, call=row.call, at=row.at))
        number = shown(row.number)
        if leg.inward and not leg.is_seat and number != leg.number:
            leg.number = number
            said.append(LegNamed(leg=leg.name, number=number, name=shown(row.name), at=row.at))
        return said

    def _answered(self, row: Row, leg: PastLeg) -> Said:
        leg.answered = True
        said: Said = [LegAnswered(leg=leg.name, at=row.at)]
        return said if leg.offer is None else [*said, *self._waits.taken(row.at, leg.offer, leg)]

    def _ended(self, row: Row, leg: PastLeg) -> Said:
        said: Said = []
        if leg.offer is not None and self._waits.goes_on(leg.offer, row.at):
            said += self._waits.missed(row.at, leg.offer)
        if not leg.answered and self._given_up(leg.dialed_by, row.at):
            said.append(LegRinging(leg=leg.name))  # it rang and rang
        if leg.name in self._gave_up:
            said.append(LegHungUpBy(leg=leg.name, at=row.at))
        if leg.queue:
            said += self._waits.leaves(row.at, leg)
        if leg.offer is not None:
            self._waits.rings_no_more(leg.offer)
        self._legs.end(leg)
        cause = row.extra.get("hangupcause")
        return [*said, LegEnded(leg=leg.name, cause=cause if isinstance(cause, int) else 0, at=row.at)]

    def _given_up(self, caller: PastLeg | None, at: float) -> bool:
        """Whoever dialled hangs up now by themselves."""
        return caller is not None and abs(self._gave_up.get(caller.name, 0.0) - at) <= _AT_ONCE_S

    # -------------------------------------------------------------------------------------------------------- hearing

    def _joined(self, row: Row, leg: PastLeg) -> Said:
        if row.extra.get("bridge_technology") == _DEAF_BRIDGE:
            return []
        said = self._waits.asks_another(row, leg)
        bridge = str(row.extra.get("bridge_id", ""))
        self._legs.move(leg, bridge)
        self._has_dialed(leg)
        if leg.queue:  # it hears somebody, so whoever rang last has taken it
            said += self._waits.taken(row.at, leg.rings[-1], leg.rings[-1].leg) if leg.rings else self._waits.leaves(row.at, leg)
        return [*said, LegJoined(leg=leg.name, bridge=bridge, at=row.at)]

    def _parted(self, row: Row, leg: PastLeg) -> Said:
        bridge = str(row.extra.get("bridge_id", ""))
        if leg.bridge == bridge:
            self._legs.move(leg, "")
        return [LegParted(leg=leg.name, bridge=bridge, at=row.at)]

    def _music(self, row: Row, leg: PastLeg) -> Said:
        """Music is played to a leg that hears somebody: that one holds it."""
        starts = _MUSIC.get(row.detail)
        if starts is None:
            return []
        if starts:
            others = self._legs.hears(leg) if leg.bridge else []
            leg.holder = others[0].name if len(others) == 1 else ""
            return [LegHeld(leg=leg.holder, at=row.at)] if leg.holder else self._waits.asks_another(row, leg)
        holder, leg.holder = leg.holder, ""
        return [LegResumed(leg=holder, at=row.at)] if holder else []

    # ------------------------------------------------------------------------------------------------ what a leg runs

    def _app_began(self, row: Row, leg: PastLeg) -> Said:
        runs = self._runs.get(row.app)
        return [] if runs is None or leg.replaced else runs(row, leg)

    def _app_ended(self, row: Row, leg: PastLeg) -> Said:
        if row.app == "Dial":
            self._has_dialed(leg)
        if row.app != "Queue":
            return []
        leg.asked = ""
        return self._waits.leaves(row.at, leg) if leg.queue else []

    def _dials(self, row: Row, leg: PastLeg) -> Said:
        leg.dials = row.data
        self._legs.asks(leg)
        return []

    def _has_dialed(self, leg: PastLeg) -> None:
        if leg.dials:
            leg.dials = ""
            self._legs.asks_no_more(leg)

    def _recorded(self, row: Row, leg: PastLeg) -> Said:
        """A name that is not given is made of the leg's own, by our configuration."""
        file = row.data.partition(",")[0].rpartition("/")[2] or f"{leg.name}.raw"
        return [RecordingStarted(leg=leg.name, file=file, at=row.at)]

    # ------------------------------------------------------------------------------------------------------ transfers

    def _picked_up(self, row: Row, leg: PastLeg) -> Said:
        by = self._legs.get(row.extra.get("pickup_channel_uniqueid"))
        return [] if by is None or leg.offer is None else self._waits.taken(row.at, leg.offer, by)

    def _blind(self, row: Row, leg: PastLeg) -> Said:
        party, to = row.extra.get("transferee_channel_uniqueid", ""), row.extra.get("extension", "")
        return [Transferred(kind=TransferKind.BLIND, by=leg.name, party=str(party), to=str(to), done=True, at=row.at)]

    def _attended(self, row: Row, leg: PastLeg) -> Said:
        party, to, consult = (
            str(row.extra.get(key, "")).replace(_NOBODY, "")
            for key in ("transferee_channel_uniqueid", "transfer_target_channel_uniqueid", "channel2_uniqueid")
        )
        if row.extra.get("app"):
            self._take_over(self._legs.get(consult), self._legs.get(party))
        return [
            Transferred(kind=TransferKind.ATTENDED, by=leg.name, party=party, to=to, done=True, consult=consult, at=row.at),
        ]

    def _take_over(self, consult: PastLeg | None, party: PastLeg | None) -> None:
        """The party runs from now on what the other ran: it waits in its place, or is whom the others ring for."""
        if consult is None or party is None or consult is party:
            return
        party.asked, party.queue, party.dials = consult.asked, consult.queue, consult.dials
        party.rings, consult.rings = consult.rings, []
        for offer in party.rings:
            offer.waiting = party
        consult.queue = consult.dials = ""
        consult.replaced = True
        self._legs.asks_no_more(consult)
        if party.queue or party.dials:
            self._legs.asks(party)


def _noted(row: Row) -> Said:
    """A note of the dialplan, as UserEvent() was given it: `Kind,Key: value,…`."""
    kind, *headers = row.data.split(",")
    pairs = (header.partition(":") for header in headers if ":" in header)
    return [said_by_dialplan(row.leg, kind, tuple((key.strip(), value.strip()) for key, _, value in pairs), row.at)]
