"""Identifiers: ordered by time, never twice, whatever the clock and however many threads; read back only where they are some."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.kernel.clock import ManualClock, SystemClock
from crm_core.kernel.ids import IdMaker, id_at, made_at, parse_id, stable_id


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=200))
def test_identifiers_only_grow_wherever_the_clock_goes(steps: list[float]) -> None:
    clock = ManualClock()
    make = IdMaker(clock)
    made = []
    for step in steps:
        clock.at += step
        made.append(make())
    assert all(a < b for a, b in pairwise(made))
    assert all(0 < one < 1 << 63 for one in made)


def test_more_than_a_millisecond_holds_are_still_different_and_in_order() -> None:
    make = IdMaker(ManualClock())
    made = [make() for _ in range(10_000)]
    assert all(a < b for a, b in pairwise(made))


def test_threads_never_get_the_same_one() -> None:
    make, found = IdMaker(SystemClock()), [[] for _ in range(8)]
    threads = [threading.Thread(target=lambda one=one: one.extend(make() for _ in range(2000))) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = [i for one in found for i in one]
    assert len(set(whole)) == len(whole) == 16_000
    assert all(one == sorted(one) for one in found)


def test_nodes_never_get_the_same_one() -> None:
    clock = ManualClock()
    assert not {IdMaker(clock, 1)() for _ in range(1)} & {IdMaker(clock, 2)() for _ in range(1)}
    for node in (-1, 1024):
        with pytest.raises(ValueError, match="node"):
            IdMaker(clock, node)


@given(st.floats(1_704_067_201, 3_900_000_000))
def test_an_identifier_tells_when_it_was_made(at: float) -> None:
    made = IdMaker(ManualClock(at))()
    assert abs(made_at(made) - at) < 0.0011
    assert id_at(at) <= made < id_at(at + 0.002)


@given(st.integers(1, (1 << 63) - 1))
def test_an_identifier_survives_json(identifier: int) -> None:
    assert parse_id(str(identifier)) == parse_id(identifier) == identifier


NONE_OF_THEM = st.one_of(
    st.none(), st.booleans(), st.floats(), st.binary(), st.lists(st.integers()), st.integers(max_value=0), st.integers(min_value=1 << 63),
    st.text().filter(lambda t: not (t.isascii() and t.isdigit() and 0 < int(t) < 1 << 63 and len(t) <= 19)),
    st.sampled_from(["²", "٣", "１２", " 1", "1 ", "+1", "-1", "1e3", "0x1", "1_000", "9" * 5000]),
)  # fmt: skip


@given(NONE_OF_THEM)
def test_what_is_no_identifier_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="identifier"):
        parse_id(value)


NAMES = st.one_of(st.from_regex(r"1[67]\d{8}\.\d{1,6}", fullmatch=True), st.text(max_size=40))


@given(st.integers(1, 1 << 62), st.text(max_size=20), NAMES)
def test_what_another_system_named_has_one_identifier(owner: int, epoch: str, name: str) -> None:
    now = 1_795_309_340.0
    made = stable_id(owner, epoch, name, now)
    assert made == stable_id(owner, epoch, name, now) and 0 < made < 1 << 63
    others = {
        stable_id(owner + 1, epoch, name, now),
        stable_id(owner, epoch + "x", name, now),
        stable_id(owner, epoch, name + "x", now),
    }
    assert made not in others


def test_an_identifier_of_a_name_with_a_time_does_not_ask_the_clock() -> None:
    assert stable_id(1, "e", "1795309342.17", 5.0) == stable_id(1, "e", "1795309342.17", 9e9)
    assert abs(made_at(stable_id(1, "e", "pbx-1795309342.17", 0)) - 1795309342.017) < 0.002
    assert stable_id(1, "e", "no time", 1e9) != stable_id(1, "e", "no time", 2e9)
