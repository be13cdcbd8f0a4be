"""The translator: what is read of each event is there, where Asterisk puts it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.asterisk.ami_wire import Parser
from cti.pbx.asterisk.translate import _HEADERS, HEADERS, Translator
from cti.pbx_events import LegHeld
from tests.cti.test_captures import CAPTURES


def instant(text: str) -> float | None:
    (message,) = Parser().feed(f"Event: Hold\r\nTimestamp: {text}\r\nUniqueid: 1\r\n\r\n".encode())
    (held,) = Translator().feed(message)
    assert isinstance(held, LegHeld) and held.leg == "1"
    return held.at


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_an_instant_is_the_number_that_stands_there(seconds: int, micros: int) -> None:
    assert instant(f"{seconds}.{micros:06}") == float(f"{seconds}.{micros:06}")


@pytest.mark.parametrize("text", ["", "soon", "nan", "12:30", "1.5.2", "{}", '"1"', "null", "\x00"])
def test_what_is_no_number_is_no_instant(text: str) -> None:
    assert instant(text) is None


@pytest.mark.parametrize("text", ["12", "1.5e9", "0.25"])
def test_whole_seconds_and_odd_notations_are_instants_too(text: str) -> None:
    assert instant(text) == float(text)


def test_what_is_read_of_an_event_stands_in_it_in_that_order() -> None:
    """Were it not so, nothing would be wrong but slow: each header would be looked for by itself."""
    seen = Counter[str]()
    for path in CAPTURES.glob("*.ami"):
        lines = path.read_bytes().splitlines(keepends=True)
        for message in Parser(Translator.WANTED).feed(b"".join(line for line in lines if line[:2] not in (b"> ", b"# "))):
            headers = _HEADERS.get(message.name)
            if headers is not None:
                found = headers.search(message.raw.decode())
                assert found is not None or "DialBegin" in message.name, message.raw
                assert list(message.take(headers)) == [message.get(name) for name in headers.names]
                seen[message.name] += 1
    assert set(_HEADERS) - set(seen) <= {"MixMonitorStop"}, "every kind is in some recording"


def test_all_headers_that_are_asked_for_are_known_to_those_who_spell_them() -> None:
    assert {"Uniqueid", "SecondTransfererUniqueid", "ParkeeUniqueid", "TechCause", "Timestamp"} <= HEADERS
    assert not any(name.endswith("?") for name in HEADERS)
