"""Finished calls as a table a person can read and check: what the tests of captures compare. Times in seconds, rounded to 0.1."""

from __future__ import annotations

from collections.abc import Iterable

from cti.events import CallFact


def table(calls: Iterable[CallFact], still_open: int = 0) -> str:
    """One block per call. `+x` counts from the call's start; names are the legs' endpoints, `?` = not told."""
    blocks = ["\n".join(_lines(call)) for call in calls]
    if still_open:
        blocks.append(f"{still_open} still open")
    return "\n\n".join(blocks) + "\n" if blocks else "no call\n"


def _lines(call: CallFact) -> Iterable[str]:
    names = {leg.leg_id: leg.endpoint for leg in call.legs}
    unseen = "  unobserved" if call.unobserved else ""
    yield (
        f"{call.direction}  {call.caller or 'nobody'} -> {call.dialed or 'nothing'}  {call.outcome}"
        f"  answered {_since(call, call.answered_at)}  ended {_since(call, call.ended_at)}{unseen}"
    )
    for leg in call.legs:
        told = " ".join(word for word, moment in (("rang", leg.rang_at), ("answered", leg.answered_at)) if moment is not None)
        yield f"  leg       {leg.party} {leg.endpoint}  {leg.number or 'withheld'}  {told or 'nothing'}  cause {leg.hangup_cause}"
    for entry in call.entries:
        yield f"  wait      {entry.queue}  {entry.outcome}  {_seconds(entry.wait_s)}"
        for offer in entry.offers:
            yield f"    offer   {offer.extension}  {offer.result}"
    for segment in call.segments:
        queue = f"  from {segment.queue}" if segment.queue else ""
        who = f"{names[segment.leg_a]} - {names[segment.leg_b]}"
        yield f"  talk      {who}  {_seconds(segment.talk_s)}  held {_seconds(segment.hold_s)}{queue}"
    for transfer in call.transfers:
        yield f"  transfer  {transfer.kind} by {transfer.by} to {transfer.to}  {transfer.result}"
    for file in filter(None, [call.recording_file]):
        yield f"  recorded  {file}"


def _since(call: CallFact, moment: float | None) -> str:
    return "?" if moment is None or call.started_at is None else f"+{moment - call.started_at:.1f}"


def _seconds(length: float | None) -> str:
    return "?" if length is None else f"{abs(length):.1f} s"
