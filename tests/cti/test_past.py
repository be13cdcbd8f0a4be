"""What the PBX's own books tell equals what was heard, on a real Asterisk; and odd books do no harm."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from config.demo.callers import Caller
from config.demo.phones import Habit
from cti.domain.board import CallBoard
from cti.events import CallEnded, CallFact
from cti.pbx.asterisk.ari import Ari
from cti.pbx.asterisk.book_rows import QueueRow, Row, read_queue_row, read_row
from cti.pbx.asterisk.books import EVENTS, QUEUES, RECORDS, Books
from cti.pbx.asterisk.cdr import read_record
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.past import boots, past_of
from cti.ports import Member
from tests.cti.watch import Watch, watching
from tests.lab.asterisk_lab import ARI, MANAGER, AsteriskLab, private_lab  # noqa: F401  # a fixture is found by its name

QUICK, NEVER, BUSY, TALKER = "1031", "1032", "1033", "1034"


def told(facts: Iterable[CallFact]) -> list[str]:
    """Calls as text, without what the books can't know (rings) and with times a person may compare."""
    return [line for fact in sorted(facts, key=lambda fact: fact.started_at or 0.0) for line in _lines(fact)]


def _lines(fact: CallFact) -> Iterable[str]:
    names = {leg.leg_id: leg.endpoint for leg in fact.legs}
    lasted = (fact.ended_at or 0.0) - (fact.started_at or 0.0)
    yield f"{fact.direction} {fact.caller} -> {fact.dialed} {fact.outcome}, about {lasted:.0f} s"
    for leg in fact.legs:
        yield f"  {leg.party} {leg.endpoint} {leg.number} {'answered' if leg.answered_at else 'not answered'} cause {leg.hangup_cause}"
    for entry in fact.entries:
        yield f"  waited in {entry.queue} about {entry.wait_s or 0:.0f} s: {entry.outcome}"
        for offer in entry.offers:
            yield f"    rang {offer.extension}: {offer.result}"
    for segment in fact.segments:
        who = f"{names[segment.leg_a]} and {names[segment.leg_b]}"
        yield f"  {who} talked about {segment.talk_s:.0f} s, from {segment.queue or 'no queue'}"
    for transfer in fact.transfers:
        yield f"  {transfer.kind} transfer by {transfer.by} to {transfer.to}: {transfer.result}"


def in_short(facts: Iterable[CallFact]) -> list[str]:
    """What the call detail records can know of calls: who called whom, what came of it, who talked, in which queues they waited."""
    ordered = sorted(facts, key=lambda fact: fact.pbx_call_id)
    return [line for fact in ordered for line in _in_short(fact)]


def _in_short(fact: CallFact) -> Iterable[str]:
    yield f"{fact.direction} from {fact.caller}: {fact.outcome}"
    yield from (f"  waited in {entry.queue}: {entry.outcome}" for entry in fact.entries)
    names = {leg.leg_id: leg.endpoint for leg in fact.legs}
    yield from (f"  {names[one.leg_a]} and {names[one.leg_b]} talked, from {one.queue or 'no queue'}" for one in fact.segments)


def rebuilt(folder: Path, since: float) -> list[CallFact]:
    """The calls that the books alone tell of."""
    books = Books(folder)
    board = CallBoard(1, 1, "", count(1).__next__)
    said = []
    for event in past_of(books.events(since), books.queues(since), since):
        said += board.apply(event, unheard=True)
    assert board.calls() == []
    return [event.fact for event in said if isinstance(event, CallEnded)]


@pytest_asyncio.fixture
async def heard(private_lab: AsteriskLab, tmp_path: Path) -> AsyncIterator[Watch]:  # noqa: F811
    """A driver that hears everything; phones of all habits are there."""
    lab = private_lab
    driver = AsteriskDriver(
        host="127.0.0.1", port=lab.ports.ami, user=MANAGER.user, secret=MANAGER.secret, journal=tmp_path / "journal",
        ari=Ari(lab.ari_address, ARI.user, ARI.secret),
    )  # fmt: skip
    habits = {
        QUICK: Habit(ring_s=(0.5, 0.5)),
        NEVER: Habit(answers="never"),
        BUSY: Habit(answers="busy"),
        TALKER: Habit(ring_s=(0.5, 0.5), talk_s=(1.0, 1.0)),
    }
    phones = [lab.phones([extension], habit) for extension, habit in habits.items()]
    outside = lab.outside(Habit(ring_s=(0.3, 0.3)))
    for group in (*phones, outside):
        await group.start()
    try:
        async with watching(driver) as watch:
            yield watch
    finally:
        for group in (*phones, outside):
            await group.stop()


