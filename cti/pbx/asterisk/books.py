"""Asterisk's own books, read for what nobody heard: its event log (CEL, as CSV; CDR without one) and the log of its queues.

A folder in, rows out, nothing understood: what they mean is told by `past`. Only the end of each book is read, as far back as is asked
for, also where it was rotated meanwhile. Formats: the columns of the sample cel_custom.conf; queue_log as
`time|call|queue|member|event|…` with whole seconds. A PBX on another host has its log folder mounted or copied here; lines that are half
there or make no sense are left out.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cti.pbx.asterisk.book_rows import COLUMNS, QueueRow, Row, read_queue_row, read_row
from cti.pbx.asterisk.cdr import ended_in, rows_of

EVENTS: Final = Path("cel-custom/Master.csv")
RECORDS: Final = Path("cdr-csv/Master.csv")
QUEUES: Final = Path("queue_log")
BOOT: Final = "QUEUESTART"  # the line with which each boot of the PBX begins in the log of the queues
_CHUNK: Final = 1 << 20
_TRIES: Final = 5  # lines at the beginning of a piece that may make no sense
_FIRST, _LAST = '"CHAN_START"', '"LINKEDID_END"'
_AT, _LEG, _CALL = 1, 14, 15  # the columns
_DISORDER_S: Final = 5.0  # rows this much earlier than asked for still follow


class Books:
    """The books in a folder, which is Asterisk's log folder or a copy of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def events(self, since: float, until: float = math.inf, *, over_by: float = -math.inf) -> list[Row]:
        """The event log from about one instant to another, by time; where none is kept, what the call detail records know of it.

        Of calls that were over by `over_by`, only the beginnings of channels: by their numbers the boots of the PBX are told apart.
        """
        if _is_kept(self._folder / EVENTS):
            lines = _end_of(self._folder / EVENTS, since, _time_in_events)
            rows = list(_rows(lines, until, over_by))
        else:
            rows = rows_of(_end_of(self._folder / RECORDS, since, ended_in), self.queues(since), until)
        return sorted((row for row in rows if since <= row.at <= until), key=lambda row: row.at)

    def queues(self, since: float) -> list[QueueRow]:
        """The log of the queues from about that instant on."""
        lines = _end_of(self._folder / QUEUES, since, _time_in_queues)
        return [row for line in lines if (row := read_queue_row(line)) is not None and row.at >= int(since)]


def _time_in_events(line: str) -> float | None:
    row = read_row(line)
    return None if row is None else row.at


def _time_in_queues(line: str) -> float | None:
    row = read_queue_row(line)
    return None if row is None else float(row.at)


def _end_of(path: Path, since: float, time_in: Any) -> list[str]:
    """The whole lines at the end of a book, back to one that is older than asked for, through the files it was rotated into."""
    lines: list[str] = []
    for one in (path, *_rotated(path)):
        found, enough = _end_of_file(one, since, time_in)
        lines = found + lines
        if enough:
            break
    return lines


def _in_a_hurry(line: str) -> tuple[float, str, str]:
    """The time, leg and call of a line; (nan, "", "") where its texts hold what parts fields, or it is no line at all."""
    fields = line.split('","')
    with contextlib.suppress(ValueError):
        if len(fields) == COLUMNS:
            return float(fields[_AT]), fields[_LEG], fields[_CALL]
    return math.nan, "", ""


def _rows(lines: Sequence[str], until: float, over_by: float) -> Iterator[Row]:
    """The rows by then; of calls that were over by `over_by`, and into which no other was merged, only where channels begin."""
    looked = [_in_a_hurry(line) for line in lines]
    over, merged, call_of = set[str](), set[str](), dict[str, str]()
    for line, (at, leg, call) in zip(lines, looked, strict=True):
        if (before := call_of.setdefault(leg, call)) != call:
            merged |= {before, call}
        if at <= over_by and line.startswith(_LAST):
            over.add(call)
    over -= merged
    for line, (at, _, call) in zip(lines, looked, strict=True):
        if at > until or (call in over and not line.startswith(_FIRST)):
            continue
        row = read_row(line)
        if row is not None:
            yield row


def _is_kept(path: Path) -> bool:
    return path.exists() or bool(_rotated(path))


def _rotated(path: Path) -> list[Path]:
    """What the file was before, newest first: `name.1`, `name-20260531`, as logrotate and Asterisk call them. Not what was packed."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            rest = entry.name.removeprefix(path.name)
            if rest != entry.name and re.fullmatch(r"[.-][0-9-]+", rest) and entry.is_file():
                found.append((entry.stat().st_mtime, Path(entry.path)))
    return [one for _, one in sorted(found, reverse=True)]


def _end_of_file(path: Path, since: float, time_in: Any) -> tuple[list[str], bool]:
    """The whole lines at the end of a file, and whether they go back far enough."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return [], False
    pieces: list[bytes] = []
    start, enough = os.fstat(file).st_size, False
    try:
        while start > 0 and not enough:
            length = min(_CHUNK, start)
            start -= length
            pieces.append(os.pread(file, length, start))
            at = next(filter(None, map(time_in, islice(_whole(pieces[-1], cut=start > 0, ended=False), _TRIES))), None)
            enough = at is not None and at < since - _DISORDER_S
    finally:
        os.close(file)
    return list(_whole(b"".join(reversed(pieces)), cut=start > 0, ended=True)), enough


def _whole(data: bytes, *, cut: bool, ended: bool) -> Iterator[str]:
    """The lines in a piece: without the first where it was cut, without the last where it has not ended."""
    last = data.rfind(b"\n") if ended else len(data)
    begin = data.find(b"\n") + 1 or len(data) if cut else 0
    while begin < last:
        end = data.find(b"\n", begin)
        line = data[begin:end] if end >= 0 else data[begin:]
        begin += len(line) + 1
        if line:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
