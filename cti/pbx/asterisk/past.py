"""What Asterisk's books say of a time nobody listened to, in the same words as what is heard.

Pure: rows in, PbxEvents out, so that the board concludes from them as from anything else. The books know less: nothing of holds, of
ringing, of notes; a phone that was called is taken to have rung. Sources: the CEL design page of Asterisk, its queue log page.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from cti.pbx.asterisk.books import QueueRow, Row
from cti.pbx.asterisk.channel_names import ExtensionOf, dialed_number, digits_are_seats, endpoint_of, shown
from cti.pbx_events import (
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHungUpBy,
    LegJoined,
    LegParted,
    LegRinging,
    LegsPaired,
    LegStarted,
    OfferAnswered,
    OfferMissed,
    OfferStarted,
    Party,
    PbxEvent,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
    TransferKind,
    Transferred,
)

_LEAVING: Final = frozenset({"CONNECT", "ABANDON", "EXITWITHTIMEOUT", "EXITWITHKEY", "EXITEMPTY"})
_NOWHERE: Final = frozenset({"", "s", "h", "failed"})
_DEAF_BRIDGE: Final = "holding_bridge"
_AT_ONCE_S: Final = 0.05
_COUNTER: Final = re.compile(r"(\d+)\.(\d+)$")


def boots(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows of each boot of the PBX by itself: the counter in its identifiers begins anew with every boot."""
    highest, first = -1, 0
    for place, row in enumerate(rows):
        if row.kind != "CHAN_START" or not (found := _COUNTER.search(row.leg)):
            continue
        counter = int(found[2])
        if counter < highest - 50:  # a few channels may be written out of their order
            yield rows[first:place]
            first, highest = place, -1
        highest = max(highest, counter)
    yield rows[first:]


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
    """Who waits, dials and rings at the row in hand."""

    def __init__(self, rows: Sequence[Row], queues: Iterable[QueueRow], extension_of: ExtensionOf) -> None:
        self._extension_of = extension_of
        self._queue: dict[str, str] = {}  # leg → queue it waits in
        self._waits: dict[str, str] = {}  # call → leg that waits
        self._dials: dict[str, tuple[str, str]] = {}  # call → leg that dials, and what
        self._offers: dict[str, tuple[str, str, str]] = {}  # offer leg → waiting leg, queue, extension
        self._halves: dict[str, str] = {}  # first half of a pipe → its leg
        self._ends = {row.leg: row.at for row in rows if row.kind == "HANGUP"}
        self._exits: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        for exit in queues:
            if exit.kind in _LEAVING:
                self._exits[(exit.leg, exit.queue)].append(exit.kind)
        self._say: dict[str, Callable[[Row], list[PbxEvent]]] = {
            "CHAN_START": self._started,
            "ANSWER": self._answered,
            "APP_START": self._app_began,
            "APP_END": self._app_ended,
            "BRIDGE_ENTER": self._joined,
            "BRIDGE_EXIT": lambda row: [LegParted(leg=row.leg, bridge=str(row.extra.get("bridge_id", "")), at=row.at)],
            "HANGUP": self._ended,
            "BLINDTRANSFER": self._blind,
            "ATTENDEDTRANSFER": self._attended,
        }

    def take(self, row: Row) -> list[PbxEvent]:
        say = self._say.get(row.kind)
        return [] if say is None else say(row)

    # ----------------------------------------------------------------------------------------------------------- legs

    def _started(self, row: Row) -> list[PbxEvent]:
        endpoint = endpoint_of(row.channel, self._extension_of)
        inward = row.leg == row.call and row.dialed not in _NOWHERE and endpoint.party is not Party.SYSTEM
        seat = endpoint.party is Party.SEAT
        number = endpoint.name if seat else shown(row.number) if inward else ""
        said: list[PbxEvent] = [
            LegStarted(
                call=row.call, leg=row.leg, endpoint=endpoint, number=number, name=shown(row.name), dialed=row.dialed if inward else "",
                inward=inward, at=row.at,
            )
        ]  # fmt: skip
        said += self._pair(row)
        if not inward and endpoint.party is not Party.SYSTEM:
            said += self._called(row, endpoint.name if seat else "", seat=seat)
        return said

    def _pair(self, row: Row) -> list[PbxEvent]:
        pipe, _, half = row.channel.rpartition(";")
        if not row.channel.startswith("Local/") or half not in ("1", "2"):
            return []
        other = self._halves.setdefault(pipe, row.leg)
        return [] if other == row.leg else [LegsPaired(leg=other, other=row.leg, at=row.at)]

    def _called(self, row: Row, extension: str, *, seat: bool) -> list[PbxEvent]:
        """A leg towards somebody: called for whoever waits or dials in the same call."""
        waiting = self._waits.get(row.call)
        said: list[PbxEvent] = []
        if waiting is not None and seat:
            queue = self._queue[waiting]
            self._offers[row.leg] = (waiting, queue, extension)
            said.append(OfferStarted(leg=waiting, offer_leg=row.leg, queue=queue, extension=extension, at=row.at))
            said.append(LegDialed(leg=row.leg, by=waiting, dialed=extension, at=row.at))
        elif row.call in self._dials:
            by, what = self._dials[row.call]
            said.append(
                LegDialed(leg=row.leg, by=by, dialed=extension if seat else dialed_number(what.partition(",")[0]), at=row.at)
            )
        return [*said, LegRinging(leg=row.leg, at=row.at)] if seat else said

    def _answered(self, row: Row) -> list[PbxEvent]:
        said: list[PbxEvent] = [LegAnswered(leg=row.leg, at=row.at)]
        offer = self._offers.pop(row.leg, None)
        if offer is not None:
            leg, queue, extension = offer
            if self._queue.pop(leg, None) is not None:
                self._waits.pop(row.call, None)
                self._next_exit(leg, queue)
                said.append(QueueLeft(leg=leg, queue=queue, at=row.at))
            said.append(OfferAnswered(leg=leg, offer_leg=row.leg, queue=queue, extension=extension, at=row.at))
        return said

    def _joined(self, row: Row) -> list[PbxEvent]:
        if row.extra.get("bridge_technology") == _DEAF_BRIDGE:
            return []
        return [LegJoined(leg=row.leg, bridge=str(row.extra.get("bridge_id", "")), at=row.at)]

    def _ended(self, row: Row) -> list[PbxEvent]:
        said: list[PbxEvent] = []
        offer = self._offers.pop(row.leg, None)
        if offer is not None and self._waits_on(offer[0], row.at):
            leg, queue, extension = offer
            said.append(OfferMissed(leg=leg, offer_leg=row.leg, queue=queue, extension=extension, at=row.at))
        if row.extra.get("hangupsource") == row.channel:
            said.append(LegHungUpBy(leg=row.leg, at=row.at))
        cause = row.extra.get("hangupcause")
        return [*said, LegEnded(leg=row.leg, cause=cause if isinstance(cause, int) else 0, at=row.at)]

    def _waits_on(self, leg: str, at: float) -> bool:
        """The party goes on waiting after this: the seat missed the call, the caller did not give up."""
        return leg in self._queue and self._ends.get(leg, at + 1) - at > _AT_ONCE_S

    # --------------------------------------------------------------------------------------------------------- queues

    def _app_began(self, row: Row) -> list[PbxEvent]:
        if row.app == "Queue":
            queue = row.data.partition(",")[0]
            self._queue[row.leg], self._waits[row.call] = queue, row.leg
            return [QueueJoined(leg=row.leg, queue=queue, position=0, at=row.at)]
        if row.app == "Dial":
            self._dials[row.call] = (row.leg, row.data)
        return []

    def _app_ended(self, row: Row) -> list[PbxEvent]:
        if row.app == "Dial":
            self._dials.pop(row.call, None)
        queue = self._queue.pop(row.leg, None) if row.app == "Queue" else None
        if queue is None:
            return []
        self._waits.pop(row.call, None)
        kind = self._next_exit(row.leg, queue)
        gave_up = kind == "ABANDON" if kind else self._ends.get(row.leg, row.at + 1) - row.at <= _AT_ONCE_S
        said: list[PbxEvent] = [LegHungUpBy(leg=row.leg, at=row.at)] if gave_up else []
        if gave_up or kind == "EXITWITHTIMEOUT":
            said.append(QueueAbandoned(leg=row.leg, queue=queue, at=row.at))
        return [*said, QueueLeft(leg=row.leg, queue=queue, at=row.at)]

    def _next_exit(self, leg: str, queue: str) -> str:
        exits = self._exits.get((leg, queue))
        return exits.popleft() if exits else ""

    # ------------------------------------------------------------------------------------------------------ transfers

    def _blind(self, row: Row) -> list[PbxEvent]:
        party, to = row.extra.get("transferee_channel_uniqueid", ""), row.extra.get("extension", "")
        return [Transferred(kind=TransferKind.BLIND, by=row.leg, party=str(party), to=str(to), done=True, at=row.at)]

    def _attended(self, row: Row) -> list[PbxEvent]:
        party, to = row.extra.get("transferee_channel_uniqueid", ""), row.extra.get("transfer_target_channel_uniqueid", "")
        return [Transferred(kind=TransferKind.ATTENDED, by=row.leg, party=str(party), to=str(to), done=True, at=row.at)]
