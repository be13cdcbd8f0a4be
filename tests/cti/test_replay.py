"""`lingxi replay`: recorded events in, finished calls out as JSON Lines; both forms of recordings, odd ones too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.replay import replay, told
from tests.cti.test_captures import CAPTURES, NAMES, lines

SHAPE = {
    "pbx_call_id", "direction", "caller", "dialed", "started_at", "answered_at", "ended_at", "outcome", "legs", "queue_entries", "segments",
    "transfers",
}  # fmt: skip


def run(*files: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The command, as a person runs it: what it printed on standard output and on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "config.main", "replay", *map(str, files)], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.splitlines()


def as_array(name: str) -> bytes:
    """A capture as panoramisk would have kept it: an array of header mappings, without sent actions and remarks."""
    events, event = [], dict[str, Any]()
    for raw in [*lines(name), b"\r\n"]:
        line = raw.rstrip(b"\r\n").decode()
        if line.startswith(("> ", "# ", "Asterisk Call Manager")):
            continue
        if not line:
            events += [event] if event else []
            event = {}
            continue
        key, _, value = line.partition(": ")
        event[key] = value if key not in event else [*(event[key] if isinstance(event[key], list) else [event[key]]), value]
    return json.dumps(events, indent=1).encode()


def test_a_call_is_told_in_the_pbx_s_words() -> None:
    calls, complaints = run(CAPTURES / "05-attended-transfer-ami.ami")
    assert complaints == []
    call = calls[0]
    assert set(call) == SHAPE
    assert (call["direction"], call["caller"], call["dialed"], call["outcome"]) == ("inbound", "4930111", "5001", "answered")
    channels = [leg["channel"] for leg in call["legs"]]
    assert channels == ["PJSIP/carrier-00000016", "PJSIP/1001-00000017", "PJSIP/1002-00000018"]
    assert set(call["legs"][1]) == {"channel", "endpoint", "number", "rang", "answered", "hangup_cause"}
    assert call["queue_entries"] == [
        {"queue": "support", "outcome": "answered", "wait_s": 0.009, "offers": [{"endpoint": "1001", "result": "answered"}]}
    ]
    assert [segment["between"] for segment in call["segments"]] == [channels[:2], channels[1:], [channels[0], channels[2]]]
    assert call["transfers"] == [{"kind": "attended", "by": "1001", "to": "1002", "result": "completed"}]


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_of_a_recording_tell_the_same(name: str) -> None:
    text, array = replay(lines(name)), replay(as_array(name).splitlines(keepends=True))
    assert array.garbage == []
    assert [told(call, array.channels) for call in array.calls] == [told(call, text.channels) for call in text.calls]
    assert array.still_open == text.still_open
    starts = [call.started_at or 0.0 for call in text.calls]
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", NAMES)
def test_without_time_stamps_only_the_times_are_missing(name: str) -> None:
    with_times = replay(lines(name))
    without = replay(line for line in lines(name) if not line.startswith(b"Timestamp"))
    for call in (told(fact, without.channels) for fact in without.calls):
        assert [call[key] for key in ("started_at", "answered_at", "ended_at")] == [None] * 3
        assert all(segment["talk_s"] is None and segment["hold_s"] is None for segment in call["segments"])
        assert all(entry["wait_s"] is None for entry in call["queue_entries"])
    assert [(c.pbx_call_id, c.outcome, [leg.answered for leg in c.legs]) for c in without.calls] == [
        (c.pbx_call_id, c.outcome, [leg.answered for leg in c.legs]) for c in with_times.calls
    ]


def test_what_is_left_over_is_told_on_standard_error(tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.ami"
    whole = lines("01-inbound-answered")
    place = next(i for i, line in enumerate(whole) if line.startswith(b"Event: Hangup"))
    spoiled.write_bytes(b"\r\n" + b"".join(whole[:place]) + b"\x1b[31mred\xff\r\n")
    calls, complaints = run(spoiled)
    assert calls == []
    assert complaints == [
        f"{spoiled}: line {place + 2} was skipped: \ufffd[31mred\ufffd",
        f"{spoiled}: 1 calls are still open at the end",
    ]


def test_a_broken_array_is_read_around_what_is_broken(tmp_path: Path) -> None:
    whole = as_array("01-inbound-answered").decode()
    events = json.loads(whole)
    events.insert(3, "a text")
    events.insert(5, {"no": "event"})
    spoiled = json.dumps(events, indent=1).replace('"no": "event"', '"no": ')
    path = tmp_path / "spoiled.json"
    path.write_text("\ufeff" + spoiled)
    calls, complaints = run(path)
    expected = replay(lines("01-inbound-answered"))
    assert calls == [told(call, expected.channels) for call in expected.calls]
    assert len(complaints) == 2
    assert "was skipped" in complaints[0]


@given(st.binary(max_size=400) | st.text('[]{}",:Event NewchannelUniqueid1\n', max_size=300).map(str.encode))
def test_nothing_is_too_odd_to_be_replayed(data: bytes) -> None:
    for form in (data, b"[" + data):
        result = replay(form.splitlines(keepends=True))
        assert result.calls == [] or all(told(call, result.channels) for call in result.calls)
