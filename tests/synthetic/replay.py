"""A recorded stream served again: byte for byte what the real PBX sent, over a manager connection of our own, in pieces of any size.

The tester's own lines (`> ` was sent, `# ` is a remark) are left out, as they never came from the PBX.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Final

from tests.synthetic.exchange import Exchange
from tests.synthetic.faults import Ears
from tests.synthetic.server import Server

FENCE: Final = b"Event: UserEvent\r\nPrivilege: user,all\r\nUniqueid: fence\r\nUserEvent: Fence\r\n\r\n"
LONGEST: Final = 3000


def spoken(path: Path) -> bytes:
    """What the PBX sent, of a recorded stream."""
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(line.rstrip(b"\r\n") + b"\r\n" for line in lines if not line.startswith((b"> ", b"# ", b">\r", b">\n")))


class Replay:
    """A PBX that has nothing of its own to say."""

    def __init__(self, secret: str, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        exchange = Exchange(lambda *_: None, lambda _: None, clock=time.time, queues=[], phones=[])
        self.server = Server(exchange.actions, secret, Ears(told=lambda *_: None), time.time, lambda: None)

    async def play(self, path: Path) -> None:
        """Send it, and after it a word that says it is over."""
        data, at = spoken(path) + FENCE, 0
        while at < len(data):
            size = self._rng.randrange(1, LONGEST)
            self.server.tell_all(data[at : at + size])
            at += size
            await asyncio.sleep(0)
