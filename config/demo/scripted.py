"""The demo where no Asterisk can be had: a PBX played in this process takes its place. Every page says so; no sound, no phone rings.

Never used by tests of the product's path, nor where all peers are asked for.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from config.bootstrap import PbxAccess, Program
from config.demo import centre
from config.demo.run import Tell, passwords_of, prepare_rows, welcome, write_private
from config.demo.web import DemoWeb
from config.settings import Settings
from config.tongue import told
from crm_core.entities.org import User
from crm_core.kernel.errors import Refusal
from crm_core.signin import principal_of
from cti.pbx.scripted import PhoneHabit, ScriptedDriver, ScriptedPbx
from cti.storage import Seat

HABIT: Final = PhoneHabit(ring_s=4.0, talk_s=25.0)
BANNER: Final = "No real phone system here: a scripted one plays the calls, without sound."


class ScriptedDemo:
    """The product over a scripted PBX."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self.settings, self._tell = settings, tell
        self.running: list[dict[str, Any]] = []
        self.program: Program
        self._tasks: set[asyncio.Task[Any]] = set()

    async def prepare(self) -> None:
        """Make the centre and the product."""
        self.unit_id, self.pbx_id = await prepare_rows(self.settings, self._tell)
        habits = dict.fromkeys((*centre.BROWSER_SEATS, *centre.DESK_SEATS), HABIT)
        self.pbx = ScriptedPbx(numbers=dict(centre.NUMBERS), habits=habits, now=time.time, sleep=asyncio.sleep)
        access = PbxAccess(make_driver=lambda _position: ScriptedDriver(self.pbx), spool=None, sip_ws="", realm="")
        self.program = Program(self.settings, {centre.PBX_NAME: access}, demo=True)
        await self.program.prepare()
        self.program.pages.banner = BANNER
        DemoWeb(self.program.pages, self.program.database, self.program.customers, self).add_to(self.program.routes)

    async def run(self) -> None:
        """Serve until stopped."""
        serving = asyncio.create_task(self.program.run())
        started = asyncio.create_task(self.program.ready.wait())
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not serving.done():
                await self._sit_down()
                self._write_facts()
            await serving
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sit_down(self) -> None:
        async with self.program.database.read() as db:
            seats = (
                (await db.execute(select(Seat.id).where(Seat.pbx_id == self.pbx_id, Seat.phone == "desk").order_by(Seat.extension)))
                .scalars()
                .all()
            )
            logins = [a[0] for a in centre.AGENTS if a[0] not in centre.BY_HAND]
            people = (await db.execute(select(User.id).where(User.login.in_(logins)).order_by(User.id))).scalars().all()
            principals = [await principal_of(db, user_id) for user_id in people]
        for principal, seat_id in zip(principals, seats, strict=False):
            if self.program.seats.of_user(principal.user_id) is None:
                try:
                    await self.program.seats.sign_in(principal, seat_id, state="ready", take_over=True, address="demo")
                except Refusal as refusal:
                    self._tell(told(refusal.say, **refusal.detail))

    async def call(self, *, number: str, to: str, hold_s: float, say: Path | None = None, name: str = "") -> None:
        """Send a caller in."""
        entry = {"number": number, "to": to, "since": self.program.clock.now(), "state": "calling"}
        self.running.append(entry)
        task = asyncio.create_task(self._play(entry, number, to, hold_s, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, entry: dict[str, Any], number: str, to: str, hold_s: float, name: str) -> None:
        await self.pbx.caller(number=number, to=to, name=name, patience_s=hold_s, talk_s=hold_s)
        entry["state"] = "answered"
        await asyncio.sleep(30)
        self.running.remove(entry)

    def sound(self, what: str) -> Path | None:
        """There is no sound."""
        return None

    def _write_facts(self) -> None:
        web = self.settings.web
        facts = {
            "url": f"http://{web.host}:{web.port}/",
            "accounts": passwords_of(self.settings.home.folder),
            "pbx": None,
            "numbers": dict(centre.NUMBERS),
        }
        write_private(self.settings.home.folder / "run" / "demo.json", json.dumps(facts, ensure_ascii=False, indent=1))
        self._tell(welcome(facts))
        self._tell(told(BANNER))