def seats(*extensions: str, queue: str = "support") -> list[Member]:
    return [Member(queue=queue, extension=extension, name=f"Desk {extension}") for extension in extensions]


@pytest.mark.pbx
async def test_the_books_tell_what_was_heard(private_lab: AsteriskLab, heard: Watch, tmp_path: Path) -> None:  # noqa: F811
    """The event log in full, and without one the call detail records in short."""
    lab, driver = private_lab, heard.driver
    since = time.time()

    async def call(number: str, to: str, hold_s: float, *members: Member) -> None:
        await driver.set_members(list(members))
        await lab.callers.call(Caller(number=number, to=to, hold_s=hold_s))
        await heard.until(lambda: not heard.board.calls())

    await call("13900000001", "8001", 2.6, *seats(QUICK))  # answered; the caller hangs up
    await call("13900000002", "8001", 9.0, *seats(TALKER))  # answered; the seat hangs up
    await call("13900000003", "8001", 1.6)  # gives up while waiting
    await call("13900000004", "8001", 1.6, *seats(NEVER))  # gives up while a seat rings
    await call("13900000005", "8001", 2.6, *seats(BUSY))  # refused over and over
    await call("13900000006", "8003", 9.0, *seats(NEVER, queue="short"))  # missed, then time-out
    await call("13900000007", "8009", 2.0)  # a number that is none
    await driver.set_members([])
    await driver.originate(extension=QUICK, number="02151110200", caller_id="", leg="ours-1.1")
    await heard.until(lambda: any(leg for leg in heard.facts if leg.direction == "outbound") or len(heard.board.calls()) == 1)
    await asyncio.sleep(2.2)
    for leg in heard.board.legs_of(heard.board.calls()[0].call_id)[:1]:
        await driver.hang_up(leg)
    await driver.originate(extension=QUICK, number=NEVER, caller_id="", leg="ours-1.2")
    await asyncio.sleep(2.2)
    for leg in heard.board.legs_of(heard.board.calls()[0].call_id)[:1]:
        await driver.hang_up(leg)
    await heard.until(lambda: not heard.board.calls())
    await asyncio.sleep(0.5)
    assert len(heard.facts) == 9
    assert told(rebuilt(lab.process.books, since)) == told(heard.facts)
    for book in (RECORDS, QUEUES):
        (tmp_path / book).parent.mkdir(exist_ok=True)
        shutil.copy(lab.process.books / book, tmp_path / book)
    assert in_short(rebuilt(tmp_path, since - 1)) == in_short(heard.facts)
    assert all(fact.rebuilt for fact in rebuilt(lab.process.books, since))
    assert not any(fact.rebuilt for fact in heard.facts)


# --------------------------------------------------------------------------------------------------------------------- odd books


@given(st.text(max_size=200))
def test_a_line_that_is_none_is_none(line: str) -> None:
    assert read_row(line) is None or line.count(",") >= 19
    assert read_queue_row(line) is None or "|" in line
    assert read_record(line) is None or line.count(",") >= 16


@pytest.mark.parametrize("wrong", ["2026-11-24 25:00:00", "", "yesterday", "0000-00-00 00:00:00"])
def test_a_record_without_a_beginning_is_none(wrong: str) -> None:
    line = (
        f'"","139","8001","x","","PJSIP/carrier-1","","Queue","q","{wrong}","","2026-11-24 20:00:00",1,1,"ANSWERED","","{{leg}}",""'
    )
    assert read_record(line.format(leg="1795550400.1")) is None


