"""Feeds: events applied to an old snapshot give the new one, whatever the changes and wherever a screen resumes."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.kernel.feed import Feed, FeedAddress
from crm_core.kernel.feeds import Feeds


class Screen:
    """What the browser does with messages, in as few lines."""

    def __init__(self) -> None:
        self.state: dict[str, dict[str, Any]] = {}
        self.cursor: str | None = None
        self.kinds: list[str] = []

    def receive(self, message: bytes) -> None:
        data = orjson.loads(message)
        assert data["v"] == 1
        self.kinds.append(data["t"])
        self.cursor = data["cursor"]
        if data["t"] == "snapshot":
            self.state = data["state"]
            return
        for table, key, row in data["put"]:
            self.state.setdefault(table, {})[key] = row
        for table, key in data["drop"]:
            self.state.get(table, {}).pop(key, None)


tables = st.sampled_from(["calls", "seat", "queues"])
keys = st.sampled_from(["1", "2", "me", "队列"])
rows = st.sampled_from([{}, {"state": "ready"}, {"state": "talking", "since": 1}, {"since": 1, "state": "talking"}, {"名": None}])
changes = st.tuples(
    st.sampled_from(["call.offered", "seat.ready"]),
    st.lists(st.tuples(tables, keys, rows), max_size=4),
    st.lists(st.tuples(tables, keys), max_size=3),
)


@given(st.lists(changes, max_size=30), st.integers(0, 30), st.integers(1, 12), st.integers(50, 4000))
def test_events_on_an_old_snapshot_give_the_new_one(history: list[Any], leaves_at: int, kept: int, kept_bytes: int) -> None:
    feed = Feed("desk", ("calls",), kept_events=kept, kept_bytes=kept_bytes)
    steady, broken = Screen(), Screen()
    feed.join(None, steady.receive)
    leave = feed.join(None, broken.receive)
    for number, (name, put, drop) in enumerate(history):
        if number == leaves_at:
            leave()
        feed.change(name, put, drop)
    leave()
    feed.join(broken.cursor, broken.receive)
    truth = orjson.loads(feed.snapshot())
    assert steady.state == broken.state == truth["state"] == feed.state
    assert steady.cursor == broken.cursor == truth["cursor"] == feed.cursor
    assert steady.kinds.count("snapshot") == 1


@given(st.lists(changes, max_size=20), st.integers(0, 20))
def test_a_feed_that_follows_another_sends_the_same_bytes(history: list[Any], begins_at: int) -> None:
    feed, twin = Feed("desk", ("calls",)), Feed("desk")
    screen, far = Screen(), Screen()
    feed.join(None, screen.receive)
    twin.join(None, far.receive)
    for number, (name, put, drop) in enumerate(history):
        if number == begins_at:
            twin.load(feed.epoch, feed.seq, feed.rows(), feed.tables)
            feed.mirror = lambda change: None if twin.apply(change.message) else pytest.fail("a gap")
        feed.change(name, put, drop)
    if begins_at < len(history):
        assert twin.snapshot() == feed.snapshot() or orjson.loads(twin.snapshot()) == orjson.loads(feed.snapshot())
        assert (far.state, far.cursor) == (screen.state, screen.cursor)


@given(st.lists(changes, max_size=20))
def test_only_changes_use_a_number(history: list[Any]) -> None:
    feed = Feed("desk")
    for name, put, drop in history:
        before, seq = copy.deepcopy(feed.state), feed.seq
        feed.change(name, put, drop)
        same = {t: r for t, r in before.items() if r} == {t: r for t, r in feed.state.items() if r}
        assert (feed.seq == seq) is same
        assert feed.seq <= seq + 1


def test_a_message_is_what_the_reference_says() -> None:
    feed = Feed("desk", ("calls", "seat"), epoch="a1")
    heard: list[Any] = []
    feed.join(None, lambda message: heard.append(orjson.loads(message)))
    ringing = {"phase": "ringing"}
    feed.change("call.offered", put=[("calls", "8", ringing)])
    feed.change("call.answered", put=[("calls", "8", ringing), ("calls", "9", {})], drop=[("calls", "8")])
    same = {"v": 1, "feed": "desk"}
    put, drop = [["calls", "8", ringing]], [["calls", "8"]]
    assert heard == [
        same | {"t": "snapshot", "cursor": "a1:0", "state": {"calls": {}, "seat": {}}},
        same | {"t": "event", "cursor": "a1:1", "name": "call.offered", "put": put, "drop": []},
        same | {"t": "event", "cursor": "a1:2", "name": "call.answered", "put": [["calls", "9", {}]], "drop": drop},
    ]


def test_all_who_follow_get_the_very_same_bytes() -> None:
    feed = Feed("floor")
    heard: list[bytes] = []
    for _ in range(3):
        feed.join(None, heard.append)
    heard.clear()
    feed.change("seat.ready", put=[("seats", "1", {"state": "ready"})])
    assert len(heard) == 3
    assert heard[0] is heard[1] is heard[2]


@pytest.mark.parametrize("since", [None, "", ":", "x:1", "a1", "a1:", "a1:-1", "a1:99", "a1:١", "a1:" + "9" * 30, "a1:0"])
def test_a_cursor_that_leads_nowhere_gets_a_snapshot(since: str | None) -> None:
    feed = Feed("desk", epoch="a1", kept_events=2)
    for n in range(3):
        feed.change("x", put=[("t", "k", {"n": n})])
    screen = Screen()
    feed.join(since, screen.receive)
    assert screen.kinds == ["snapshot"]


def test_a_current_cursor_gets_nothing_and_then_what_comes() -> None:
    feed, screen = Feed("desk"), Screen()
    feed.change("x", put=[("t", "k", {})])
    feed.join(feed.cursor, screen.receive)
    assert screen.kinds == []
    feed.change("x", drop=[("t", "k")])
    assert screen.kinds == ["event"]


def test_a_new_feed_does_not_take_the_cursor_of_the_former() -> None:
    old, new = Feed("desk"), Feed("desk")
    for feed in (old, new):
        feed.change("x", put=[("t", "k", {})])
    screen = Screen()
    new.join(old.cursor, screen.receive)
    assert screen.kinds == ["snapshot"]


def test_rows_are_copies() -> None:
    feed, row = Feed("desk"), {"list": [1]}
    feed.change("x", put=[("t", "k", row)])
    row["list"].append(2)
    assert feed.row("t", "k") == {"list": [1]}
    feed.change("x", put=[("t", "k", row)])
    assert feed.seq == 2


def test_a_whole_identifier_in_a_row_is_refused_and_nothing_changes() -> None:
    feed = Feed("desk")
    with pytest.raises(TypeError):
        feed.change("x", put=[("t", "1", {}), ("t", "2", {"call_id": 1 << 60})])
    assert feed.seq == 0
    assert feed.state == {}


def test_replace_is_one_change_and_leaves_other_tables_alone() -> None:
    feed, screen = Feed("floor"), Screen()
    feed.join(None, screen.receive)
    feed.change("x", put=[("seats", "1", {}), ("seats", "2", {}), ("health", "pbx", {"up": True})])
    feed.replace("y", [("seats", "2", {"n": 1}), ("seats", "3", {})], tables=["seats"])
    assert screen.state == feed.state == {"seats": {"2": {"n": 1}, "3": {}}, "health": {"pbx": {"up": True}}}
    assert feed.seq == 2


def test_one_follower_that_fails_is_dropped_and_the_others_go_on() -> None:
    feed, screen = Feed("desk"), Screen()
    broken = False

    def breaks(message: bytes) -> None:
        if broken:
            raise RuntimeError("on purpose")

    feed.join(None, breaks)
    feed.join(None, screen.receive)
    broken = True
    feed.change("x", put=[("t", "k", {})])
    assert screen.state == feed.state
    assert feed.joined == 1


# ----------------------------------------------------------------------------------------------------------- registry


def test_feeds_are_made_on_demand_and_say_who_comes_and_goes() -> None:
    said: list[tuple[str, str]] = []
    feeds, at = Feeds(), FeedAddress(1, "desk", "42")

    def fill(address: FeedAddress, feed: Feed) -> None:
        said.append(("open", str(address)))
        feed.change("seat.signed_out", put=[("seat", "me", {"state": "signed_out"})])

    feeds.on_open(fill)
    feeds.on_first(lambda address: said.append(("first", str(address))))
    feeds.on_last(lambda address: said.append(("last", str(address))))
    assert feeds.find(at) is None
    one, two = Screen(), Screen()
    leave_one = feeds.join(at, None, one.receive)
    leave_two = feeds.join(at, None, two.receive)
    assert one.state == two.state == {"seat": {"me": {"state": "signed_out"}}}
    leave_one()
    leave_one()
    assert said == [("open", "unit.1.desk.42"), ("first", "unit.1.desk.42")]
    leave_two()
    assert said[2:] == [("last", "unit.1.desk.42")]
    assert feeds.open(at) is feeds.find(at)
    feeds.close(at)
    assert feeds.find(at) is None


def test_thousands_of_own_feeds_keep_little_of_their_past() -> None:
    feeds = Feeds()
    kept = {}
    for address in (FeedAddress(1, "desk", "42"), FeedAddress(1, "floor")):
        feed = feeds.open(address)
        for n in range(1000):
            feed.change("x", put=[("calls", "1", {"n": n, "notes": "x" * 500})])
        kept[address.name] = sum(1 for seq in range(1000) if resumes(feed, seq))
    assert 10 < kept["desk"] < 16_384 // 500
    assert 100 < kept["floor"] < 131_072 // 500


def resumes(feed: Feed, seq: int) -> bool:
    heard: list[bytes] = []
    feed.join(f"{feed.epoch}:{seq}", heard.append)()
    return b'"t":"event"' in heard[0]


@pytest.mark.parametrize("text", ["unit.1.desk.42", "unit.7.floor", "unit.7.queue.a.b"])
def test_an_address_reads_as_it_prints(text: str) -> None:
    assert str(FeedAddress.parse(text)) == text


@pytest.mark.parametrize("text", ["", "unit", "unit.1", "unit.x.desk", "desk.1.x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        FeedAddress.parse(text)
