"""The PBX's books of every recorded scene tell the calls of its table: by themselves, and from anywhere on where hearing stopped.

`tests/captures/NAME.cel` and `NAME.queues` lie beside `NAME.ami` and were written by the same Asterisk at the same time; NAME.txt says
what happened. Older Asterisks write no music into their event log; they are played from the same rows without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import ndiff
from itertools import count
from typing import Final

import pytest
from msgspec.structs import replace

from cti.domain.board import CallBoard
from cti.events import CallEnded, DomainEvent
from cti.pbx.asterisk.book_rows import QueueRow, Row, read_queue_row, read_row
from cti.pbx.asterisk.gaps import MARGIN_S
from cti.pbx.asterisk.past import past_of
from cti.pbx.asterisk.translate import Translator
from cti.pbx.recorded import messages
from cti.pbx_events import PbxEvent
from tests.cti.call_table import table
from tests.cti.test_captures import CAPTURES, expected, lines

NAMES: Final = sorted(path.stem for path in CAPTURES.glob("*.cel"))
_DEEP: Final = os.environ.get("LINGXI_DEEP") == "1"
_ROUNDED_S: Final = 0.15  # tables have tenths, and what is heard is stamped a moment after what is written
_TIME: Final = re.compile(r"\+?(\d+\.\d)(?: s)?(?=  |$)", re.M)


# ------------------------------------------------------------------------------------------- what the books can't know
# The rule, in one place: whether and when a phone rang is in no book. Everything else of a table is compared.


def knowable(told: str) -> str:
    return re.sub(r"  (?:rang |nothing|rang)?(answered)?  cause", lambda found: f"  {found[1] or 'silent'}  cause", told)


def knowable_by_older(told: str) -> str:
    """Without music in the event log holds are talk."""

    def whole(found: re.Match[str]) -> str:
        return f"  {float(found[1]) + float(found[2]):.1f} s  held 0.0 s"

    return re.sub(r"  (\d+\.\d) s  held (\d+\.\d) s", whole, knowable(told))


# What an older Asterisk's books tell otherwise, and why: a seat that presses a feature code to consult somebody leaves its party's
# bridge. Without its hold it looks as if it had parted: the party's time on hold counts to nobody, and who comes back was away.
OLDER_DIFFER: Final = {
    "23d-attended-transfer-busy-ami": [
        "+   talk      carrier - 1001  T  held T  from sales",
        "-   transfer  attended by 1001 to 1002  failed",
    ],
    "23h-caller-leaves-during-consultation-ami": ["4.0 for 5.6"],
    "24c-blonde-answered-ami": ["4.0 for 4.4"],
    "24d-blonde-unanswered-ami": ["4.0 for 4.4"],
}


def differences(told: str, wanted: str) -> list[str]:
    """The lines that differ, times left out; the times, where only they do."""
    want, got = (_TIME.sub("T", text).splitlines() for text in (wanted, told))
    if want != got:
        return sorted(line for line in ndiff(want, got) if line[0] in "+-")
    pairs = zip(_TIME.findall(told), _TIME.findall(wanted), strict=True)
    return [f"{one} for {other}" for one, other in pairs if abs(float(one) - float(other)) > _ROUNDED_S]


# ---------------------------------------------------------------------------------------------------------- the players


def rows(name: str) -> list[Row]:
    text = (CAPTURES / f"{name}.cel").read_text()
    return sorted((row for line in text.splitlines() if (row := read_row(line)) is not None), key=lambda row: row.at)


def older_rows(name: str) -> list[Row]:
    return [row for row in rows(name) if row.kind not in ("STREAM_BEGIN", "STREAM_END")]


def queues(name: str) -> list[QueueRow]:
    text = (CAPTURES / f"{name}.queues").read_text()
    return [row for line in text.splitlines() if (row := read_queue_row(line)) is not None]


class Player:
    """A board that hears and reads, and the table of what it then says."""

    def __init__(self) -> None:
        self._board = CallBoard(1, 1, "", count(1).__next__)
        self._said: list[DomainEvent] = []
        self.heard_at = 0.0

    def hear(self, events: Iterable[PbxEvent]) -> None:
        for event in events:
            self._said += self._board.apply(event)
            self.heard_at = max(self.heard_at, event.at or 0.0)

    def read(self, written: list[Row], name: str) -> None:
        for event in past_of(written, queues(name), self.heard_at - MARGIN_S):
            self._said += self._board.apply(event, unheard=True)

    def table(self) -> str:
        facts = [event.fact for event in self._said if isinstance(event, CallEnded)]
        return table(sorted(facts, key=lambda fact: (fact.started_at or 0.0, fact.call_id)), len(self._board.calls()))


def heard(name: str) -> list[list[PbxEvent]]:
    """What was heard in a scene, message by message."""
    translator = Translator()
    return [list(translator.feed(message)) for message in messages(lines(name), [])]


def cut(name: str, place: int, written: list[Row], *, late_s: float = 0.0) -> str:
    """The table where hearing stops before the message at `place` and the books tell the rest."""
    player = Player()
    for events in heard(name)[:place]:
        player.hear(event if event.at is None else replace(event, at=event.at + late_s) for event in events)
    player.read(written, name)
    return player.table()


def places(name: str) -> Iterable[int]:
    """Where to cut: at the thirds and in the middle; anywhere in the long run."""
    whole = len(heard(name))
    return range(whole) if _DEEP else (whole // 3, whole // 2, whole * 2 // 3)


# ------------------------------------------------------------------------------------------------------------ the tests


def test_every_scene_has_its_books() -> None:
    assert len(NAMES) >= 60
    assert all(rows(name) and queues(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_books_alone_tell_the_calls_of_the_table(name: str) -> None:
    player = Player()
    player.read(rows(name), name)
    assert differences(knowable(player.table()), knowable(expected(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_so_do_the_books_of_an_older_version(name: str) -> None:
    player = Player()
    player.read(older_rows(name), name)
    found = differences(knowable_by_older(player.table()), knowable_by_older(expected(name)))
    assert found == OLDER_DIFFER.get(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_what_was_heard_and_what_was_read_is_one_story(name: str) -> None:
    for place in places(name):
        assert (place, differences(knowable(cut(name, place, rows(name))), knowable(expected(name)))) == (place, [])


@pytest.mark.parametrize("name", NAMES)
def test_also_where_the_pbx_tells_late_what_it_writes_at_once(name: str) -> None:
    """A loaded PBX stamps what it tells when it tells it; lengths of what lies across the cut differ by as much."""
    for place in places(name):
        found = differences(knowable(cut(name, place, rows(name), late_s=0.1)), knowable(expected(name)))
        assert (place, [line for line in found if line[0] in "+-"]) == (place, [])
