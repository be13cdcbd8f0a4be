"""Every figure of the day, defined once: the rows it counts, the formula people read, and the title. No database in here beyond
conditions on columns: the same condition counts the figure and lists the calls behind it, so the two can't differ.

Definitions and letters follow the usual ones: O offered, A answered, B abandoned, T the queue's service-level threshold, S its
short-abandon threshold. A wait of exactly T is within it; short is `wait < S`. Service level is SL-B: short abandons are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_

from cti.events import EntryOutcome
from cti.pbx_events import OfferResult
from cti.storage import Offer, QueueEntry, Segment

Table = type[QueueEntry] | type[Offer] | type[Segment]
MISSED = (OfferResult.NO_ANSWER.value, OfferResult.REJECTED.value)


@dataclass(frozen=True, slots=True)
class Count:
    """A set of rows: what is in it."""

    table: Table
    where: Callable[[], ColumnElement[bool]]


ANSWERED = EntryOutcome.ANSWERED.value
ABANDONED = EntryOutcome.ABANDONED.value

COUNTS: dict[str, Count] = {
    "offered": Count(QueueEntry, lambda: QueueEntry.id.is_not(None)),
    "answered": Count(QueueEntry, lambda: QueueEntry.outcome == ANSWERED),
    "abandoned": Count(QueueEntry, lambda: QueueEntry.outcome == ABANDONED),
    "other": Count(QueueEntry, lambda: QueueEntry.outcome.not_in((ANSWERED, ABANDONED))),
    "in_target": Count(QueueEntry, lambda: and_(QueueEntry.outcome == ANSWERED, QueueEntry.wait_s <= QueueEntry.sl_threshold_s)),
    "short_abandons": Count(
        QueueEntry, lambda: and_(QueueEntry.outcome == ABANDONED, QueueEntry.wait_s < QueueEntry.short_abandon_s)
    ),
    "missed": Count(Offer, lambda: Offer.result.in_(MISSED)),
    "handled": Count(Segment, lambda: Segment.user_id.is_not(None)),
}

SUMS: dict[str, tuple[str, Callable[[], ColumnElement[float]]]] = {
    "wait": ("answered", lambda: QueueEntry.wait_s),  # type: ignore[dict-item, return-value]  # a mapped column is an element
    "talk": ("handled", lambda: Segment.talk_s),  # type: ignore[dict-item, return-value]
    "handling": ("handled", lambda: Segment.talk_s + Segment.hold_s + Segment.acw_s),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as it is shown. `counts` is the set of rows that its link opens."""

    title: str
    kind: str  # count, seconds, percent
    formula: str
    counts: str


SHOWN: dict[str, Shown] = {
    "offered": Shown("Offered", "count", "O: calls that began to wait in the queue", "offered"),
    "answered": Shown("Answered", "count", "A: waits that an agent answered", "answered"),
    "abandoned": Shown("Abandoned", "count", "B: callers who hung up while waiting", "abandoned"),
    "other": Shown("Other ends", "count", "O − A − B: time-outs, overflow, callbacks, refused", "other"),
    "service_level": Shown("Service level", "percent", "SL-B = A≤T ÷ (A + B − B<S)", "in_target"),
    "asa": Shown("Speed of answer", "seconds", "Σ wait of answered ÷ A", "answered"),
    "abandon_rate": Shown("Abandonment", "percent", "B ÷ O", "abandoned"),
    "missed": Shown("Missed", "count", "offers to the seat that were not answered or were rejected", "missed"),
    "handled": Shown("Handled", "count", "conversations with an agent in them", "handled"),
    "talk_time": Shown("Talk time", "seconds", "Σ talk", "handled"),
    "aht": Shown("Handling time", "seconds", "(Σ talk + Σ hold + Σ wrap-up) ÷ handled", "handled"),
}
OF_QUEUE = ("offered", "answered", "abandoned", "other", "service_level", "asa", "abandon_rate", "aht")
OF_AGENT = ("answered", "missed", "handled", "talk_time", "aht")
OF_ALL = OF_QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure's value. `num` and `den` are the two numbers of a share or a mean; no data is None, never zero."""

    name: str
    value: float | int | None
    num: float
    den: float


def compute(name: str, counted: dict[str, float]) -> Figure:
    """A figure from its counts and sums. Zero below the line gives no value."""
    c = counted
    match name:
        case "service_level":
            num, den = c["in_target"], c["answered"] + c["abandoned"] - c["short_abandons"]
        case "abandon_rate":
            num, den = c["abandoned"], c["offered"]
        case "asa":
            num, den = c["wait"], c["answered"]
        case "aht":
            num, den = c["handling"], c["handled"]
        case "talk_time":
            return Figure(name=name, value=round(c["talk"], 3), num=c["talk"], den=1)
        case _:
            return Figure(name=name, value=int(c[name]), num=c[name], den=1)
    return Figure(name=name, value=num / den if den > 0 else None, num=num, den=den)
