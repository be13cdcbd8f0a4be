"""The product with a database that answers a look-up after one second; everything else is as it is.

python -m config.bench.slow_product      settings from LINGXI_HOME, as for `lingxi run`
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Final

import uvloop

from config.bootstrap import Program
from config.lines import access_of
from config.logs import set_up
from config.settings_reading import load
from crm_core.lookup import NumberLookup
from crm_core.matches import Match

ANSWER_S: Final = 1.0


class SlowLookup:
    """A look-up that takes its time."""

    def __init__(self, behind: NumberLookup) -> None:
        self._behind = behind

    def find_now(self, _unit_id: int, _key: str) -> Sequence[Match] | None:
        return None

    async def find(self, unit_id: int, key: str) -> Sequence[Match]:
        """As the one behind it, a second later."""
        await asyncio.sleep(ANSWER_S)
        return await self._behind.find(unit_id, key)

    async def close(self) -> None:
        """As the one behind it."""
        await self._behind.close()


class SlowProgram(Program):
    """The program, wired with it."""

    def _make_telephony(self) -> None:
        self.lookup = SlowLookup(self.lookup)
        super()._make_telephony()


async def serve() -> None:
    """As `lingxi run`."""
    settings = load()
    set_up(settings.logs.level, settings.logs.format)
    program = SlowProgram(settings, access_of(settings))
    await program.prepare()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, program.stop)
    await program.run()


if __name__ == "__main__":
    uvloop.run(serve())
