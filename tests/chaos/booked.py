"""A call as the product has it, in the ledger's words: read from its database, or from what its board says of a finished call."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from crm_core.kernel.db import Database
from cti.events import CallFact
from cti.storage import Call, Offer, QueueEntry, Segment, Transfer


@dataclass(slots=True, kw_only=True)
class BookedOffer:
    """One seat rung."""

    seat: str
    result: str
    user: int | None = None


@dataclass(slots=True, kw_only=True)
class BookedEntry:
    """One wait."""

    queue: str
    outcome: str
    wait_s: float | None
    user: int | None = None
    offers: list[BookedOffer] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class BookedSegment:
    """Who talked."""

    seat: str
    queue: str
    talk_s: float
    hold_s: float
    user: int | None = None


@dataclass(slots=True, kw_only=True)
class BookedCall:
    """One row of the books with what hangs on it."""

    call: str
    epoch: str
    direction: str
    caller: str
    dialed: str
    outcome: str
    answered: bool
    lasted_s: float | None
    unobserved: bool
    user: int | None = None
    entries: list[BookedEntry] = field(default_factory=list)
    segments: list[BookedSegment] = field(default_factory=list)
    transfers: list[tuple[str, str, str]] = field(default_factory=list)


def of_fact(fact: CallFact) -> BookedCall:
    """From the board's last word on a call; nobody sits anywhere then."""
    return BookedCall(
        call=fact.pbx_call_id, epoch=fact.epoch, direction=fact.direction.value, caller=fact.caller, dialed=fact.dialed,
        outcome=fact.outcome.value, answered=fact.answered_at is not None, lasted_s=_span(fact.started_at, fact.ended_at),
        unobserved=fact.unobserved,
        entries=[
            BookedEntry(queue=e.queue, outcome=e.outcome.value, wait_s=e.wait_s, offers=[BookedOffer(seat=o.extension, result=o.result.value) for o in e.offers])
            for e in fact.entries
        ],
        segments=[BookedSegment(seat=s.extension, queue=s.queue, talk_s=s.talk_s, hold_s=s.hold_s) for s in fact.segments],
        transfers=[(t.by, t.to, t.result) for t in fact.transfers],
    )  # fmt: skip


async def of_database(database: Database) -> list[BookedCall]:
    """From the product's tables. A call that stands there twice comes twice."""
    async with database.read() as db:

        async def rows(table: type, *order: Any) -> list[Any]:
            return [row._mapping for row in (await db.execute(select(table.__table__).order_by(*order))).all()]  # type: ignore[attr-defined]  # a mapped class

        offers, entries, segments, transfers = (defaultdict[int, list[Any]](list) for _ in range(4))
        for row in await rows(Offer, Offer.started_at, Offer.id):
            offers[row["entry_id"]].append(BookedOffer(seat=row["extension"], result=row["result"], user=row["user_id"]))
        for row in await rows(QueueEntry, QueueEntry.joined_at, QueueEntry.id):
            entries[row["call_id"]].append(
                BookedEntry(queue=row["queue"], outcome=row["outcome"], wait_s=row["wait_s"], user=row["user_id"], offers=offers[row["id"]])
            )  # fmt: skip
        for row in await rows(Segment, Segment.started_at, Segment.id):
            segments[row["call_id"]].append(
                BookedSegment(seat=row["extension"], queue=row["queue"], talk_s=row["talk_s"], hold_s=row["hold_s"], user=row["user_id"])
            )  # fmt: skip
        for row in await rows(Transfer, Transfer.at, Transfer.id):
            transfers[row["call_id"]].append((row["by"], row["to"], row["result"]))
        return [
            BookedCall(
                call=row["pbx_call_id"],
                epoch=row["epoch"],
                direction=row["direction"],
                caller=row["caller"],
                dialed=row["dialed"],
                outcome=row["outcome"],
                answered=row["answered_at"] is not None,
                lasted_s=_span(row["started_at"], row["ended_at"]),
                unobserved=bool(row["unobserved"]),
                user=row["user_id"],
                entries=entries[row["id"]],
                segments=segments[row["id"]],
                transfers=transfers[row["id"]],
            )
            for row in await rows(Call, Call.id)
        ]


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
