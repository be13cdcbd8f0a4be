"""The ledger beside the books, call by call: what differs, as a plain table. Neither side is ever computed from the other.

A call all of whose steps were heard must stand in the books exactly as it was. What was said while nobody listened (in the gaps that
the ledger names) the product knows from the PBX's own books, where it reads them (`covered`): then such a call must stand there exactly
too, but for its holds, of which those books say nothing. Where it does not, the call may be unobserved; one of which nothing was heard,
and which nobody found by looking at the PBX in time, or only a main process that was killed afterwards, may be missing. All of these
are counted.
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
SOON_S: Final = 3.0  # what was heard is in the database by then
WhoSat = Callable[[str, float], frozenset[int | None]]
"""Who may be said to have sat at a seat at an instant of the host's clock."""


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
    deaf: list[tuple[float, float]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)  # when the product asked for all channels
    kills: list[float] = field(default_factory=list)

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
            self.gaps.append((line["doubtful"], line["until"]))
            self.deaf.append((line["since"], line["until"]))
        elif line["what"] == "look":
            self.looks.append(line["at"])
        else:
            self.faults.append(line)

    def gape(self, holes: Iterable[tuple[float, float]]) -> None:
        """What was heard while no disk took it is in the PBX's books, but for the holds, should the main process be killed meanwhile."""
        merged: list[tuple[float, float]] = []
        for since, until in sorted([*self.gaps, *((since - 0.1, until + 0.1) for since, until in holes)]):
            if merged and since <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
            else:
                merged.append((since, until))
        self.gaps = merged

    def looked(self, since: float, until: float) -> bool:
        """The product looked at the PBX in that time."""
        return bisect_right(self.looks, until) > bisect_right(self.looks, since)

    def clock_set(self, since: float, until: float) -> bool:
        """The PBX's clock was set in that time."""
        return any(since <= fault["at"] <= until for fault in self.faults if fault["name"] == "clock")

    def killed(self, since: float, until: float) -> bool:
        """The main process was killed in that time."""
        return any(since <= kill <= until for kill in self.kills)

    def heard(self, at: float) -> bool:
        """Somebody listened then, for sure."""
        return not _within(self.gaps, at)

    def unheard(self, at: float) -> bool:
        """Nobody listened then, for sure."""
        return _within(self.deaf, at)


def _within(spans: list[tuple[float, float]], at: float) -> bool:
    place = bisect_right(spans, (at, float("inf")))
    return place > 0 and at <= spans[place - 1][1]


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
    forgotten = {leg for call in truth.calls if call.get("forgotten") for leg in call["legs"]}
    for (_, name), rows in there.items():
        if name in forgotten:
            verdict.counts["a leg of a forgotten one as a call"] += 1
            continue
        verdict.differences.append(Difference(name, "-", "a call that never was", "-", rows[0].outcome))
    return verdict


