"""Who waited in which line and which seats rang for them, told from the event log with the reasons of the log of the queues.

Part of `past`, which reads the rows; what a wait and an offer mean is the board's business. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cti.pbx.asterisk.book_rows import QueueRow, Row
from cti.pbx.asterisk.past_legs import PastLeg, PastLegs, Ringing
from cti.pbx.asterisk.past_lines import Exit, Lines
from cti.pbx_events import (
    LegHungUpBy,
    OfferAnswered,
    OfferMissed,
    OfferStarted,
    PbxEvent,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
)

Said = list[PbxEvent]

_AT_ONCE_S: Final = 0.05


class PastWaits:
    """The waits and offers of the legs it is shown. `rows` are all rows that will be read."""

    def __init__(self, legs: PastLegs, rows: Sequence[Row], queues: Iterable[QueueRow]) -> None:
        self._legs = legs
        self._lines = Lines(queues)
        self._ends = {row.leg: row.at for row in rows if row.kind == "HANGUP"}
        self._asked = {
            (row.leg, _queue_in(row)) for row in rows if row.app == "Queue" and row.kind in ("APP_START", "STREAM_BEGIN")
        }

    def asks(self, row: Row, leg: PastLeg) -> Said:
        """The leg began to run Queue(): it waits, or was refused at once."""
        leg.asked = row.data
        return self._enters(row.at, leg, _queue_in(row))

    def asks_another(self, row: Row, leg: PastLeg) -> Said:
        """One Queue() right after another is not told, but that the leg runs something else now."""
        if row.app != "Queue" or leg.replaced or not leg.queue or row.data == leg.asked:
            return []
        return [*self.leaves(row.at, leg), *self.asks(row, leg)]

    def moved_on(self, at: float, leg: PastLeg) -> Said:
        """The same where not even music tells: a seat rings, and by the log of the queues it is another's turn."""
        queue = self._lines.moved_to(leg.name, at)
        if not queue or (leg.name, queue) in self._asked:
            return []
        return [*self.leaves(at, leg), *self._enters(at, leg, queue)]

    def _enters(self, at: float, leg: PastLeg, queue: str) -> Said:
        position = self._lines.enter(leg.name, queue, at)
        if position is None:
            return []
        leg.queue = queue
        self._legs.asks(leg)
        return [QueueJoined(leg=leg.name, queue=queue, position=position, at=at)]

    def offered(self, at: float, leg: PastLeg, waiting: PastLeg) -> Said:
        """The queue rings a seat, or a pipe that leads to it, for a leg that waits."""
        leg.offer = Ringing(leg, waiting, waiting.queue)
        waiting.rings.append(leg.offer)
        extension = leg.endpoint.name
        return [OfferStarted(leg=waiting.name, offer_leg=leg.name, queue=waiting.queue, extension=extension, at=at)]

    def taken(self, at: float, offer: Ringing, by: PastLeg) -> Said:
        """Somebody took the call that was offered: the seat that rang, or who picked it up."""
        waiting, queue = offer.waiting, offer.queue
        said: Said = []
        if waiting.queue == queue:
            self._lines.exit(waiting.name, queue)
            waiting.queue = ""
            self._legs.asks_no_more(waiting)
            said.append(QueueLeft(leg=waiting.name, queue=queue, at=at))
        self.rings_no_more(offer)
        extension = offer.leg.endpoint.name
        return [*said, OfferAnswered(leg=waiting.name, offer_leg=by.name, queue=queue, extension=extension, at=at)]

    def missed(self, at: float, offer: Ringing) -> Said:
        """The queue rings this seat no more; the party goes on waiting."""
        self._lines.missed(offer.waiting.name, offer.queue)
        return self._unanswered(at, offer)

    def _unanswered(self, at: float, offer: Ringing) -> Said:
        self.rings_no_more(offer)
        extension = offer.leg.endpoint.name
        return [OfferMissed(leg=offer.waiting.name, offer_leg=offer.leg.name, queue=offer.queue, extension=extension, at=at)]

    def leaves(self, at: float, leg: PastLeg) -> Said:
        """The wait is over without an answer; seats that ring still may have been given up a moment before."""
        queue, leg.queue = leg.queue, ""
        self._legs.asks_no_more(leg)
        said: Said = []
        for offer in [one for one in leg.rings if self._lines.missed(leg.name, queue)]:
            said += self._unanswered(at, offer)
        how = self._lines.exit(leg.name, queue)
        gave_up = how is Exit.GAVE_UP if how is not None else self._ends.get(leg.name, at + 1) - at <= _AT_ONCE_S
        if gave_up:
            said.append(LegHungUpBy(leg=leg.name, at=at))
        if gave_up or how in (Exit.TIMED_OUT, Exit.NOBODY_LEFT):
            said.append(QueueAbandoned(leg=leg.name, queue=queue, at=at))
        return [*said, QueueLeft(leg=leg.name, queue=queue, at=at)]

    def goes_on(self, offer: Ringing, at: float) -> bool:
        """The party goes on waiting after this: the seat missed the call, the caller did not give up."""
        waiting = offer.waiting
        return waiting.queue == offer.queue and self._ends.get(waiting.name, at + 1) - at > _AT_ONCE_S

    @staticmethod
    def rings_no_more(offer: Ringing) -> None:
        """The offer is over, one way or another."""
        offer.leg.offer = None
        if offer in offer.waiting.rings:
            offer.waiting.rings.remove(offer)


def _queue_in(row: Row) -> str:
    return row.data.partition(",")[0]
