"""Feeds: the live tables behind a screen, as a snapshot plus numbered events, with resume after a break.

The messages are those of `docs/reference/feeds.md`. A feed knows nothing of what its rows mean and nothing of who may
see them: rights are checked before `join`, and a feed holds only what all who may join it may see. It lives in one
process; the twin that follows it from another process is `redis_feed`. All calls come from the event loop's thread
and return at once.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

MESSAGE_VERSION = 1
KEPT_EVENTS = 512
KEPT_BYTES = 128 * 1024
_dumps = orjson.dumps
_ROW = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER

Row = Mapping[str, Any]
Put = tuple[str, str, Row]
Drop = tuple[str, str]
Send = Callable[[bytes], None]
Leave = Callable[[], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedAddress:
    """Which feed: its business unit, its name on the screen, and whose it is ("" for one that many share)."""

    unit_id: int
    name: str
    key: str = ""

    def __str__(self) -> str:
        return f"unit.{self.unit_id}.{self.name}" + (f".{self.key}" if self.key else "")

    @classmethod
    def parse(cls, text: str) -> FeedAddress:
        """The address that prints as `text`. Raises ValueError for anything else."""
        words = text.split(".", 3)
        if len(words) < 3 or words[0] != "unit" or not words[1].isdecimal():
            raise ValueError(f"{text!r} is no address of a feed")
        return cls(int(words[1]), *words[2:])


@dataclass(frozen=True, slots=True)
class Change:
    """One numbered event: the rows it put (encoded) and dropped, and the message that goes to every screen."""

    seq: int
    put: tuple[tuple[str, str, bytes], ...]
    drop: tuple[Drop, ...]
    message: bytes


class Feed:
    """Tables of rows by key, and the last events that led to them.

    `state` always equals any older snapshot with the events since applied to it. Cursors are `<epoch>:<seq>`; the epoch
    is new with every Feed object unless given, so that a cursor of a former run is never taken for one of this.
    """

    def __init__(
        self,
        name: str,
        tables: Iterable[str] = (),
        *,
        epoch: str | None = None,
        kept_events: int = KEPT_EVENTS,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """`tables` are in every snapshot, empty or not.

        Of the past, at most `kept_events` and `kept_bytes` are kept.
        """
        self.name = name
        self.epoch = epoch or secrets.token_hex(5)
        self.seq = 0
        self.mirror: Callable[[Change], None] | None = None
        self._tables: dict[str, dict[str, bytes]] = {table: {} for table in tables}
        self._past: deque[tuple[int, bytes]] = deque()
        self._past_bytes = 0
        self._kept_events = kept_events
        self._kept_bytes = kept_bytes
        self._snapshot: bytes | None = None
        self._joined: dict[object, Send] = {}

    @property
    def cursor(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @property
    def joined(self) -> int:
        """How many follow it here."""
        return len(self._joined)

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """A copy of the tables, decoded."""
        return {table: {key: orjson.loads(row) for key, row in rows.items()} for table, rows in self._tables.items()}

    def row(self, table: str, key: str) -> Any:
        """A copy of one row, None where there is none."""
        row = self._tables.get(table, {}).get(key)
        return None if row is None else orjson.loads(row)

    def has(self, table: str, key: str) -> bool:
        """Whether there is such a row."""
        return self._raw(table, key) is not None

    def keys(self, table: str) -> list[str]:
        """The keys of one table."""
        return list(self._tables.get(table, ()))

    def rows(self) -> list[tuple[str, str, bytes]]:
        """Every row, encoded."""
        return [(table, key, row) for table, rows in self._tables.items() for key, row in rows.items()]

    def change(self, name: str, put: Iterable[Put] = (), drop: Iterable[Drop] = ()) -> None:
        """Say what happened and which rows it changed. Where a key is in both, the drop counts.

        Rows equal to what is there, and drops of what is not there, are left out; when nothing is left, nothing happens
        and no number is used. Raises TypeError for rows that are not JSON or hold integers a browser can't read (over
        53 bits: write identifiers as strings); then nothing has changed.
        """
        wanted: dict[Drop, bytes | None] = {(table, key): _dumps(row, option=_ROW) for table, key, row in put}
        for at in drop:
            wanted[at] = None
        puts, drops = list[tuple[str, str, bytes]](), list[Drop]()
        for at, row in wanted.items():
            there = self._raw(*at)
            if row is None:
                if there is not None:
                    drops.append(at)
            elif row != there:
                puts.append((*at, _tight(row)))
        if puts or drops:
            self._take(Change(self.seq + 1, tuple(puts), tuple(drops), self._event(name, puts, drops)))

    def replace(self, name: str, rows: Iterable[Put], tables: Iterable[str] | None = None) -> None:
        """Make these tables (all, unless named) hold exactly these rows, as one change."""
        new = list(rows)
        stays = {(table, key) for table, key, _ in new}
        scope = set(self._tables if tables is None else tables)
        gone = [(t, k) for t, k, _ in self.rows() if t in scope and (t, k) not in stays]
        self.change(name, new, gone)

    def snapshot(self) -> bytes:
        """The message that carries the whole state. Encoded once per state, however many ask."""
        if self._snapshot is None:
            state = {t: {k: orjson.Fragment(row) for k, row in rows.items()} for t, rows in self._tables.items()}
            message = {"v": MESSAGE_VERSION, "t": "snapshot", "feed": self.name, "cursor": self.cursor, "state": state}
            self._snapshot = _tight(_dumps(message))
        return self._snapshot

    def join(self, since: str | None, send: Send) -> Leave:
        """Send the events after cursor `since`, or a snapshot where they are not at hand; from now on send every event.

        `send` must return at once. One that raises is logged and leaves by that. Leaving twice does no harm.
        """
        missed = self._missed(since)
        for message in [self.snapshot()] if missed is None else missed:
            send(message)
        token = object()
        self._joined[token] = send

        def leave() -> None:
            self._joined.pop(token, None)

        return leave

    def apply(self, message: bytes) -> bool:
        """Follow another feed: take over one of its event messages as it is. False where it does not come next."""
        event = orjson.loads(message)
        epoch, _, seq = event["cursor"].rpartition(":")
        if epoch != self.epoch or int(seq) != self.seq + 1:
            return False
        put = tuple((table, key, _tight(_dumps(row, option=_ROW))) for table, key, row in event["put"])
        self._take(Change(int(seq), put, tuple((table, key) for table, key in event["drop"]), message))
        return True

    def load(self, epoch: str, seq: int, rows: Iterable[tuple[str, str, bytes]], tables: Iterable[str] = ()) -> None:
        """Follow another feed: take over its whole state. Whoever has joined here gets a snapshot, if it is news."""
        if (epoch, seq) == (self.epoch, self.seq):
            return
        self.epoch, self.seq = epoch, seq
        self._tables = {table: {} for table in tables}
        for table, key, row in rows:
            self._tables.setdefault(table, {})[key] = row
        self._past.clear()
        self._past_bytes, self._snapshot = 0, None
        if self._joined:
            self._tell(self.snapshot())

    @property
    def tables(self) -> list[str]:
        return list(self._tables)

    def _raw(self, table: str, key: str) -> bytes | None:
        rows = self._tables.get(table)
        return None if rows is None else rows.get(key)

    def _event(self, name: str, put: Iterable[tuple[str, str, bytes]], drop: list[Drop]) -> bytes:
        message = {
            "v": MESSAGE_VERSION,
            "t": "event",
            "feed": self.name,
            "cursor": f"{self.epoch}:{self.seq + 1}",
            "name": name,
            "put": [(table, key, orjson.Fragment(row)) for table, key, row in put],
            "drop": drop,
        }
        return _tight(_dumps(message))

    def _take(self, change: Change) -> None:
        """The one place where state moves on."""
        self.seq, self._snapshot = change.seq, None
        for table, key, row in change.put:
            self._tables.setdefault(table, {})[key] = row
        for table, key in change.drop:
            self._tables.get(table, {}).pop(key, None)
        self._past.append((change.seq, change.message))
        self._past_bytes += len(change.message)
        while self._past and (len(self._past) > self._kept_events or self._past_bytes > self._kept_bytes):
            self._past_bytes -= len(self._past.popleft()[1])
        self._tell(change.message)
        if self.mirror is not None:
            self.mirror(change)

    def _tell(self, message: bytes) -> None:
        for token, send in tuple(self._joined.items()):
            try:
                send(message)
            except Exception:
                self._joined.pop(token, None)
                log.exception("A follower of a feed failed and was dropped.", feed=self.name)

    def _missed(self, since: str | None) -> list[bytes] | None:
        """The messages after the cursor; None where only a snapshot will do."""
        epoch, _, text = (since or "").rpartition(":")
        if epoch != self.epoch or not (text.isascii() and text.isdigit()) or len(text) > 18:
            return None
        seq = int(text)
        count = self.seq - seq
        if not 0 <= count <= len(self._past):
            return None
        return [message for number, message in self._past if number > seq]


def _tight(encoded: bytes) -> bytes:
    """The same in no more memory than it needs: orjson leaves its whole buffer of 4 KiB behind the shortest row, and rows are kept."""
    return encoded[:1] + encoded[1:]
