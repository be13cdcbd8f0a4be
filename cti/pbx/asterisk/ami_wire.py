"""Bytes of an Asterisk manager connection in, messages out.

Nothing here opens a socket, waits or knows what an event means: `Parser` is fed whatever arrived and hands back the whole
messages in it. A message keeps its bytes and looks headers up on demand, since of some twenty headers a handful is wanted.
Format: lines `Key: value` ended by CR LF, a message ended by an empty line; one banner line greets a new connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

EVENT: Final = "event"
RESPONSE: Final = "response"

LINK: Final = "LingxiLink"  # a block of our own among the PBX's: the link came up or went down
LINK_VERSION: Final = 1
END: Final = b"\r\n\r\n"
_EVENT: Final = b"Event: "
_RESPONSE: Final = b"Response: "
_BANNER: Final = b"Asterisk Call Manager/"


class _Patterns(dict[str, tuple[bytes, int]]):
    """What to look for in a message to find a header, and how long that is, made once for each key."""

    def __missing__(self, key: str) -> tuple[bytes, int]:
        pattern = b"\r\n" + key.encode() + b": "
        made = self[key] = pattern, len(pattern)
        return made


_PATTERN: Final = _Patterns()


class Message(Struct, gc=False):
    """One message. `kind` is "event" or "response" by its first line alone: some events carry a Response header too.

    `name` is the event's name or the response's word (Success, Error, Goodbye). Keys are as Asterisk spells them. Bytes that are
    no UTF-8 become U+FFFD. `place` is where `then` looks next.
    """

    kind: str
    name: str
    raw: bytes
    place: int = 0

    def get(self, key: str, default: str = "") -> str:
        """The first value of a header."""
        pattern, size = _PATTERN[key]
        start = self.raw.find(pattern)
        return default if start < 0 else self._value(start + size)

    def then(self, key: str) -> str:
        """Like `get`, and quicker where headers are asked for in the order in which the PBX sends them."""
        pattern, size = _PATTERN[key]
        raw = self.raw
        start = raw.find(pattern, self.place)
        if start < 0:
            return self.get(key)
        start += size
        end = raw.find(b"\r\n", start)
        if end < 0:
            return self._value(start)
        self.place = end
        try:
            return raw[start:end].decode()
        except UnicodeDecodeError:
            return raw[start:end].decode("utf-8", "replace")

    def number(self, key: str) -> float | None:
        """The first value of a header as a number, None if it is none."""
        pattern, size = _PATTERN[key]
        start = self.raw.find(pattern)
        if start < 0:
            return None
        end = self.raw.find(b"\r\n", start + size)
        self.place = max(end, 0)
        try:
            return float(self.raw[start + size : end] if end >= 0 else self.raw[start + size :])
        except ValueError:
            return None

    def _value(self, start: int) -> str:
        end = self.raw.find(b"\r\n", start)
        return (self.raw[start:end] if end >= 0 else self.raw[start:]).decode("utf-8", "replace")

    def all(self, key: str) -> list[str]:
        """Every value of a header that may be repeated, in order."""
        parts = self.raw.split(_PATTERN[key][0])
        return [part.split(b"\r\n", 1)[0].decode("utf-8", "replace") for part in parts[1:]]

    def items(self) -> Iterator[tuple[str, str]]:
        """All headers in order, the first line included; lines that are no header are left out."""
        for line in self.raw.split(b"\r\n"):
            key, colon, value = line.decode("utf-8", "replace").partition(":")
            if colon:
                yield key, value[1:] if value.startswith(" ") else value

    def __repr__(self) -> str:
        return f"Message({self.kind} {self.name}, {len(self.raw)} bytes)"


def link_block(*, up: bool, at: float, epoch: str = "", why: str = "") -> bytes:
    """What a journal says of the link itself, in the shape of an event. `at` is our clock here: the PBX is silent."""
    state = "up" if up else "down"
    text = " ".join(why.split())
    return (
        f"Event: {LINK}\r\nVersion: {LINK_VERSION}\r\nTimestamp: {at:.6f}\r\n"
        f"State: {state}\r\nEpoch: {epoch}\r\nWhy: {text}\r\n\r\n"
    ).encode()


class Parser:
    """Takes bytes as they come and gives back whole messages, in order.

    `wanted` names the events worth having: the others are dropped by their first line; None keeps all. Responses are always
    kept. What can't be understood is skipped and told to `on_garbage(line number, bytes)`, never raised. No more than
    `max_block` bytes of one unfinished message are kept.
    """

    def __init__(
        self,
        wanted: frozenset[str] | None = None,
        on_garbage: Callable[[int, bytes], None] | None = None,
        max_block: int = 262_144,
    ) -> None:
        self.banner = ""
        self.line = 1  # number of the line that comes next
        self._names = None if wanted is None else {name.encode(): name for name in wanted}
        self._on_garbage = on_garbage or (lambda _line, _what: None)
        self._max_block = max_block
        self._tail = b""
        self._skipping = False

    @property
    def pending(self) -> int:
        """Bytes fed but not yet part of a whole message."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that became whole with `data`."""
        data = self._tail + data
        blocks = data.split(END)
        self._tail = blocks.pop()
        line, self.line = self.line, self.line + data.count(b"\n") - self._tail.count(b"\n")
        if self._skipping and blocks:
            self._skipping = False
            line += blocks.pop(0).count(b"\n") + 2
        names = self._names
        found: list[Message] = []
        for place, block in enumerate(blocks):
            if names is not None and block[:7] == _EVENT:
                name = names.get(block[7 : block.find(b"\r\n", 7)])
                if name is not None:
                    found.append(Message(EVENT, name, block))
            elif (message := self._read(block, line, blocks, place)) is not None:
                found.append(message)
        if len(self._tail) > self._max_block:
            self._drop_endless()
        return found

    def _drop_endless(self) -> None:
        if not self._skipping:
            self._on_garbage(self.line, self._tail[:80])
        self._skipping = True
        self.line += self._tail[:-3].count(b"\n")
        self._tail = self._tail[-3:]

    def _read(self, block: bytes, line: int, blocks: list[bytes], place: int) -> Message | None:
        """A message that isn't simply a wanted or unwanted event. `line` is where `blocks` begin, `place` where this one is."""
        if block.startswith(_EVENT):
            name = _label(block, len(_EVENT))
            return Message(EVENT, name, block) if self._names is None or name in self._names.values() else None
        if block.startswith(_RESPONSE):
            return Message(RESPONSE, _label(block, len(_RESPONSE)), block)
        line += sum(before.count(b"\n") + 2 for before in blocks[:place])
        return self._recover(block, line)

    def _recover(self, block: bytes, line: int) -> Message | None:
        """Find a message behind lines that belong to none: the banner, an extra empty line, noise."""
        rest = block
        while rest and not rest.startswith((_EVENT, _RESPONSE)):
            bad, _, rest = rest.partition(b"\r\n")
            if bad.startswith(_BANNER):
                self.banner = bad.decode("utf-8", "replace")
            elif bad:
                self._on_garbage(line, bad)
            line += 1
        return self._read(rest, line, [], 0) if rest else None


def _label(block: bytes, start: int) -> str:
    end = block.find(b"\r\n", start)
    return (block[start:end] if end >= 0 else block[start:]).decode("utf-8", "replace")
