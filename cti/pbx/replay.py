"""Recorded events of a PBX through the very code that hears the live one, giving the finished calls.

Takes raw manager text as it came over the wire, or with a tester's marks in it (lines `> ` were sent, lines `# ` are remarks).
Nothing here knows what is done with the calls; no clock is read: what the recording doesn't say stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from cti.domain.board import CallBoard
from cti.events import CallEnded, CallFact, DomainEvent
from cti.pbx.asterisk.ami_wire import END, Message, Parser
from cti.pbx.asterisk.channel_names import ExtensionOf, digits_are_seats
from cti.pbx.asterisk.translate import Translator
from cti.pbx_events import PbxEvent


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a recording held: finished calls in order of their start, calls still open at its end, lines that made no sense."""

    calls: list[CallFact] = field(default_factory=list)
    events: list[DomainEvent] = field(default_factory=list)
    still_open: int = 0
    garbage: list[tuple[int, str]] = field(default_factory=list)


def replay(lines: Iterable[bytes], *, unit_id: int = 1, pbx_id: int = 1, extension_of: ExtensionOf = digits_are_seats) -> Replayed:
    """Play a recording. Never raises for what is in it."""
    result = Replayed()
    translator = Translator(extension_of)
    heard = (event for message in messages(lines, result.garbage) for event in translator.feed(message))
    play(heard, result, unit_id=unit_id, pbx_id=pbx_id)
    return result


def play(heard: Iterable[PbxEvent], result: Replayed, *, unit_id: int = 1, pbx_id: int = 1) -> CallBoard:
    """Play events into a new board and gather what it says; the board is given back as it stands at the end."""
    board = CallBoard(unit_id, pbx_id, "", count(1).__next__)
    for event in heard:
        result.events += board.apply(event)
    result.calls = sorted(
        (event.fact for event in result.events if isinstance(event, CallEnded)), key=lambda fact: fact.started_at or 0.0
    )
    result.still_open = len(board.calls())
    return board


def messages(lines: Iterable[bytes], garbage: list[tuple[int, str]]) -> Iterator[Message]:
    """The messages of a recording, whatever its line ends. Lines that are no header are put on `garbage` with their number."""
    parser = Parser()
    for number, block in _blocks(lines):
        good = []
        for offset, line in enumerate(block):
            if b":" in line:
                key, _, value = line.partition(b":")
                good.append(key + b": " + value.lstrip(b" "))
            elif not line.startswith(b"Asterisk Call Manager/"):
                garbage.append((number + offset, line.decode("utf-8", "replace")))
        known = len(good)
        while good and not good[0].startswith((b"Event: ", b"Response: ")):
            good.pop(0)
        if good:
            yield from parser.feed(b"\r\n".join(good) + END)
        elif known:
            garbage.append((number, block[0].decode("utf-8", "replace")))


def _blocks(lines: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Lines that belong together, with the number of the first. A new event begins a new block even if the gap was lost."""
    first, block = 1, list[bytes]()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\r\n")
        mark = line[:2] in (b"> ", b"# ") or line == b">"
        begins = line.startswith(b"Event: ") and block and not block[-1].startswith(b"Asterisk Call Manager/")
        if block and (not line or mark or begins):
            yield first, block
            block = []
        if line and not mark:
            if not block:
                first = number
            block.append(line)
    if block:
        yield first, block