@pytest.mark.parametrize("ahead_h", [0, 8, -3.5])
def test_the_clock_of_the_records_is_told_by_their_identifiers(ahead_h: float) -> None:
    """They may be written in the host's own time, and do not say which that is."""
    local = datetime.fromtimestamp(1_795_550_400 + ahead_h * 3600, UTC).strftime("%Y-%m-%d %H:%M:%S")
    line = (
        f'"","139","8001","x","","PJSIP/carrier-1","","Queue","q","{local}","","{local}",1,1,"NO ANSWER","","lab-1795550400.1",""'
    )
    record = read_record(line)
    assert record is not None and record.began_at == record.ended_at == 1_795_550_400


@pytest.mark.parametrize("tail", [b"", b'"HANGUP","17955', b"\xff\xfe\n", b'""\n'])
def test_a_book_cut_anywhere_is_read_to_its_last_whole_line(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / EVENTS
    path.parent.mkdir()
    rows = "".join(
        f'"ANSWER","{1_790_000_000 + n}.5","","139","","","8001","s","c","PJSIP/carrier-{n:08x}","","","3","","u-{n}.1","u-{n}.1","","","",""\n'
        for n in range(20_000)
    )
    path.write_bytes(rows.encode() + tail)
    found = Books(tmp_path).events(1_790_000_000 + 19_990)
    assert [row.leg for row in found] == [f"u-{n}.1" for n in range(19_990, 20_000)]


@pytest.mark.parametrize("ending", [".1", "-20260922"])
def test_a_book_that_was_rotated_meanwhile_is_read_on_in_what_it_was_before(tmp_path: Path, ending: str) -> None:
    path = tmp_path / EVENTS
    path.parent.mkdir()
    line = '"ANSWER","{at}.5","","139","","","8001","s","c","PJSIP/carrier-{at:08x}","","","3","","{at}.1","{at}.1","","","",""\n'
    ages = {"": range(200, 210), ending: range(100, 200), ending + "1": range(100)}
    for when, (name, span) in enumerate(reversed(ages.items())):
        file = path.with_name(path.name + name)
        file.write_text("".join(line.format(at=at) for at in span))
        os.utime(file, (when, when))
    path.with_name(path.name + ".gz").write_bytes(b"\x1f\x8b")
    assert [row.at for row in Books(tmp_path).events(150)] == [at + 0.5 for at in range(150, 210)]
    assert [row.at for row in Books(tmp_path).events(205)] == [at + 0.5 for at in range(205, 210)]
    assert len(Books(tmp_path).events(0)) == 210


def test_of_calls_that_were_over_only_the_beginnings_of_channels_are_read(tmp_path: Path) -> None:
    """But where a leg went over to another call, for who is where is told by both."""
    path = tmp_path / EVENTS
    path.parent.mkdir()
    line = '"{kind}","{at}","{name}","139","","","","8001","s","c","PJSIP/x","","","3","{leg}","{call}","","","",""\n'

    def rows(call: str, at: int, *, over: bool, leg: str = "", name: str = "") -> str:
        kinds = ["CHAN_START", "ANSWER", "HANGUP", *(["LINKEDID_END"] if over else [])]
        return "".join(line.format(kind=kind, at=at, leg=leg or call, call=call, name=name) for kind in kinds)

    path.write_text(
        rows("a", 100, over=True) + rows("b", 110, over=False) + rows("c", 120, over=True) + rows("d", 130, over=False, leg="c")
        + rows("e", 140, over=True) + rows("f", 205, over=False) + rows("g", 110, over=True, name='odd"",""name')
    )  # fmt: skip
    found = [(row.call, row.kind) for row in Books(tmp_path).events(0, 200, over_by=135)]
    whole = ["CHAN_START", "ANSWER", "HANGUP"]
    assert found == [
        ("a", "CHAN_START"), *(("b", kind) for kind in whole), *(("g", kind) for kind in [*whole, "LINKEDID_END"]),
        *(("c", kind) for kind in [*whole, "LINKEDID_END"]), *(("d", kind) for kind in whole),
        *(("e", kind) for kind in [*whole, "LINKEDID_END"]),
    ]  # fmt: skip


def test_where_there_are_no_books_there_is_no_past(tmp_path: Path) -> None:
    assert Books(tmp_path).events(0) == []
    assert Books(tmp_path).queues(0) == []


def row(kind: str, at: float, leg: str, **more: object) -> Row:
    fields = {"number": "", "name": "", "dialed": "", "channel": "PJSIP/carrier-1", "app": "", "data": "", "call": leg, "extra": {}}
    return Row(kind=kind, at=at, leg=leg, **{**fields, **more})  # type: ignore[arg-type]


def begun(at: float, leg: str, channel: str) -> Row:
    return row("CHAN_START", at, leg, channel=channel)


def of_boots(*rows: Row) -> list[list[str]]:
    return [[one.leg for one in part] for part in boots(rows)]


def test_rows_of_two_boots_are_told_apart() -> None:
    old = [begun(n, f"pbx-{1000 + n}.{900 + n}", f"PJSIP/carrier-{600 + n:08x}") for n in range(5)]
    names = [one.leg for one in old]
    assert of_boots(*old) == [names]
    assert of_boots(*old, begun(9, "pbx-1009.0", "PJSIP/carrier-00000000")) == [names, ["pbx-1009.0"]]
    assert of_boots(*old, begun(9, "pbx-1009.0", "IAX2/x")) == [names, ["pbx-1009.0"]]


def test_a_leg_that_we_named_is_known_to_be_of_a_new_boot_by_its_channel() -> None:
    old = [begun(n, f"pbx-{1000 + n}.{n}", f"PJSIP/carrier-{n:08x}") for n in range(2)]
    new = [begun(3, "lingxi-77", "PJSIP/1001-00000000"), row("ANSWER", 4, "lingxi-77", channel="PJSIP/1001-00000000")]
    assert of_boots(*old, *new) == [["pbx-1000.0", "pbx-1001.1"], ["lingxi-77", "lingxi-77"]]


def test_channels_that_begin_together_may_be_written_in_any_order() -> None:
    pipe = [begun(1.002, "pbx-1001.3", "Local/1001@x-00000001;2"), begun(1.001, "pbx-1001.2", "Local/1001@x-00000001;1")]
    late = [begun(1.01, "pbx-1001.9", "PJSIP/carrier-00000009"), begun(1.3, "pbx-1001.8", "PJSIP/carrier-00000008")]
    assert len(of_boots(begun(0, "pbx-1000.0", "PJSIP/carrier-00000000"), *pipe, *late)) == 1


KINDS = """
    CHAN_START ANSWER APP_START APP_END BRIDGE_ENTER BRIDGE_EXIT HANGUP BLINDTRANSFER ATTENDEDTRANSFER PICKUP PARK_START
    STREAM_BEGIN STREAM_END X
"""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS.split()), st.integers(0, 3), st.sampled_from(["Queue", "Dial", "UserEvent", "MixMonitor", "ChanSpy", ""]),
            st.sampled_from(["", "q,,", "r", "PJSIP/carrier", "QueueRefused,Queue: q,Reason: full,x"]), st.sampled_from(["u-1.0", "u-1.1"]),
            st.sampled_from(["PJSIP/carrier-1", "PJSIP/1001-2", "Local/1001@x-1;1", "Local/1001@x-1;2"]),
            st.sampled_from([{}, {"app": "Queue", "channel2_uniqueid": "u-1.1", "transferee_channel_uniqueid": "u-1.2"}, {"bridge_id": "b"},
                             {"pickup_channel_uniqueid": 7}]),
        ),
        max_size=40,
    ),
    st.booleans(),
)  # fmt: skip
def test_rows_in_any_order_raise_nothing(told: list[tuple[str, int, str, str, str, str, dict[str, object]]], logged: bool) -> None:
    rows = [
        row(
            kind,
            float(n),
            f"u-1.{leg}",
            call=call,
            app=app,
            data=data,
            channel=channel,
            extra=extra,
            detail=f"MOH_{kind}",
            dialed="8001",
        )
        for n, (kind, leg, app, data, call, channel, extra) in enumerate(told)
    ]
    log = [
        QueueRow(n, f"u-1.{n % 4}", "qr"[n % 2], kind)
        for n in range(0, 40, 3)
        for kind in ("ENTERQUEUE", "RINGNOANSWER", "ABANDON")
    ]
    board = CallBoard(1, 1, "", count(1).__next__)
    for event in past_of(rows, log if logged else [], -1.0):
        board.apply(event, unheard=True)
