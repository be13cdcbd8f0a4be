"""Where a gap begins, and what tells it: the journal's last word of the PBX, and a file that ends in the middle of a message."""

from __future__ import annotations

from pathlib import Path

from cti.pbx.asterisk.ami_wire import link_block
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.gaps import Gaps, last_stamp
from cti.pbx.asterisk.journal import place
from cti.pbx_events import Booted, LegAnswered, LegEnded, LinkUp
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
