"""Every recorded stream of a real Asterisk gives exactly the calls that its table says: `tests/captures/NAME.txt` beside `NAME.ami`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cti.pbx.replay import replay
from tests.cti.call_table import table

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.ami"))


def lines(name: str) -> list[bytes]:
    return (CAPTURES / f"{name}.ami").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("name", NAMES)
def test_calls_are_as_the_table_says(name: str) -> None:
    result = replay(lines(name))
    assert table(result.calls, result.still_open) == (CAPTURES / f"{name}.txt").read_text()
    assert result.garbage == []


@pytest.mark.parametrize("name", NAMES)
def test_lines_may_end_in_any_way_and_lose_newer_headers(name: str) -> None:
    """Asterisk 18 and 20 send no TechCause; an editor may have changed the ends of lines."""
    older = [line.replace(b"\r\n", b"\n") for line in lines(name) if not line.startswith(b"TechCause")]
    result = replay(older)
    assert table(result.calls, result.still_open) == (CAPTURES / f"{name}.txt").read_text()


def test_chan_sip_names_give_the_same_calls() -> None:
    result = replay(line.replace(b"PJSIP/", b"SIP/") for line in lines("05-attended-transfer-ami"))
    assert table(result.calls) == (CAPTURES / "05-attended-transfer-ami.txt").read_text()


def test_without_time_stamps_times_are_unknown_and_the_rest_stands() -> None:
    result = replay(line for line in lines("01-inbound-answered") if not line.startswith(b"Timestamp"))
    call = result.calls[0]
    assert (call.outcome, call.started_at, call.ended_at) == ("answered", None, None)
    assert call.entries[0].outcome == "answered"
    assert call.entries[0].wait_s is None


def test_garbage_is_named_with_its_line_and_does_no_harm() -> None:
    spoiled = lines("01-inbound-answered")
    place = next(i for i, line in enumerate(spoiled) if line.startswith(b"Event: QueueCallerJoin"))
    spoiled[place:place] = [b"\xff\xfe what is this\r\n", b"\r\n"]
    spoiled[place + 4 : place + 4] = [b"no header at all\r\n"]
    result = replay(spoiled)
    assert result.garbage == [(place + 1, "\ufffd\ufffd what is this"), (place + 5, "no header at all")]
    assert table(result.calls) == (CAPTURES / "01-inbound-answered.txt").read_text()
