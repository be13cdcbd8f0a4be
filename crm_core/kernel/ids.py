"""Identifiers: 63-bit integers, ordered by the time they were made, made without asking the database.

Layout, high to low: 41 bits of milliseconds since 2024-01-01 UTC (good until 2093), 10 bits of node, 12 bits of sequence. They
are integers in Python and in the database and strings in JSON, since a browser's numbers hold only 53 bits.
"""

from __future__ import annotations

import hashlib
import re
import threading
from typing import NewType

from crm_core.kernel.clock import Clock

UnitId = NewType("UnitId", int)
UserId = NewType("UserId", int)
CustomerId = NewType("CustomerId", int)
PbxId = NewType("PbxId", int)
SeatId = NewType("SeatId", int)
CallId = NewType("CallId", int)

EPOCH_MS = 1_704_067_200_000
_NODE_BITS = 10
_SEQ_BITS = 12
_SEQ_MAX = (1 << _SEQ_BITS) - 1
_TIME_SHIFT = _NODE_BITS + _SEQ_BITS


class IdMaker:
    """Makes identifiers for one node (0–1023). Never gives the same one twice, even when the clock is set back."""

    def __init__(self, clock: Clock, node: int = 0) -> None:
        if not 0 <= node < (1 << _NODE_BITS):
            raise ValueError(f"node must be 0 to {(1 << _NODE_BITS) - 1}, not {node}")
        self._now = clock.now
        self._node_bits = node << _SEQ_BITS
        self._last_ms = 0
        self._seq = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            ms = int(self._now() * 1000) - EPOCH_MS
            if ms > self._last_ms:
                self._last_ms, self._seq = ms, 0
            elif self._seq < _SEQ_MAX:
                self._seq += 1
            else:
                self._last_ms, self._seq = self._last_ms + 1, 0
            return self._last_ms << _TIME_SHIFT | self._node_bits | self._seq


def made_at(identifier: int) -> float:
    """When an identifier was made, UTC seconds since the Unix epoch."""
    return ((identifier >> (_NODE_BITS + _SEQ_BITS)) + EPOCH_MS) / 1000


def id_at(at: float) -> int:
    """The smallest identifier that could have been made at that instant: a bound for ranges, and a base for history made up later."""
    return max(int(at * 1000) - EPOCH_MS, 0) << (_NODE_BITS + _SEQ_BITS)


def stable_id(owner: int, epoch: str, name: str, now: float) -> int:
    """The identifier of something that another system named: always the same for the same owner, epoch and name.

    Its time is taken from the name where that ends in seconds and a counter (1795309342.17), else it is `now` and only stable
    where the caller remembers it. Two names meet with a chance of about one in four thousand million for each pair of one second.
    """
    found = re.search(r"(\d{9,11})\.(\d+)$", name)
    seconds, counter = (int(found[1]), int(found[2])) if found else (int(now), 0)
    digest = hashlib.blake2b(f"{owner}/{epoch}/{name}".encode(), digest_size=8).digest()
    low = int.from_bytes(digest) & ((1 << (_NODE_BITS + _SEQ_BITS)) - 1)
    return id_at(seconds + (counter % 1000) / 1000) | low


def parse_id(text: object) -> int:
    """Read an identifier as JSON carries it. Raises ValueError for anything but a decimal string or integer in range."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ValueError("an identifier is a string of digits")
    if isinstance(text, str) and not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ValueError("an identifier is a string of digits")
    value = int(text)
    if not 0 < value < 1 << 63:
        raise ValueError("an identifier is between 1 and 2^63 - 1")
    return value
