"""Whether the board still agrees with the PBX: asked every few seconds, healed with the reason in the log.

An event may be lost between us and the PBX without anybody noticing; a call would then stand for ever, or a seat in it. A difference
that is seen twice is no event on its way. How the board is brought in line is the line's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from cti.domain.board import CallBoard
from cti.ports import PbxDriver, PbxRefused

log = structlog.get_logger(__name__)
EVERY_S: Final = 5.0
SHARE: Final = 50  # of the time at most one part in so many is spent on it


class Drift:
    """Compares a board with its PBX. `heal` takes the whole state anew; `healed` counts how often that was needed."""

    def __init__(self, name: str, driver: PbxDriver, board: CallBoard, heal: Callable[[], Awaitable[None]]) -> None:
        self._name, self._driver, self._board, self._heal = name, driver, board, heal
        self._seen: dict[str, str] = {}
        self.healed = 0

    async def run(self, up: Callable[[], bool]) -> None:
        """Compare while the link is up, for ever."""
        loop = asyncio.get_running_loop()
        wait_s = EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            if not up():
                self._seen = {}
                continue
            began = loop.time()
            try:
                await self.compare()
            except PbxRefused as refusal:
                log.warning("the PBX's calls could not be compared", pbx=self._name, why=refusal.say)
            wait_s = max(EVERY_S, SHARE * (loop.time() - began))

    async def compare(self) -> None:
        """Look once; heal what was there at the last look too."""
        now = differences(self._board.standing(), await self._driver.standing())
        lasting = {leg: what for leg, what in now.items() if self._seen.get(leg) == what}
        self._seen = now
        if lasting:
            self.healed += 1
            self._seen = {}
            log.warning("the board is brought in line with the PBX", pbx=self._name, legs=len(lasting), why=lasting)
            await self._heal()


def differences(board: Mapping[str, bool | None], pbx: Mapping[str, bool]) -> dict[str, str]:
    """By leg, what the two do not agree on. Each maps the legs alive to whether they are answered."""
    found = {leg: "the PBX has no such leg" for leg in board if leg not in pbx}
    for leg, answered in pbx.items():
        if leg not in board:
            found[leg] = "the board has no such leg"
        elif board[leg] not in (None, answered):
            found[leg] = "answered, and the board has not heard of it" if answered else "not answered, and the board believes so"
    return found
