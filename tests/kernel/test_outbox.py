"""The outbox: what waits for a slow screen is bounded, and a snapshot of any size still gets through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crm_core.kernel.outbox import SEND_LIMIT, TOO_SLOW, Outbox


class Line:
    """A line that holds what was written until it is read."""

    def __init__(self, limit: int = SEND_LIMIT) -> None:
        self.waiting = 0
        self.most = 0
        self.cuts: list[tuple[int, str]] = []
        self.outbox = Outbox(self.write, lambda: self.waiting, lambda code, why: self.cuts.append((code, why)), limit)

    def write(self, message: bytes) -> None:
        self.waiting += len(message)
        self.most = max(self.most, self.waiting)

    def read(self, count: int) -> None:
        self.waiting = max(0, self.waiting - count)


def test_a_screen_that_reads_nothing_is_cut_once_with_4408() -> None:
    line = Line()
    for _ in range(10_000):
        line.outbox.send(b"x" * 1000)
    assert line.cuts == [(TOO_SLOW, "too slow")]
    assert line.most <= SEND_LIMIT
    assert line.outbox.evicted


def test_a_screen_that_reads_is_never_cut() -> None:
    line = Line()
    for _ in range(10_000):
        line.outbox.send(b"x" * 1000)
        line.read(2000)
    assert line.cuts == []


def test_a_snapshot_larger_than_the_limit_passes_and_events_may_follow_it() -> None:
    line = Line()
    line.outbox.send(b"s" * (3 * SEND_LIMIT))
    for _ in range(200):
        line.outbox.send(b"x" * 1000)
    assert line.cuts == []
    for _ in range(200):
        line.outbox.send(b"x" * 1000)
    assert len(line.cuts) == 1


def test_who_asks_for_snapshots_without_reading_is_cut_too() -> None:
    line = Line()
    for _ in range(100):
        line.outbox.send(b"s" * 300_000)
    assert len(line.cuts) == 1
    assert line.most < 5 * 1024 * 1024


@given(st.lists(st.tuples(st.integers(1, 30_000), st.integers(0, 30_000)), max_size=200))
def test_what_waits_never_exceeds_the_limit(steps: list[tuple[int, int]]) -> None:
    line = Line(limit=128 * 1024)
    for written, read in steps:
        line.outbox.send(b"x" * written)
        line.read(read)
    assert line.most <= 128 * 1024
