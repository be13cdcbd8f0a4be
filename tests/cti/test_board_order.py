"""A PBX tells things twice, late, out of order or not at all; the finished calls stay the same, and nothing is left hanging.

Every event of every capture is repeated at several distances, one by one and all together, and left out once; every two
neighbours that a PBX may swap (told within 50 ms of one another) are swapped, one pair at a time. Then hypothesis does much at
once: a PBX promises an order only within one leg, so events of different legs come in any order within 50 ms. What ends a leg is
not moved before what was said earlier: of a finished call nothing is taken in any more.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.domain.board import CallBoard
from cti.pbx.asterisk.translate import Translator
from cti.pbx.recorded import messages
from cti.pbx.replay import Replayed, play
from cti.pbx_events import LegEnded, PbxEvent, Snapshot
from tests.cti.call_table import table
from tests.cti.test_captures import NAMES, lines

NEAR_S = 0.05


def events(name: str) -> list[PbxEvent]:
    translator = Translator()
    return [event for message in messages(lines(name), []) for event in translator.feed(message)]


EVENTS = {name: events(name) for name in NAMES}
LONG = [name for name in NAMES if len(EVENTS[name]) > 1]


def told(heard: list[PbxEvent]) -> str:
    """The table without what a swap moves by as much as two events are apart: times, and which of two talks began first."""
    result = Replayed()
    play(heard, result)
    whole = re.sub(r"\+?\d+\.\d( s)?", "T", table(result.calls, result.still_open))
    return re.sub(r"(?:  talk .*\n)+", lambda talks: "".join(sorted(talks[0].splitlines(keepends=True))), whole)


PLAIN = {name: told(heard) for name, heard in EVENTS.items()}


def may_swap(one: PbxEvent, other: PbxEvent) -> bool:
    near = one.at is not None and other.at is not None and other.at - one.at <= NEAR_S
    return near and not isinstance(other, LegEnded)


def swapped(heard: list[PbxEvent], place: int) -> list[PbxEvent]:
    return [*heard[:place], heard[place + 1], heard[place], *heard[place + 2 :]]


def late(heard: list[PbxEvent], delays_ms: list[int]) -> list[PbxEvent]:
    """Each event later by so much, but events of one leg in their order, and the end of a leg after all that was said before."""
    after: dict[str, float] = {}
    latest = 0.0
    arrivals = []
    for place, (event, delay) in enumerate(zip(heard, delays_ms, strict=True)):
        at = latest if event.at is None else event.at + delay / 1000
        leg = getattr(event, "leg", getattr(event, "by", ""))
        at = max(at, after.get(leg, 0.0), latest if isinstance(event, LegEnded) or not leg else 0.0)
        after[leg], latest = at, max(at, latest)
        arrivals.append((at, place))
    return [heard[place] for _, place in sorted(arrivals)]


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_swapped(name: str) -> None:
    heard = EVENTS[name]
    for place in range(len(heard) - 1):
        if may_swap(heard[place], heard[place + 1]):
            assert told(swapped(heard, place)) == PLAIN[name], f"{heard[place]} after {heard[place + 1]}"


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


@pytest.mark.parametrize("name", NAMES)
def test_everything_told_three_times(name: str) -> None:
    heard = EVENTS[name]
    plain = Replayed()
    play(heard, plain)
    for lag in (1, 2, 7, 30):
        again = [*heard]
        for place, event in reversed(list(enumerate(heard))):
            for later in (2 * lag, lag):
                again.insert(min(place + later, len(again)), event)
        result = Replayed()
        play(again, result)
        assert table(result.calls) == table(plain.calls), f"again {lag} and {2 * lag} later"


@pytest.mark.parametrize("name", LONG)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_legs_told_in_any_order(name: str, data: st.DataObject) -> None:
    heard = EVENTS[name]
    delays = data.draw(st.lists(st.integers(0, 49), min_size=len(heard), max_size=len(heard)))
    assert told(late(heard, delays)) == PLAIN[name]


@pytest.mark.parametrize("name", LONG)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_much_at_once(name: str, data: st.DataObject) -> None:
    heard = list(EVENTS[name])
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(heard) - 2))
        if may_swap(heard[place], heard[place + 1]):
            heard = swapped(heard, place)
    for _ in range(data.draw(st.integers(0, 12))):
        place = data.draw(st.integers(0, len(heard) - 1))
        heard.insert(data.draw(st.integers(place, len(heard))), heard[place])
    assert told(heard) == PLAIN[name]


def nothing_left(board: CallBoard) -> bool:
    floor = board._floor
    memory = (floor.legs, floor.calls, floor.bridges, floor.offers, floor.seats, floor.waits, floor.missing)
    return not any(memory) and not board.calls() and not board.waiting() and not board.busy_extensions()


def looked_at(board: CallBoard) -> CallBoard:
    """The board after a look at the PBX, where every leg is gone by now."""
    at = (board.heard_at or 0.0) + 1
    board.reconcile(Snapshot(at=at, epoch="", legs=(), waits=(), members=(), phones=()))
    board.apply(PbxEvent(at=at + 2))
    return board


@pytest.mark.parametrize("name", NAMES)
def test_one_event_lost_leaves_nothing_hanging(name: str) -> None:
    heard = EVENTS[name]
    for place in range(len(heard)):
        board = play([*heard[:place], *heard[place + 1 :]], Replayed())
        assert nothing_left(looked_at(board)), f"without {heard[place]}"


@pytest.mark.parametrize("name", LONG)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_lost_late_and_told_again_leaves_nothing_hanging(name: str, data: st.DataObject) -> None:
    heard = EVENTS[name]
    count = len(heard)
    told_so_often = data.draw(st.lists(st.sampled_from((1, 1, 1, 0, 2)), min_size=count, max_size=count))
    delays = data.draw(st.lists(st.integers(0, 200), min_size=count, max_size=count))
    often = dict(zip(map(id, heard), told_so_often, strict=True))
    board = play([event for event in late(heard, delays) for _ in range(often[id(event)])], Replayed())
    assert nothing_left(looked_at(board))
