"""Lines of Asterisk's books as rows: of its event log (CEL) and of the log of its queues. What they mean is told by `past`."""

from __future__ import annotations

import csv
import json
from typing import Any, Final

from msgspec import Struct

COLUMNS: Final = 20


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


def read_row(line: str) -> Row | None:
    """A line of the event log; None where it is none."""
    try:
        fields = next(csv.reader([line], strict=True), [])
        if len(fields) < COLUMNS:
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
