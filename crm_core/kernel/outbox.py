"""The outbox of one screen's socket: how much may wait for a slow reader before it is cut. A rule with no socket in it.

(Not the table of messages that leave with a transaction: that one is written by services and read by workers.)
"""

from __future__ import annotations

from collections.abc import Callable

SEND_LIMIT = 256 * 1024
TOO_SLOW = 4408
_GRACE_LIMIT = 4 * 1024 * 1024


class Outbox:
    """What one screen may still have waiting for it: the rule that a slow reader is cut, with no socket in it.

    At most `limit` bytes of events wait (256 KiB); the next one evicts. A big message, such as the snapshot of a
    large floor, may exceed that once: it raises what is allowed by its own size until all has been read. After
    `evict` nothing more is written; the screen joins again with its last cursor.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        backlog: Callable[[], int],
        evict: Callable[[int, str], None],
        limit: int = SEND_LIMIT,
    ) -> None:
        """`write` takes a message at once, `backlog` says how many bytes are not yet gone, `evict(code, reason)`
        cuts.
        """
        self._write = write
        self._backlog = backlog
        self._evict = evict
        self._limit = limit
        self._grace = 0
        self.evicted = False

    def send(self, message: bytes) -> None:
        """Write the message, or evict. Never waits, never raises for a slow or vanished reader."""
        if self.evicted:
            return
        waiting, size = self._backlog(), len(message)
        if waiting == 0:
            self._grace = 0
        if size > self._limit // 4 and self._grace + size <= _GRACE_LIMIT:
            self._grace += size
        if waiting + size > self._limit + self._grace:
            self.evicted = True
            self._evict(TOO_SLOW, "too slow")
            return
        self._write(message)
