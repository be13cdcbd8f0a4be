"""Recorded events of a PBX through the very code that hears the live one, giving the finished calls.

No clock is read: what the recording doesn't say stays unknown. `told` shows a call to people and programs outside, in the PBX's own
words for channels; nowhere else do these words leave the driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cti.domain.board import CallBoard
from cti.events import CallEnded, CallFact, DomainEvent
from cti.pbx.asterisk.channel_names import ExtensionOf, digits_are_seats
from cti.pbx.asterisk.translate import Translator
from cti.pbx.recorded import Garbage, messages
from cti.pbx_events import PbxEvent


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a recording held: finished calls in order of their start, calls still open at its end, lines that made no sense."""

    calls: list[CallFact] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)  # by the PBX's name of the leg
    events: list[DomainEvent] = field(default_factory=list)
    still_open: int = 0
    garbage: Garbage = field(default_factory=list)


def replay(lines: Iterable[bytes], *, unit_id: int = 1, pbx_id: int = 1, extension_of: ExtensionOf = digits_are_seats) -> Replayed:
    """Play a recording. Never raises for what is in it."""
    result = Replayed()
    translator = Translator(extension_of)

    def heard() -> Iterator[PbxEvent]:
        for message in messages(lines, result.garbage):
            if message.name == "Newchannel":
                result.channels.setdefault(message.get("Uniqueid"), message.get("Channel"))
            yield from translator.feed(message)

    play(heard(), result, unit_id=unit_id, pbx_id=pbx_id)
    return result


def play(heard: Iterable[PbxEvent], result: Replayed, *, unit_id: int = 1, pbx_id: int = 1) -> CallBoard:
    """Play events into a new board and gather what it says; the board is given back as it stands at the end."""
    board = CallBoard(unit_id, pbx_id, "", count(1).__next__)
    for event in heard:
        result.events += board.apply(event)
    result.calls = sorted(
        (event.fact for event in result.events if isinstance(event, CallEnded)),
        key=lambda fact: (fact.started_at or 0.0, fact.call_id),
    )
    result.still_open = len(board.calls())
    return board


def told(fact: CallFact, channels: Mapping[str, str]) -> dict[str, Any]:
    """A finished call in the PBX's words, ready for JSON. Instants are seconds since the Unix epoch, null where nothing told them."""
    legs = {leg.leg_id: channels.get(leg.pbx_leg_id, leg.pbx_leg_id) for leg in fact.legs}
    return {
        "pbx_call_id": fact.pbx_call_id,
        "direction": fact.direction,
        "caller": fact.caller,
        "dialed": fact.dialed,
        "started_at": fact.started_at,
        "answered_at": fact.answered_at,
        "ended_at": fact.ended_at,
        "outcome": fact.outcome,
        "legs": [
            {
                "channel": legs[leg.leg_id],
                "endpoint": leg.endpoint,
                "number": leg.number,
                "rang": leg.rang,
                "answered": leg.answered,
                "hangup_cause": leg.hangup_cause,
            }
            for leg in fact.legs
        ],
        "queue_entries": [
            {
                "queue": entry.queue,
                "outcome": entry.outcome,
                "wait_s": _rounded(entry.wait_s),
                "offers": [{"endpoint": offer.extension, "result": offer.result} for offer in entry.offers],
            }
            for entry in fact.entries
        ],
        "segments": [
            {
                "between": [legs.get(segment.leg_a, ""), legs.get(segment.leg_b, "")],
                "talk_s": _rounded(segment.talk_s) if segment.started_at is not None else None,
                "hold_s": _rounded(segment.hold_s) if segment.started_at is not None else None,
            }
            for segment in fact.segments
        ],
        "transfers": [
            {"kind": transfer.kind, "by": transfer.by, "to": transfer.to, "result": transfer.result} for transfer in fact.transfers
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
