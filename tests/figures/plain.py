"""The figures once more, written from the definitions in plain Python over dumped rows: no SQL aggregates, nothing of `cti.figures`.

O offered, A answered, B abandoned, T and S the thresholds kept with each wait. A wait of exactly T is within it, short is less than S.
A share or mean whose lower number is not above zero is None. A figure belongs to the day its row says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Books:
    """The rows of one unit: queue visits, offers, segments."""

    entries: Sequence[Row]
    offers: Sequence[Row]
    segments: Sequence[Row]

    def of_day(self, day: str) -> Books:
        return Books(*([r for r in rows if r["day"] == day] for rows in (self.entries, self.offers, self.segments)))

    def of_queue(self, queue: str) -> Books:
        return Books(*([r for r in rows if r["queue"] == queue] for rows in (self.entries, self.offers, self.segments)))

    def of_agent(self, user_id: int) -> Books:
        return Books(*([r for r in rows if r["user_id"] == user_id] for rows in (self.entries, self.offers, self.segments)))


def share(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def service_level(entries: Sequence[Row]) -> float | None:
    """SL-B: answered within T ÷ (answered + abandoned − short abandons)."""
    good = below = 0
    for one in entries:
        if one["outcome"] == "answered":
            below += 1
            if one["wait_s"] is not None and one["wait_s"] <= one["sl_threshold_s"]:
                good += 1
        elif one["outcome"] == "abandoned":
            short = one["wait_s"] is not None and one["wait_s"] < one["short_abandon_s"]
            below += 0 if short else 1
    return share(good, below)


def figures(books: Books) -> dict[str, float | None]:
    """Every figure of these rows, by name."""
    answered = [e for e in books.entries if e["outcome"] == "answered"]
    abandoned = [e for e in books.entries if e["outcome"] == "abandoned"]
    handled = [s for s in books.segments if s["user_id"] is not None]
    waited = 0.0
    for one in answered:
        waited += one["wait_s"] or 0.0
    talked = handling = 0.0
    for one in handled:
        talked += one["talk_s"]
        handling += one["talk_s"] + one["hold_s"] + one["acw_s"]
    return {
        "offered": len(books.entries),
        "answered": len(answered),
        "abandoned": len(abandoned),
        "other": len([e for e in books.entries if e["outcome"] not in ("answered", "abandoned")]),
        "service_level": service_level(books.entries),
        "asa": share(waited, len(answered)),
        "abandon_rate": share(len(abandoned), len(books.entries)),
        "missed": len([o for o in books.offers if o["result"] in ("no_answer", "rejected")]),
        "handled": len(handled),
        "talk_time": round(talked, 3),
        "aht": share(handling, len(handled)),
    }


COUNTED = {
    "offered": "offered", "answered": "answered", "abandoned": "abandoned", "other": "other", "missed": "missed", "handled": "handled",
    "service_level": "answered within T", "asa": "answered", "abandon_rate": "abandoned", "talk_time": "handled", "aht": "handled",
}  # fmt: skip
"""What the list behind a figure holds: for a share, what stands above the line; for a mean or a sum, what it is over."""


def counted(name: str, books: Books) -> int:
    """How long the list behind a figure must be."""
    if COUNTED[name] == "answered within T":
        answered = [e for e in books.entries if e["outcome"] == "answered"]
        return len([e for e in answered if e["wait_s"] is not None and e["wait_s"] <= e["sl_threshold_s"]])
    return int(figures(books)[COUNTED[name]] or 0)
