"""Every recorded stream of a real Asterisk gives exactly the calls that its table says: `tests/captures/NAME.txt` beside `NAME.ami`.

All were recorded from Asterisk 22; each is played again as older ones would have sent it. What older versions lack, by the
release notes and event pages of Asterisk:

* TechCause in Hangup, HangupRequest and SoftHangupRequest came with 20.17, 22.7 and 23.1: no 18 has it, few 20 do.
* MixMonitorStart, MixMonitorStop and MixMonitorMute came with 16.17 and 18.3: 18.0 to 18.2 tell of no recording at all.
* LoginTime in QueueMemberStatus and its kin came during 18 and 20; nothing here reads it.
* chan_sip, gone since 21, names channels and members `SIP/…` where chan_pjsip says `PJSIP/…`.

Everything else that is read (Linkedid, DestUniqueid, DialBegin, LocalBridge, BridgeTechnology, BlindTransfer, AttendedTransfer,
QueueCallerJoin/Leave/Abandon, AgentCalled/Connect/RingNoAnswer, HangupRequest) has been as it is since 13 or before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from cti.pbx.replay import replay
from tests.cti.call_table import table

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.ami"))


def lines(name: str) -> list[bytes]:
    return (CAPTURES / f"{name}.ami").read_bytes().splitlines(keepends=True)


def expected(name: str) -> str:
    return (CAPTURES / f"{name}.txt").read_text()


def as_of_20(told: bytes) -> bytes:
    return re.sub(rb"(TechCause|LoginTime): [^\r\n]*\r?\n", b"", told).replace(b"Manager/11.0.0", b"Manager/9.0.0")


def as_of_18(told: bytes) -> bytes:
    older = as_of_20(told).replace(b"Manager/9.0.0", b"Manager/7.0.0")
    return re.sub(rb"Event: MixMonitor(Start|Stop|Mute)\r?\n([^\r\n]+\r?\n)*\r?\n", b"", older)


def as_of_chan_sip(told: bytes) -> bytes:
    return as_of_18(told).replace(b"PJSIP/", b"SIP/").replace(b"ChannelType: PJSIP", b"ChannelType: SIP")


def edited(told: bytes) -> bytes:
    """By hand, with other ends of lines."""
    return told.replace(b"\r\n", b"\n")


OLDER: Final[dict[str, Callable[[bytes], bytes]]] = {"20": as_of_20, "18": as_of_18, "chan_sip": as_of_chan_sip, "edited": edited}


@pytest.mark.parametrize("name", NAMES)
def test_calls_are_as_the_table_says(name: str) -> None:
    result = replay(lines(name))
    assert table(result.calls, result.still_open) == expected(name)
    assert result.garbage == []


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize("name", NAMES)
def test_older_versions_give_the_same_calls(name: str, version: str) -> None:
    result = replay(OLDER[version](b"".join(lines(name))).splitlines(keepends=True))
    untold = r"  recorded  .*\n" if version in ("18", "chan_sip") else r"$^"
    assert table(result.calls, result.still_open) == re.sub(untold, "", expected(name))


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
    assert table(result.calls) == expected("01-inbound-answered")