class _Pair:
    """One call on both sides."""

    def __init__(
        self, truth: Truth, call: dict[str, Any], rows: list[BookedCall], who: WhoSat | None, covered: bool, verdict: Verdict
    ) -> None:
        self._t, self._call, self._rows, self._who, self._covered, self._verdict = truth, call, rows, who, covered, verdict
        self._heard = [self._was_heard(at) for at, _ in call["steps"]]
        self._timed = not truth.clock_set(call["started"], call["ended"])

    def _was_heard(self, at: float) -> bool:
        return self._covered or self._t.heard(at)

    @property
    def _known_by(self) -> float:
        """When the product can have known its end: when it was heard, or when it looked for the first time afterwards."""
        ended = float(self._call["ended"])
        return ended if self._heard[-1] else min((look for look in self._t.looks if look >= ended), default=float("inf"))

    def _differ(self, what: str, ledger: object, books: object) -> None:
        self._verdict.differences.append(Difference(self._call["call"], self._call["kind"], what, ledger, books))

    def _same(self, what: str, ledger: object, books: object) -> None:
        if ledger != books:
            self._differ(what, ledger, books)

    def _close(self, what: str, ledger: float, books: float | None) -> None:
        if self._timed and (books is None or abs(ledger - books) > CLOSE_S):
            self._differ(what, round(ledger, 2), None if books is None else round(books, 2))

    def _person(self, what: str, seat: str, at: float, books: int | None) -> None:
        if self._who is not None and books not in self._who(seat, at):
            self._differ(f"{what} at {seat}", sorted(self._who(seat, at), key=str), books)

    def judge(self) -> None:
        """Compare."""
        counts, call = self._verdict.counts, self._call
        counts["calls"] += 1
        if len(self._rows) > 1:
            self._differ("stands there so many times", 1, len(self._rows))
        if not self._rows:
            if self._forgotten():
                counts["missing, not looked at in time, or by one who was killed"] += 1
            else:
                self._differ("missing", call["outcome"] or "lost", "-")
            return
        if self._forgotten():
            counts["not looked at in time, or by one who was killed"] += 1
            return
        row = self._rows[0]
        counts["unobserved"] += row.unobserved
        if call["lost"]:
            counts["lost with the PBX"] += 1
            self._judge_lost(row)
        elif not self._timed:
            counts["the clock was set in it"] += 1
            self._judge_mistimed(row)
        elif all(self._heard):
            self._judge_whole(row)
        else:
            counts["partly heard"] += 1
            self._judge_partly(row)

    def _forgotten(self) -> bool:
        """Its beginning went unheard, and nobody looked before it was over, or whoever looked is gone."""
        call = self._call
        killed = not all(self._heard) and self._t.killed(call["started"], self._known_by + SOON_S)
        unseen = not self._heard[0] and not self._t.looked(call["started"], call["ended"])
        call["forgotten"] = killed or unseen
        return bool(call["forgotten"])

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
            for offer, rung in zip(entry["offers"], booked.offers, strict=False):
                self._person("who was rung", offer["seat"], offer["started"], rung.user)
            if entry["outcome"] == "answered":
                self._person("who answered", entry["offers"][-1]["seat"], entry["offers"][-1]["started"], booked.user)

    def _segments(self, row: BookedCall) -> None:
        mine = self._call["segments"]
        self._same("talks", [(s["seat"], s["queue"]) for s in mine], [(s.seat, s.queue) for s in row.segments])
        for segment, booked in zip(mine, row.segments, strict=False):
            lasted = segment["ended"] - segment["started"]
            if all(self._t.heard(at) for at, _ in self._call["steps"]):
                self._close(f"talk of {segment['seat']}", lasted - segment["held"], booked.talk_s)
                self._close(f"hold of {segment['seat']}", segment["held"], booked.hold_s)
            else:
                self._close(f"talk and hold of {segment['seat']}", lasted, booked.talk_s + booked.hold_s)
            self._person("who talked", segment["seat"], segment["started"], booked.user)

    # ----------------------------------------------------------------------------------------------------- partly heard

    def _judge_partly(self, row: BookedCall) -> None:
        """What was heard must be there; what was said of the rest may not be invented."""
        call = self._call
        self._same("direction", call["direction"], row.direction)
        heard = {step for (_, step), yes in zip(call["steps"], self._heard, strict=True) if yes}
        if self._t.unheard(call["steps"][-1][0]) and not self._covered and not row.unobserved:
            self._differ("its end was not heard, and is told as if", "unobserved", row.outcome)
        if "talks" in heard or call["outcome"] != "answered":
            answered = call["outcome"] == "answered"
            if answered != (row.outcome == "answered"):
                self._differ("outcome", call["outcome"], row.outcome)
        talked = [s["seat"] for s in call["segments"] if self._was_heard(s["started"])]
        self._subset("talks", talked, [s.seat for s in row.segments], [s["seat"] for s in call["segments"]])
        for booked in row.segments:
            begun = [s["started"] for s in call["segments"] if s["seat"] == booked.seat]
            if begun:
                self._person("who talked", booked.seat, begun[0], booked.user)

    def _subset(self, what: str, least: list[str], books: list[str], most: list[str]) -> None:
        """All that was heard, and nothing that was not."""
        if Counter(least) - Counter(books) or Counter(books) - Counter(most):
            self._differ(what, most, books)

    def _judge_mistimed(self, row: BookedCall) -> None:
        """Its times contradict one another, so that orders and lengths mean nothing: it stands there once and ended as it did."""
        answered = self._call["outcome"] == "answered"
        if all(self._heard) and answered != (row.outcome == "answered"):
            self._differ("outcome", self._call["outcome"], row.outcome)

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
