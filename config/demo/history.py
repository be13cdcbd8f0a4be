"""Thirty days of calls that never happened, as finished calls and the people in them; always the same for the same seed and day.

It only makes facts, with the same types as the real thing, and lets the product's own books turn them into rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.days import day_of, span_of
from crm_core.entities.org import User
from crm_core.entities.people import ContactPoint
from crm_core.kernel.ids import id_at
from crm_core.numbers import NumberRules
from cti.events import CallFact, Direction, EntryFact, EntryOutcome, LegFact, OfferFact, Outcome, SegmentFact
from cti.pbx_events import OfferResult
from cti.services.call_books import Rows
from cti.storage import CallLink, Queue, QueueAgent, Segment
from recordings.storage import Recording

DAYS = 30
HOURS = (2, 1, 0, 0, 0, 1, 3, 8, 22, 30, 28, 22, 12, 18, 26, 27, 24, 17, 9, 6, 5, 4, 3, 2)
EPOCH = "history"
WITHOUT_SOUND = "calls of the demo's history have no sound"


@dataclass(slots=True)
class Made:
    """A finished call, the wrap-up after it, and the customer behind its number."""

    fact: CallFact
    acw_s: float
    customer_id: int | None


@dataclass(slots=True)
class Past:
    """What the makers of history know."""

    unit_id: int
    pbx_id: int
    zone: str
    points: Sequence[tuple[str, int]]
    agents: Mapping[str, Sequence[str]]
    rng: random.Random
    last_ms: dict[int, int] = field(default_factory=dict)

    def new_id(self, at: float) -> int:
        """An identifier of that moment."""
        base = id_at(at)
        self.last_ms[base] = self.last_ms.get(base, 0) + 1
        return base | self.last_ms[base]


def calls(past: Past, today: date, until: float) -> Iterator[Made]:
    """The calls of DAYS days up to `until`, oldest first; weekends are quiet."""
    for back in range(DAYS, -1, -1):
        day = today - timedelta(days=back)
        start, _ = span_of(day.isoformat(), past.zone)
        share = 0.35 if day.weekday() >= 5 else 1.0
        moments = sorted(
            start + hour * 3600 + past.rng.uniform(0, 3600)
            for hour, busy in enumerate(HOURS)
            for _ in range(round(busy * share * past.rng.uniform(0.35, 0.65)))
        )
        yield from (_one(past, at, n) for n, at in enumerate(moments) if at < until - 1800)


def _one(past: Past, at: float, n: int) -> Made:
    rng = past.rng
    queue = rng.choices(("support", "parts", "vip"), (60, 28, 12))[0]
    known = rng.random() < 0.85
    number, customer_id = (
        rng.choice(past.points) if known else (f"+86{rng.choice(('137', '152', '182'))}{rng.randrange(10**8):08}", None)
    )
    joined = at + rng.uniform(0.1, 0.4)
    patience, wait = rng.expovariate(1 / 90) + 1, min(rng.expovariate(1 / 14) + 1.5, 240)
    answered = wait < patience
    left = joined + (wait if answered else patience)
    agents = list(past.agents[queue])
    rng.shuffle(agents)
    offers = _offers(past, joined, left, agents, answered)
    entry = EntryFact(
        entry_id=past.new_id(joined), queue=queue, joined_at=joined, left_at=left, wait_s=left - joined,
        outcome=EntryOutcome.ANSWERED if answered else EntryOutcome.ABANDONED, offers=tuple(offers),
    )  # fmt: skip
    talk = rng.lognormvariate(4.9, 0.6) if answered else 0.0
    hold = rng.uniform(5, 60) if answered and rng.random() < 0.15 else 0.0
    ended = left + talk + hold
    winner = offers[-1].extension if answered else ""
    legs = _legs(past, at, left, ended, number, winner)
    segments: tuple[SegmentFact, ...] = ()
    if answered:
        segments = (
            SegmentFact(segment_id=past.new_id(left), leg_a=legs[0].leg_id, leg_b=legs[1].leg_id, extension=winner, queue=queue,
                        started_at=left, ended_at=ended, talk_s=talk, hold_s=hold),
        )  # fmt: skip
    fact = CallFact(
        unit_id=past.unit_id, pbx_id=past.pbx_id, epoch=EPOCH, pbx_call_id=f"{at:.3f}-{n}", call_id=past.new_id(at), direction=Direction.INBOUND,
        caller=number.removeprefix("+86"), caller_name="", dialed="", started_at=at, answered_at=left if answered else None, ended_at=ended,
        outcome=Outcome.ANSWERED if answered else Outcome.ABANDONED, recording_file="", legs=legs, entries=(entry,), segments=segments, transfers=(),
    )  # fmt: skip
    return Made(fact, rng.uniform(4, 40) if answered else 0.0, customer_id)


def _offers(past: Past, joined: float, left: float, agents: list[str], answered: bool) -> list[OfferFact]:
    missed = past.rng.random() < 0.06 and left - joined > 16 and len(agents) > 1
    found = []
    at = max(left - past.rng.uniform(1.5, 7), joined)
    if missed:
        found.append(_offer(past, max(at - 15.0, joined), at, agents[1], OfferResult.NO_ANSWER))
    if answered:
        found.append(_offer(past, at, left, agents[0], OfferResult.ANSWERED))
    elif past.rng.random() < 0.4:
        found.append(_offer(past, at, left, agents[0], OfferResult.CALLER_LEFT))
    return found


def _offer(past: Past, start: float, end: float, extension: str, result: OfferResult) -> OfferFact:
    return OfferFact(offer_id=past.new_id(start), extension=extension, started_at=start, ended_at=end, result=result)


def _legs(past: Past, at: float, left: float, ended: float, number: str, winner: str) -> tuple[LegFact, ...]:
    outside = LegFact(
        leg_id=past.new_id(at), pbx_leg_id=f"{at:.3f}-a", party="trunk", endpoint="carrier", number=number.removeprefix("+86"), started_at=at,
        rang_at=None, answered_at=at, ended_at=ended, hangup_cause=16,
    )  # fmt: skip
    if not winner:
        return (outside,)
    seat = LegFact(
        leg_id=past.new_id(left), pbx_leg_id=f"{at:.3f}-b", party="seat", endpoint=winner, number=winner, started_at=left - 3, rang_at=left - 3,
        answered_at=left, ended_at=ended, hangup_cause=16,
    )  # fmt: skip
    return (outside, seat)


async def write(
    db: AsyncConnection, unit_id: int, pbx_id: int, zone: str, now: float, today: date, rules: NumberRules, tell: Callable[[int], None], seed: int = 7
) -> int:  # fmt: skip
    """Write the whole history; returns how many calls. In history a seat's extension is its agent's login."""
    people = {r.login: r.id for r in await db.execute(select(User.login, User.id).where(User.unit_id == unit_id))}
    limits = {
        (pbx_id, r.name): (r.sl_threshold_s, r.short_abandon_s)
        for r in await db.execute(select(Queue.__table__).where(Queue.pbx_id == pbx_id))
    }
    members = await db.execute(
        select(Queue.name, User.login).join(QueueAgent, QueueAgent.queue_id == Queue.id).join(User, User.id == QueueAgent.user_id)
        .where(Queue.pbx_id == pbx_id).order_by(User.login)
    )  # fmt: skip
    agents: dict[str, list[str]] = {}
    for queue, login in members:
        agents.setdefault(queue, []).append(login)
    keys = await db.execute(
        select(ContactPoint.key, ContactPoint.customer_id)
        .where(ContactPoint.unit_id == unit_id)
        .order_by(ContactPoint.id)
        .limit(4000)
    )
    points = [(k, c) for k, c in keys]
    past = Past(unit_id, pbx_id, zone, points, agents, random.Random(seed))  # noqa: S311 - a demo, not a secret
    count, batch = 0, []
    for made in calls(past, today, now):
        batch.append(made)
        count += 1
        if len(batch) == 250:
            await _put(db, past, batch, people, limits, rules)
            batch = []
            tell(count)
    await _put(db, past, batch, people, limits, rules)
    return count


async def _put(
    db: AsyncConnection, past: Past, batch: list[Made], people: Mapping[str, int], limits: Mapping[tuple[int, str], tuple[int, int]], rules: NumberRules
) -> None:  # fmt: skip
    tables: dict[type, list[dict[str, Any]]] = {}
    for made in batch:
        at = made.fact.started_at or 0.0
        for table, rows in Rows(made.fact, day_of(at, past.zone), past.zone, lambda e, _: people.get(e), limits, rules).all():
            if table is Segment:
                rows = [{**row, "acw_s": made.acw_s} for row in rows]
            tables.setdefault(table, []).extend(rows)
        base = {"unit_id": past.unit_id, "call_id": made.fact.call_id, "at": at}
        if made.customer_id is not None:
            tables.setdefault(CallLink, []).append(
                {**base, "id": past.new_id(at), "kind": "customer", "thing_id": made.customer_id, "made_by": "number"}
            )
        if made.fact.segments:
            sound = {"pbx_id": past.pbx_id, "state": "none", "why": WITHOUT_SOUND, "path": "", "sha256": ""}
            tables.setdefault(Recording, []).append({**base, **sound, "id": past.new_id(at)})
    for table, rows in tables.items():
        if rows:
            await db.execute(insert(table), rows)
