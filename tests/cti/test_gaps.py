"""Where a gap begins, and what tells it: the journal's last word of the PBX, and a file that ends in the middle of a message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cti.pbx.asterisk.ami_wire import link_block
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.gaps import Gaps, last_stamp
from cti.pbx.asterisk.journal import place
from cti.pbx_events import Booted, LegAnswered, LegEnded, LegStarted, LinkUp, PbxEvent
from cti.ports import Batch


def event(name: str, at: float) -> bytes:
    return f"Event: {name}\r\nTimestamp: {at:.6f}\r\nUniqueid: u-1.1\r\nChannelState: 6\r\n\r\n".encode()


def test_a_gap_begins_with_the_last_word_of_the_pbx_and_not_with_ours(tmp_path: Path) -> None:
    words = event("Newstate", 1000.0) + event("Hangup", 1001.5) + link_block(up=False, at=1004.5, why="silent")
    (tmp_path / "000000001-x.ami").write_bytes(words)
    (tmp_path / "000000002-y.ami").write_bytes(link_block(up=True, at=1010.0, epoch="b"))
    assert last_stamp(tmp_path, place("000000001-x.ami", len(words))) == 1001.5
    assert last_stamp(tmp_path, place("000000002-y.ami", 0)) == 1001.5
    assert last_stamp(tmp_path, place("000000001-x.ami", len(event("Newstate", 1000.0)))) == 1000.0
    assert last_stamp(tmp_path, place("000000001-x.ami", 0)) is None


def test_half_a_message_at_the_end_of_a_file_does_not_hide_what_the_next_begins_with(tmp_path: Path) -> None:
    driver = AsteriskDriver(host="127.0.0.1", port=1, user="u", secret="s", journal=tmp_path)
    first = event("Newstate", 1000.0) + event("Hangup", 1001.0)[:40]
    told = driver._batch(first, place("000000001-x.ami", len(first)))
    assert [type(one) for one in told.events] == [LegAnswered]
    after = link_block(up=True, at=1010.0, epoch="b") + event("Hangup", 1011.0)
    told = driver._batch(after, place("000000002-y.ami", len(after)))
    assert [type(one) for one in told.events] == [Booted, LinkUp, LegEnded]
    assert told.position == place("000000002-y.ami", len(after))


async def test_a_clock_that_is_set_back_moves_where_the_gap_begins(tmp_path: Path) -> None:
    """What was heard last counts, not what was latest."""
    (tmp_path / "cel-custom").mkdir()
    row = '"HANGUP","{at}","","","","","","s","c","PJSIP/1001-1","","","3","","u-1.1","u-1.1","","","","{{""hangupcause"":16}}"\n'
    (tmp_path / "cel-custom/Master.csv").write_text(row.format(at=1402.0) + row.format(at=5000.5))
    gaps = Gaps(tmp_path, lambda name: name, tmp_path)
    heard = [LegAnswered(leg="u-1.1", at=5000.0), LegAnswered(leg="u-1.1", at=1400.0)]
    await gaps.filled(Batch(events=heard, position="", rebuilt=True))
    filled = await gaps.filled(Batch(events=[Booted(epoch="a", at=1410.0), LinkUp(at=1410.0)], position="", rebuilt=True))
    ends = [one for batch in filled if batch.unheard for one in batch.events if isinstance(one, LegEnded)]
    assert [one.at for one in ends] == [1402.0]


def books(folder: Path, channels: Sequence[tuple[float, int]], boots: Sequence[int] = ()) -> Gaps:
    """Books in which channels began at these times, numbered by the PBX, and the PBX itself at those."""
    (folder / "cel-custom").mkdir()
    row = '"CHAN_START","{at}","","139","","","","8001","c","PJSIP/carrier-{n:08x}","","","3","","u-{at}","u-{at}","","","",""\n'
    (folder / "cel-custom/Master.csv").write_text("".join(row.format(at=at, n=n) for at, n in channels))
    (folder / "queue_log").write_text("".join(f"{at}|NONE|NONE|NONE|QUEUESTART|\n" for at in boots))
    return Gaps(folder, lambda name: name, folder)


async def told(gaps: Gaps, *events: PbxEvent) -> list[str]:
    """Each leg that is told from the books, as boot:leg, after these events were heard."""
    boot, legs = "", list[str]()
    for batch in await gaps.filled(Batch(events=events, position="", rebuilt=True)):
        for event in batch.events:
            if isinstance(event, Booted):
                boot = event.epoch
            elif isinstance(event, LegStarted) and batch.unheard:
                legs.append(f"{boot}:{event.leg}")
    return legs


def up(epoch: str, at: float) -> tuple[PbxEvent, ...]:
    return Booted(epoch=epoch, at=at), LinkUp(at=at)


async def test_what_belongs_to_the_boot_before_is_told_before_the_new_one(tmp_path: Path) -> None:
    gaps = books(tmp_path, [(1001.0, 7), (1002.0, 8), (1012.0, 0)], boots=[900, 1010])
    assert await told(gaps, *up("a", 1000.0), LegAnswered(leg="x", at=1000.5)) == []
    assert await told(gaps, *up("b", 1020.0)) == [":u-1001.0", ":u-1002.0", "b:u-1012.0"]


async def test_where_no_call_was_in_the_new_boot_all_are_of_the_one_before(tmp_path: Path) -> None:
    gaps = books(tmp_path, [(900.0, 9), (1001.0, 0)], boots=[950, 1010])
    await told(gaps, *up("a", 1000.0), LegAnswered(leg="x", at=1000.5))
    assert await told(gaps, *up("b", 1020.0)) == [":u-1001.0"]


async def test_where_no_call_was_in_the_old_boot_all_are_of_the_new_one(tmp_path: Path) -> None:
    gaps = books(tmp_path, [(1012.0, 0), (1013.0, 1)], boots=[1010])
    await told(gaps, *up("a", 1000.0), LegAnswered(leg="x", at=1000.5))
    assert await told(gaps, *up("b", 1020.0)) == ["b:u-1012.0", "b:u-1013.0"]


async def test_a_cut_soon_after_a_boot_tells_nothing_of_the_boot_before_again(tmp_path: Path) -> None:
    gaps = books(tmp_path, [(1000.2, 7), (1003.0, 0)], boots=[1002])
    await told(gaps, *up("a", 999.0), LegAnswered(leg="x", at=1000.5))
    await told(gaps, *up("b", 1002.5))
    assert await told(gaps, *up("b", 1004.0)) == [":u-1003.0"]


async def test_a_gap_that_is_read_back_after_a_later_boot_is_filled_as_before(tmp_path: Path) -> None:
    """The product was killed after a gap and a restart of the PBX: it reads both again, and the later boot stands in the books by then."""
    gaps = books(tmp_path, [(990.0, 6), (1001.0, 7), (1012.0, 0)], boots=[900, 1010])
    await told(gaps, *up("a", 995.0), LegAnswered(leg="x", at=1000.5))
    assert await told(gaps, *up("a", 1003.0), LegAnswered(leg="x", at=1004.5)) == [":u-1001.0"]
    assert await told(gaps, *up("b", 1020.0)) == ["b:u-1012.0"]
