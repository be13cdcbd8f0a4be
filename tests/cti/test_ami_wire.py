"""The parser: whole messages from bytes however they are cut, nothing raised, nothing kept without bound."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.asterisk.ami_wire import EVENT, RESPONSE, Headers, Parser, link_block
from cti.pbx.asterisk.translate import Translator
from tests.cti.test_captures import CAPTURES

STREAM = (
    b"Asterisk Call Manager/11.0.0\r\n"
    b"Response: Success\r\nActionID: a1\r\nMessage: Authentication accepted\r\n\r\n"
    b"Event: OriginateResponse\r\nPrivilege: call,all\r\nResponse: Failure\r\nReason: 0\r\n\r\n"
    b"Event: Status\r\nVariable: A=1\r\nVariable: B=2\r\nCallerIDName: \xe5\xbc\xa0\xe4\xb8\x89\xff\r\nEmpty: \r\n\r\n"
)


def test_first_line_decides_what_a_message_is() -> None:
    parser = Parser()
    response, originated, status = parser.feed(STREAM)
    assert parser.banner == "Asterisk Call Manager/11.0.0"
    assert (response.kind, response.name, response.get("ActionID")) == (RESPONSE, "Success", "a1")
    assert (originated.kind, originated.name, originated.get("Response")) == (EVENT, "OriginateResponse", "Failure")
    assert status.all("Variable") == ["A=1", "B=2"]
    assert status.get("CallerIDName") == "张三\ufffd"
    assert (status.get("Empty", "?"), status.get("Absent", "?")) == ("", "?")


@given(st.lists(st.integers(1, 40), min_size=1))
def test_cut_anywhere(sizes: list[int]) -> None:
    parser, found, place = Parser(), [], 0
    for size in sizes:
        found += parser.feed(STREAM[place : place + size])
        place += size
    found += parser.feed(STREAM[place:])
    assert [message.raw for message in found] == [message.raw for message in Parser().feed(STREAM)]
    assert parser.pending == 0


@given(st.binary(max_size=400))
def test_garbage_does_not_stop_the_stream(noise: bytes) -> None:
    parser = Parser()
    parser.feed(noise + b"\r\n\r\n")
    assert [m.name for m in parser.feed(b"Event: Hangup\r\nCause: 16\r\n\r\n")] == ["Hangup"]


def test_garbage_is_told_with_its_place() -> None:
    told: list[tuple[int, bytes]] = []
    parser = Parser(on_garbage=lambda at, what: told.append((at, what)))
    found = parser.feed(b"Event: A\r\nX: 1\r\n\r\nnoise\r\nmore\r\nEvent: B\r\n\r\n\r\n\r\nEvent: C\r\n\r\n")
    assert [m.name for m in found] == ["A", "B", "C"]
    assert told == [(18, b"noise"), (25, b"more")]


def test_a_message_without_end_takes_no_memory() -> None:
    told: list[int] = []
    parser = Parser(on_garbage=lambda at, _what: told.append(at), max_block=100_000)
    tracemalloc.start()
    for _ in range(200):
        parser.feed(b"x" * 60_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert told == [0]
    assert [m.name for m in parser.feed(b"\r\n\r\nEvent: B\r\n\r\n")] == ["B"]


def test_unwanted_events_are_dropped_and_responses_kept() -> None:
    found = Parser(frozenset({"Status"})).feed(STREAM)
    assert [m.name for m in found] == ["Success", "Status"]


def test_every_capture_is_read_the_same_in_one_piece_and_in_crumbs() -> None:
    for path in CAPTURES.glob("*.ami"):
        data = b"".join(line for line in path.read_bytes().splitlines(keepends=True) if line[:2] not in (b"> ", b"# "))
        whole = [m.raw for m in Parser(Translator.WANTED).feed(data)]
        parser = Parser(Translator.WANTED)
        crumbs = [m.raw for place in range(0, len(data), 977) for m in parser.feed(data[place : place + 977])]
        assert whole == crumbs


def test_our_own_block_reads_like_an_event() -> None:
    (block,) = Parser().feed(link_block(up=False, at=12.5, why="two\r\n\r\nlines"))
    assert (block.get("State"), block.get("Why"), block.get("Timestamp")) == ("down", "two lines", "12.500000")


HEADER_NAMES = ["Event", "Timestamp", "Channel", "CallerIDName", "Exten", "Uniqueid", "Linkedid", "Cause", "Absent", "."]


@given(st.lists(st.sampled_from(HEADER_NAMES), min_size=1, max_size=6, unique=True), st.data())
def test_headers_read_together_are_those_read_one_by_one(names: list[str], data: st.DataObject) -> None:
    """In whatever order they are asked for and sent, and some not at all."""
    headers = Headers(" ".join(names))
    for _ in range(data.draw(st.integers(1, 4))):  # what was learnt from one message must do no harm to the next
        _read_together(headers, names, data)


def _read_together(headers: Headers, names: list[str], data: st.DataObject) -> None:
    sent = data.draw(st.lists(st.sampled_from(HEADER_NAMES[1:-2]), unique=True))
    values = st.one_of(st.just(b""), st.binary(max_size=8).map(lambda value: value.replace(b"\n", b"")), st.just("王: 小".encode()))
    raw = b"Event: Hangup" + b"".join(b"\r\n" + name.encode() + b": " + data.draw(values) for name in sent) + b"\r\n\r\n"
    for message in Parser().feed(raw):
        assert list(message.take(headers)) == [message.get(name) for name in names]
