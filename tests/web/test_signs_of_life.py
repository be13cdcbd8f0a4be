"""A browser that is heard of is left in peace; one that is not is asked, and let go when it does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from crm_core.web.socket import GONE, SILENT, Tab


class Wire:
    """The writer's part that a tab uses."""

    def __init__(self) -> None:
        self.pings = 0
        self.closed = 0

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, _reason: str = "") -> None:
        self.closed = code


def tab() -> tuple[Tab, Wire]:
    wire: Any = Wire()
    nobody: Any = SimpleNamespace(principal=None, lang="zh")
    socket: Any = None
    return Tab(socket, wire, nobody, ""), wire


def test_who_is_heard_of_between_two_rounds_is_not_asked() -> None:
    one, wire = tab()
    for _ in range(10):
        one.ask_for_life()
        one.silent = 0  # as whatever comes from the browser makes it
    assert wire.pings == 0 and not wire.closed


def test_who_is_silent_is_asked_twice_and_then_let_go() -> None:
    one, wire = tab()
    for _ in range(1 + SILENT):
        one.ask_for_life()
    assert wire.pings == SILENT and not wire.closed
    one.ask_for_life()
    assert wire.closed == GONE


def test_an_answer_at_the_last_moment_counts() -> None:
    one, wire = tab()
    for _ in range(20):
        for _ in range(1 + SILENT):
            one.ask_for_life()
        one.silent = 0
    assert not wire.closed
