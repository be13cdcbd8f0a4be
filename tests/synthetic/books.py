"""Asterisk's own books as it writes them itself: the events of channels (CEL) as CSV, and the queue log.

`cel-custom/Master.csv` has the columns of Asterisk's sample cel_custom.conf, every field quoted; `queue_log` is separated by bars, with
whole seconds. Written line by line, so that they outlive everything but the disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.synthetic.floor import Channel

_COLUMNS: Final = """
    eventtype eventtime cidname cidnum cidani cidrdnis ciddnid exten context channame appname appdata amaflags accountcode uniqueid
    linkedid bridgepeer userfield userdeftype eventextra
"""
COLUMNS: Final = tuple(_COLUMNS.split())


def cel_line(at: float, name: str, c: Channel, own: str, extra: dict[str, object] | None, peer: str) -> str:
    """One line of Master.csv; `own` is what some events are called within their kind."""
    number, caller = ("" if text == "<unknown>" else text for text in (c.number, c.caller))
    young = name == "CHAN_START"
    values = {
        "eventtype": name, "eventtime": f"{at:.6f}", "cidname": caller, "cidnum": number, "cidani": "" if young else number,
        "ciddnid": "" if young else c.dialed, "exten": c.exten, "context": c.context, "channame": c.name,
        "appname": c.application, "appdata": c.data, "amaflags": "3",
        "uniqueid": c.uniqueid, "linkedid": c.linkedid, "bridgepeer": peer, "userdeftype": own,
        "eventextra": json.dumps(extra, separators=(",", ":")) if extra else "",
    }  # fmt: skip
    return ",".join('"' + values.get(column, "").replace('"', '""') + '"' for column in COLUMNS) + "\n"


def queue_line(at: float, call: str, queue: str, agent: str, name: str, *data: object) -> str:
    """One line of queue_log."""
    return "|".join([str(int(at)), call, queue, agent, name, *map(str, data)]) + "\n"


class RecordFiles:
    """The two files, in the folder that would be Asterisk's log folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "cel-custom").mkdir(parents=True, exist_ok=True)
        self._cel = (folder / "cel-custom" / "Master.csv").open("a", buffering=1)
        self._log = (folder / "queue_log").open("a", buffering=1)

    def cel(self, at: float, name: str, c: Channel, own: str, extra: dict[str, object] | None, peer: str) -> None:
        """An event of a channel."""
        self._cel.write(cel_line(at, name, c, own, extra, peer))

    def queue_log(self, at: float, call: str, queue: str, agent: str, name: str, *data: object) -> None:
        """Something happened in a queue."""
        self._log.write(queue_line(at, call, queue, agent, name, *data))
