"""Asterisk's own books, read for what nobody heard: its event log (CEL, as CSV) and the log of its queues.

A folder in, rows out, nothing understood: what they mean is told by `past`. Only the end of each book is read, as far back as is asked
for, also where it was rotated meanwhile. Formats: the columns of the sample cel_custom.conf; queue_log as
`time|call|queue|member|event|…` with whole seconds. A PBX on another host has its log folder mounted or copied here; lines that are half
there or make no sense are left out.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

EVENTS: Final = Path("cel-custom/Master.csv")
QUEUES: Final = Path("queue_log")
BOOT: Final = "QUEUESTART"  # the line with which each boot of the PBX begins in the log of the queues
_COLUMNS: Final = 20
_CHUNK: Final = 1 << 20
_DISORDER_S: Final = 5.0  # rows this much earlier than asked for still follow


class Row(Struct, frozen=True, gc=False):
    """One line of the event log. `extra` holds what belongs to its kind only, `detail` which of its kind it is, if there are several."""

    kind: str
    at: float
    number: str
    name: str
    dialed: str
    channel: str
    app: str
    data: str
    leg: str
    call: str
    extra: dict[str, Any]
    detail: str = ""


class QueueRow(Struct, frozen=True, gc=False):
    """One line of the log of the queues. `at` is in whole seconds; what `data` means depends on the kind."""

    at: int
    leg: str
    queue: str
    kind: str
    data: tuple[str, ...] = ()


class Books:
    """The books in a folder, which is Asterisk's log folder or a copy of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def events(self, since: float) -> list[Row]:
        """The event log from about that instant on, by time. Empty where there is none."""
        rows = [row for line in _end_of(self._folder / EVENTS, since, _time_in_events) if (row := read_row(line)) is not None]
        return sorted((row for row in rows if row.at >= since), key=lambda row: row.at)

    def queues(self, since: float) -> list[QueueRow]:
        """The log of the queues from about that instant on."""
        lines = _end_of(self._folder / QUEUES, since, _time_in_queues)
        return [row for line in lines if (row := read_queue_row(line)) is not None and row.at >= int(since)]


def read_row(line: str) -> Row | None:
    """A line of the event log; None where it is none."""
    try:
        fields = next(csv.reader([line], strict=True), [])
        if len(fields) < _COLUMNS:
            return None
        extra = json.loads(fields[19]) if fields[19] else {}
        return Row(
            fields[0], float(fields[1]), fields[3], fields[2], fields[7], fields[9], fields[10], fields[11], fields[14], fields[15],
            extra if isinstance(extra, dict) else {}, fields[18],
        )  # fmt: skip
    except (csv.Error, ValueError, StopIteration):
        return None


def read_queue_row(line: str) -> QueueRow | None:
    """A line of the log of the queues; None where it is none."""
    fields = line.split("|")
    if len(fields) < 5 or not fields[0].isdigit():
        return None
    return QueueRow(int(fields[0]), fields[1], fields[2], fields[4], tuple(fields[5:]))


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
    enough = False
    try:
        size = os.fstat(file).st_size
        start = size
        data = b""
        while start > 0:
            length = min(_CHUNK, start)
            start -= length
            data = os.pread(file, length, start) + data
            first = next(_whole(data, cut=start > 0, ended=False), None)
            at = None if first is None else time_in(first)
            if at is not None and at < since - _DISORDER_S:
                enough = True
                break
        return list(_whole(data, cut=start > 0, ended=True)), enough
    finally:
        os.close(file)


def _whole(data: bytes, *, cut: bool, ended: bool) -> Iterator[str]:
    """The lines in a piece: without the first where it was cut, without the last where it has not ended."""
    lines = data.split(b"\n")
    last = len(lines) - 1 if ended else len(lines)
    for number, line in enumerate(lines[:last]):
        if line and not (cut and number == 0):
            yield line.rstrip(b"\r").decode("utf-8", "replace")
