"""A PBX tells things twice, late and out of order; the finished calls stay the same.

Every event of every capture is repeated at several distances, and every two neighbours that a PBX may swap (told within 50 ms of
one another) are swapped, one pair at a time; then hypothesis does several at once. What ends a call's last leg is left in its
place: of a finished call nothing is taken in any more.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.pbx.asterisk.translate import Translator
from cti.pbx.replay import Replayed, messages, play
from cti.pbx_events import LegEnded, PbxEvent
from tests.cti.call_table import table
from tests.cti.test_captures import NAMES, lines

NEAR_S = 0.05


def events(name: str) -> list[PbxEvent]:
    translator = Translator()
    return [event for message in messages(lines(name), []) for event in translator.feed(message)]


EVENTS = {name: events(name) for name in NAMES}


def told(heard: list[PbxEvent]) -> str:
    """The table without its times: a swap moves them by as much as the two events are apart."""
    result = Replayed()
    play(heard, result)
    return re.sub(r"\+?\d+\.\d( s)?", "T", table(result.calls, result.still_open))


def may_swap(one: PbxEvent, other: PbxEvent) -> bool:
    near = one.at is not None and other.at is not None and other.at - one.at <= NEAR_S
    return near and not isinstance(other, LegEnded)


def swapped(heard: list[PbxEvent], place: int) -> list[PbxEvent]:
    return [*heard[:place], heard[place + 1], heard[place], *heard[place + 2 :]]


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_swapped(name: str) -> None:
    heard = EVENTS[name]
    plain = told(heard)
    for place in range(len(heard) - 1):
        if may_swap(heard[place], heard[place + 1]):
            assert told(swapped(heard, place)) == plain, f"{heard[place]} after {heard[place + 1]}"


@pytest.mark.parametrize("name", NAMES)
def test_told_twice(name: str) -> None:
    heard = EVENTS[name]
    plain = Replayed()
    play(heard, plain)
    for place, event in enumerate(heard):
        for later in (1, 3, 12):
            again = Replayed()
            play([*heard[: place + later], event, *heard[place + later :]], again)
            assert table(again.calls) == table(plain.calls), f"{event} told again {later} later"
            assert len(again.events) == len(plain.events), f"{event} told again {later} later said something new"


@given(st.sampled_from(NAMES), st.data())
@settings(max_examples=150, deadline=None)
def test_much_at_once(name: str, data: st.DataObject) -> None:
    heard = list(EVENTS[name])
    if len(heard) < 2:
        return
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(heard) - 2))
        if may_swap(heard[place], heard[place + 1]):
            heard = swapped(heard, place)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(heard) - 1))
        heard.insert(data.draw(st.integers(place, len(heard))), heard[place])
    assert told(heard) == told(EVENTS[name])
