"""The ledger beside the books, call by call: what differs, as a plain table. Neither side is ever computed from the other.

A call all of whose steps were heard must stand in the books exactly as it was. What was said while nobody listened (in the gaps that
the ledger names) the product can only know from the PBX's own books: where it does not read them (`covered` is False), such a call
may be unobserved, and only one of which not a single step was heard may be missing.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.booked import BookedCall

CLOSE_S: Final = 1.0
WhoSat = Callable[[str, float], int | None]
"""The person at a seat at an instant of the host's clock; None where nobody is asked after."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which ledger and books differ."""

    call: str
    kind: str
    what: str
    ledger: object
    books: object


@dataclass(slots=True, kw_only=True)
class Truth:
    """A ledger, read back."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, lines: Iterable[str]) -> Truth:
        """From the lines of its file."""
        made = cls()
        for line in lines:
            made.take(json.loads(line))
        return made

    @classmethod
    def of(cls, path: Path) -> Truth:
        """From its file."""
        return cls.read(path.read_text().splitlines())

    def take(self, line: dict[str, Any]) -> None:
        """One line more."""
        if line["what"] == "call":
            self.calls.append(line)
        elif line["what"] == "gap":
            self.gaps.append((line["since"], line["until"]))
        else:
            self.faults.append(line)

    def heard(self, at: float) -> bool:
        """Somebody listened then."""
        place = bisect_right(self.gaps, (at, float("inf")))
        return place == 0 or self.gaps[place - 1][1] < at


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came of a comparison. Counts: calls in all, unobserved ones, ones in a gap of which nothing was heard and nothing booked."""

    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def table(self, longest: int = 60) -> str:
        """For people: ledger beside books."""
        rows = [("call", "what it did", "what differs", "ledger", "books")]
        rows += [(d.call, d.kind, d.what, str(d.ledger), str(d.books)) for d in self.differences[:longest]]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows]
        if len(self.differences) > longest:
            lines.append(f"and {len(self.differences) - longest} more")
        return "\n".join([*lines, "", ", ".join(f"{name}: {count}" for name, count in sorted(self.counts.items()))])


def compare(truth: Truth, booked: Sequence[BookedCall], who: WhoSat | None = None, *, covered: bool = False) -> Verdict:
    """Every call of the ledger against the books, and the books against the ledger."""
    verdict = Verdict()
    there: defaultdict[tuple[str, str], list[BookedCall]] = defaultdict(list)
    for row in booked:
        there[(row.epoch, row.call)].append(row)
    for call in truth.calls:
        _Pair(truth, call, there.pop((call["epoch"], call["call"]), []), who, covered, verdict).judge()
    for (_, name), rows in there.items():
        verdict.differences.append(Difference(name, "-", "a call that never was", "-", rows[0].outcome))
    return verdict


