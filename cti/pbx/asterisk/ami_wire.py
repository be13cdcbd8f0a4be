"""Bytes of an Asterisk manager connection in, messages out.

Nothing here opens a socket, waits or knows what an event means: `Parser` is fed whatever arrived and hands back the whole
messages in it. A message keeps its bytes and looks headers up on demand, since of some twenty headers a handful is wanted.
Format: lines `Key: value` ended by CR LF, a message ended by an empty line; one banner line greets a new connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

EVENT: Final = "event"
RESPONSE: Final = "response"

LINK: Final = "LingxiLink"  # a block of our own among the PBX's: the link came up or went down
LINK_VERSION: Final = 1
END: Final = b"\r\n\r\n"
_PLACES: Final = 16
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


class Headers:
    """Headers that are read together, named in the order in which the PBX sends them: so one look through a message finds them all.

    A name that ends in a question mark may well be missing. `match` looks where all of them stood in a message before, since a PBX
    hardly ever sends the same event otherwise; where that finds nothing, `search` looks anywhere.
    """

    __slots__ = ("_anywhere", "_places", "match", "names")

    def __init__(self, names: str) -> None:
        self.names: Sequence[str] = names.replace("?", "").split()
        self._places = _PLACES
        # Behind the first line, whole lines are passed over until one begins with the name, and so on from there.
        lines = (
            rf"(?:\r\n(?:[^\n]*+\n)*?{re.escape(name.rstrip('?'))}: ([^\r]*+)){'?' if name.endswith('?') else ''}"
            for name in names.split()
        )
        self._anywhere = re.compile(r"[^\r]*+" + "".join(lines) + r"(?:\r\n|\Z)").match
        self.match = re.compile("(?!)").match  # nowhere yet

    def search(self, text: str) -> re.Match[str] | None:
        """Find them, and remember where they are; only so often, as for an event whose lines are never the same that is no use."""
        found = self._anywhere(text)
        if found is not None and None not in found.groups() and self._places:
            self._places -= 1
            before, pattern = 0, r"[^\r]*+"
            for number, name in enumerate(self.names, 1):
                passed = text.count("\n", before, found.start(number)) - 1
                pattern += r"\r\n[^\r]*+" * passed + rf"\r\n{re.escape(name)}: ([^\r]*+)"
                before = found.end(number)
            self.match = re.compile(pattern + r"(?:\r\n|\Z)").match
        return found


class Message(Struct, gc=False):
    """One message. `kind` is "event" or "response" by its first line alone: some events carry a Response header too.

    `name` is the event's name or the response's word (Success, Error, Goodbye). Keys are as Asterisk spells them. Bytes that are
    no UTF-8 become U+FFFD.
    """

    kind: str
    name: str
    raw: bytes

    def take(self, headers: Headers) -> Sequence[str]:
        """The values of these headers, each of which the PBX sends once; "" for one that isn't there."""
        text = self.raw.decode("utf-8", "replace")
        found = headers.match(text) or headers.search(text)
        return [self.get(name) for name in headers.names] if found is None else found.groups("")

    def get(self, key: str, default: str = "") -> str:
        """The first value of a header."""
        pattern, size = _PATTERN[key]
        start = self.raw.find(pattern)
        return default if start < 0 else self._value(start + size)

    def number(self, key: str) -> float | None:
        """The first value of a header as a number, None if it is none."""
        pattern, size = _PATTERN[key]
        start = self.raw.find(pattern)
        if start < 0:
            return None
        end = self.raw.find(b"\r\n", start + size)
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
    kept. What can't be understood is skipped and told to `on_garbage(how many bytes came before it, bytes)`, never raised. No more
    than `max_block` bytes of one unfinished message are kept.
    """

    def __init__(
        self,
        wanted: frozenset[str] | None = None,
        on_garbage: Callable[[int, bytes], None] | None = None,
        max_block: int = 262_144,
    ) -> None:
        self.banner = ""
        self._names = {} if wanted is None else {_EVENT + name.encode(): name for name in wanted}
        self._all = wanted is None
        self._on_garbage = on_garbage or (lambda _at, _what: None)
        self._max_block = max_block
        self._at = 0  # how many bytes came before the tail
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
        at, self._at = self._at, self._at + len(data) - len(self._tail)
        if self._skipping and blocks:
            self._skipping = False
            at += len(blocks.pop(0)) + len(END)
        name_of = self._names.get
        found: list[Message] = []
        for place, block in enumerate(blocks):
            end = block.find(b"\r\n")
            name = name_of(block[:end])
            if name is not None:
                found.append(Message(EVENT, name, block))
            elif self._all or end < 0 or block[:7] != _EVENT:
                before = sum(map(len, blocks[:place])) + place * len(END)
                if (message := self._read(block, at + before)) is not None:
                    found.append(message)
        if len(self._tail) > self._max_block:
            self._drop_endless()
        return found

    def _drop_endless(self) -> None:
        if not self._skipping:
            self._on_garbage(self._at, self._tail[:80])
        self._skipping = True
        self._at += len(self._tail) - 3
        self._tail = self._tail[-3:]

    def _read(self, block: bytes, at: int) -> Message | None:
        """A message that isn't simply a wanted or unwanted event; `at` bytes came before it."""
        if block.startswith(_EVENT):
            name = _label(block, len(_EVENT))
            return Message(EVENT, name, block) if self._all or name in self._names.values() else None
        if block.startswith(_RESPONSE):
            return Message(RESPONSE, _label(block, len(_RESPONSE)), block)
        return self._recover(block, at)

    def _recover(self, block: bytes, at: int) -> Message | None:
        """Find a message behind lines that belong to none: the banner, an extra empty line, noise."""
        rest = block
        while rest and not rest.startswith((_EVENT, _RESPONSE)):
            bad, ending, rest = rest.partition(b"\r\n")
            if bad.startswith(_BANNER):
                self.banner = bad.decode("utf-8", "replace")
            elif bad:
                self._on_garbage(at, bad)
            at += len(bad) + len(ending)
        return self._read(rest, at) if rest else None


def _label(block: bytes, start: int) -> str:
    end = block.find(b"\r\n", start)
    return (block[start:end] if end >= 0 else block[start:]).decode("utf-8", "replace")
