"""Asterisk's call detail records (CDR, as CSV), told as rows of its event log, for a PBX that keeps no such log.

Pure: lines in, rows out. A record knows less: whole seconds, one other party a line, neither holds nor transfers. Which leg a queue gave
the call to is told by the log of the queues; of any other call's far end only that it was there, under a name of ours. Columns: those of
cdr_csv with `loguniqueid=yes`; a record without the identifier of its channel can be matched with nothing and is left out.
Source: the CDR pages of Asterisk; sample cdr.conf.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from cti.pbx.asterisk.book_rows import QueueRow, Row

_COLUMNS: Final = 17
_CAUSES: Final = {"ANSWERED": 16, "BUSY": 17, "NO ANSWER": 19, "FAILED": 38, "CONGESTION": 34}
_QUARTER_S: Final = 900
_EPOCH: Final = re.compile(r"[0-9]{10}")
_ANSWERED: Final = "ANSWERED"


class Record(Struct, frozen=True, gc=False):
    """One line: one leg and one other that it was given to, if any. Times are UTC seconds; `answered_at` is None where nobody did."""

    leg: str
    number: str
    name: str
    dialed: str
    channel: str
    far_channel: str
    app: str
    data: str
    began_at: float
    answered_at: float | None
    ended_at: float
    disposition: str


def read_record(line: str) -> Record | None:
    """A line of the records; None where it is none."""
    try:
        fields = next(csv.reader([line], strict=True), [])
        if len(fields) < _COLUMNS or not fields[16]:
            return None
        leg = fields[16]
        began, answered, ended = (_seconds(text) for text in fields[9:12])
        if began is None or ended is None:
            return None
        ahead = _ahead(leg, began)
        name = fields[4].partition("<")[0].strip(' "')
        return Record(
            leg, fields[1], name, fields[2], fields[5], fields[6], fields[7], fields[8],
            began - ahead, None if answered is None else answered - ahead, ended - ahead, fields[14],
        )  # fmt: skip
    except (csv.Error, ValueError, OverflowError, StopIteration):
        return None


def ended_in(line: str) -> float | None:
    """When the call of a line ended, UTC seconds: records stand in that order."""
    record = read_record(line)
    return None if record is None else record.ended_at


def rows_of(lines: Iterable[str], queues: Sequence[QueueRow], until: float) -> list[Row]:
    """The rows of every call that ended by then, each call's in their order."""
    records = [one for line in lines if (one := read_record(line)) is not None and one.ended_at <= until]
    far = {one.far_channel for one in records if one.far_channel}
    named = {one.channel: one.leg for one in records if one.channel in far}  # far ends that have a record of their own
    calls: dict[str, list[Record]] = {}
    for one in records:
        if one.channel not in named:
            calls.setdefault(one.leg, []).append(one)
    taken = {row.leg: row for row in queues if row.kind == "CONNECT"}
    return [row for call in calls.values() for row in _call(call, named, taken.get(call[0].leg))]


def _call(records: Sequence[Record], named: Mapping[str, str], taken: QueueRow | None) -> Iterator[Row]:
    first = records[0]
    yield _row("CHAN_START", first.began_at, first)
    for number, record in enumerate(records):
        waits = record.app == "Queue"
        if waits:
            asked = record.answered_at if record.answered_at is not None else record.began_at
            if number == 0:
                yield _row("ANSWER", asked, record)
                yield _row("APP_START", asked, record)
        if record.far_channel and not (waits and record.disposition == _ANSWERED and taken is None):
            name = named.get(record.far_channel) or f"{record.leg}:{number}"
            yield from _far_end(record, name, taken if waits and record.disposition == _ANSWERED else None)
        if waits and number == len(records) - 1:
            yield _row("APP_END", record.ended_at, record)
    last = max(records, key=lambda one: one.ended_at)
    yield _row("HANGUP", last.ended_at, last, extra={"hangupcause": _CAUSES.get(last.disposition, 0)})


def _far_end(record: Record, name: str, taken: QueueRow | None) -> Iterator[Row]:
    """The other party: from when it was rung to when it left."""
    rung_at, answered_at = record.began_at, record.answered_at
    if taken is not None and len(taken.data) > 1:
        name = taken.data[1] or name
        answered_at = float(taken.at)
        rung_at = max(rung_at, answered_at - (float(taken.data[2]) if len(taken.data) > 2 and taken.data[2].isdigit() else 0.0))
    number = record.dialed
    yield _row("CHAN_START", rung_at, record, leg=name, channel=record.far_channel, number=number)
    if record.disposition == _ANSWERED and answered_at is not None:
        bridge = {"bridge_id": name}
        yield _row("ANSWER", answered_at, record, leg=name, channel=record.far_channel, number=number)
        if record.app != "Queue":
            yield _row("ANSWER", answered_at, record)
        yield _row("BRIDGE_ENTER", answered_at, record, leg=name, channel=record.far_channel, number=number, extra=bridge)
        yield _row("BRIDGE_ENTER", answered_at, record, extra=bridge)
        yield _row("BRIDGE_EXIT", record.ended_at, record, extra=bridge)
        yield _row("BRIDGE_EXIT", record.ended_at, record, leg=name, channel=record.far_channel, number=number, extra=bridge)
    cause = {"hangupcause": _CAUSES.get(record.disposition, 0)}
    yield _row("HANGUP", record.ended_at, record, leg=name, channel=record.far_channel, number=number, extra=cause)


def _row(
    kind: str,
    at: float,
    record: Record,
    *,
    leg: str = "",
    channel: str = "",
    number: str = "",
    extra: Mapping[str, object] | None = None,
) -> Row:
    mine = not leg
    return Row(
        kind, at, record.number if mine else number, record.name if mine else "", record.dialed if mine else "",
        record.channel if mine else channel, record.app if mine else "", record.data if mine else "", leg or record.leg, record.leg,
        dict(extra or {}),
    )  # fmt: skip


def _seconds(text: str) -> float | None:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() if text else None


def _ahead(leg: str, began: float) -> float:
    """How far the records' clock is ahead of UTC: an identifier begins with the UTC second in which its channel did."""
    made = leg.rpartition("-")[2].partition(".")[0]
    return round((began - int(made)) / _QUARTER_S) * float(_QUARTER_S) if _EPOCH.fullmatch(made) else 0.0