class _Pair:
    """One call on both sides."""

    def __init__(
        self, truth: Truth, call: dict[str, Any], rows: list[BookedCall], who: WhoSat | None, covered: bool, verdict: Verdict
    ) -> None:
        self._t, self._call, self._rows, self._who, self._covered, self._verdict = truth, call, rows, who, covered, verdict
        self._heard = [truth.heard(at) for at, _ in call["steps"]]
        self._timed = call["offset"] == call["offset_after"]  # else the PBX's clock was set meanwhile: lengths mean nothing

    def _differ(self, what: str, ledger: object, books: object) -> None:
        self._verdict.differences.append(Difference(self._call["call"], self._call["kind"], what, ledger, books))

    def _same(self, what: str, ledger: object, books: object) -> None:
        if ledger != books:
            self._differ(what, ledger, books)

    def _close(self, what: str, ledger: float, books: float | None) -> None:
        if self._timed and (books is None or abs(ledger - books) > CLOSE_S):
            self._differ(what, round(ledger, 2), None if books is None else round(books, 2))

    def judge(self) -> None:
        """Compare."""
        counts, call = self._verdict.counts, self._call
        counts["calls"] += 1
        if len(self._rows) > 1:
            self._differ("stands there so many times", 1, len(self._rows))
        if not self._rows:
            if any(self._heard) or self._covered:
                self._differ("missing", call["outcome"] or "lost", "-")
            else:
                counts["missing, nothing of it heard"] += 1
            return
        row = self._rows[0]
        counts["unobserved"] += row.unobserved
        if call["lost"]:
            counts["lost with the PBX"] += 1
            self._judge_lost(row)
        elif all(self._heard) or (self._covered and not row.unobserved):
            self._judge_whole(row)
        else:
            counts["partly heard"] += 1
            self._judge_partly(row)

    # ------------------------------------------------------------------------------------------------------------ whole

    def _judge_whole(self, row: BookedCall) -> None:
        call = self._call
        for what in ("direction", "caller", "dialed", "outcome"):
            self._same(what, call[what], getattr(row, what))
        self._same("unobserved", False, row.unobserved)
        self._same("answered", call["answered"] is not None, row.answered)
        self._close("length", call["ended"] - call["started"], row.lasted_s)
        self._entries(row)
        self._segments(row)
        self._same("transfers", [(t["by"], t["to"], t["result"]) for t in call["transfers"]], row.transfers)

    def _entries(self, row: BookedCall) -> None:
        mine = self._call["entries"]
        self._same("waits", [(e["queue"], e["outcome"]) for e in mine], [(e.queue, e.outcome) for e in row.entries])
        for entry, booked in zip(mine, row.entries, strict=False):
            self._close(f"wait in {entry['queue']}", entry["left"] - entry["joined"], booked.wait_s)
            offers = [(o["seat"], o["result"]) for o in entry["offers"]]
            self._same("offers", offers, [(o.seat, o.result) for o in booked.offers])
            if self._who is not None:
                asked = [self._who(o["seat"], o["started"]) for o in entry["offers"]]
                self._same("who was rung", asked, [o.user for o in booked.offers])
                if entry["outcome"] == "answered":
                    self._same("who answered", self._who(entry["offers"][-1]["seat"], entry["left"]), booked.user)

    def _segments(self, row: BookedCall) -> None:
        mine = self._call["segments"]
        self._same("talks", [(s["seat"], s["queue"]) for s in mine], [(s.seat, s.queue) for s in row.segments])
        for segment, booked in zip(mine, row.segments, strict=False):
            self._close(f"talk of {segment['seat']}", segment["ended"] - segment["started"] - segment["held"], booked.talk_s)
            self._close(f"hold of {segment['seat']}", segment["held"], booked.hold_s)
            if self._who is not None:
                self._same("who talked", self._who(segment["seat"], segment["started"]), booked.user)

    # ----------------------------------------------------------------------------------------------------- partly heard

    def _judge_partly(self, row: BookedCall) -> None:
        """What was heard must be there; what was said of the rest may not be invented."""
        call = self._call
        self._same("direction", call["direction"], row.direction)
        heard = {step for (_, step), yes in zip(call["steps"], self._heard, strict=True) if yes}
        if "ends" not in heard and not self._covered and not row.unobserved:
            self._differ("its end was not heard, and is told as if", "unobserved", row.outcome)
        if "talks" in heard or call["outcome"] != "answered":
            answered = call["outcome"] == "answered"
            if answered != (row.outcome == "answered"):
                self._differ("outcome", call["outcome"], row.outcome)
        talked = [s["seat"] for s in call["segments"] if self._t.heard(s["started"])]
        self._subset("talks", talked, [s.seat for s in row.segments], [s["seat"] for s in call["segments"]])
        if self._who is not None:
            for segment in row.segments:
                truth = [s for s in call["segments"] if s["seat"] == segment.seat]
                if truth:
                    self._same("who talked", self._who(segment.seat, truth[0]["started"]), segment.user)

    def _subset(self, what: str, least: list[str], books: list[str], most: list[str]) -> None:
        """All that was heard, and nothing that was not."""
        if Counter(least) - Counter(books) or Counter(books) - Counter(most):
            self._differ(what, most, books)

    def _judge_lost(self, row: BookedCall) -> None:
        """The PBX died in it: it stands there once, and a conversation that was heard is one."""
        call = self._call
        heard = {step for (_, step), yes in zip(call["steps"], self._heard, strict=True) if yes}
        if "talks" in heard:
            self._same("outcome", "answered", row.outcome)
        elif not any(step == "talks" for _, step in call["steps"]) and row.outcome == "answered":
            self._differ("outcome", "not answered", row.outcome)
        if not row.unobserved:
            self._differ("it ended with the PBX, unseen", "unobserved", row.outcome)
