"""The demo: one machine, a real Asterisk of our own, a centre with history, seats that answer by themselves, and people to call in.

Everything that people see and every call is the product's own; only the callers and some of the agents are machines. Where no
Asterisk can be had the scripted PBX takes its place, which the pages say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import select

from config.bootstrap import PbxAccess, Program
from config.demo import centre, customers, history, records
from config.demo.asterisk_process import AsteriskFailed, AsteriskProcess, own_plan
from config.demo.asterisk_tree import AsteriskTree
from config.demo.callers import TRUNK_ADDRESS, Caller, Callers
from config.demo.phones import Habit, PhoneGroup
from config.demo.sounds import tone, write_wav
from config.demo.web import DemoWeb
from config.lines import asterisk
from config.settings import Settings
from config.tongue import told
from config.upgrade import upgrade
from crm_core.days import zone_of
from crm_core.entities.org import User
from crm_core.entities.people import ContactPoint
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import Refusal
from crm_core.kernel.ids import IdMaker
from crm_core.numbers import NumberRules
from crm_core.signin import principal_of
from cti.pbx.asterisk.provision import Login, OutgoingPlan, TrunkPlan
from cti.ports import PbxDriver
from cti.services.provisioning import Surroundings, plan_of
from cti.storage import InwardNumber, Queue, Seat

log = structlog.get_logger(__name__)
Tell = Callable[[str], None]
CUSTOMERS: Final = 500
OUTSIDE_PORT: Final = 5999
TRUNK: Final = "carrier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Who may sign in to the demo, kept in a file that only its owner can read."""

    passwords: dict[str, str]

    @staticmethod
    def file(home: Path) -> Path:
        """Where they are."""
        return home / "demo-accounts.json"


async def prepare_rows(settings: Settings, tell: Tell) -> tuple[int, int]:
    """Make the centre, its customers and its history where they are not there yet; returns unit and PBX."""
    database, clock = Database(settings.database.url), SystemClock()
    new_id = IdMaker(clock)
    try:
        await upgrade(database)
        async with database.read() as db:
            found = await centre.find_centre(db)
        if found is not None:
            return found
        tell(told("Making the demo's centre: 8 agents, 3 queues, 500 customers, 30 days of calls"))
        now = clock.now()
        async with database.begin() as db:
            made = await centre.make_centre(db, new_id, now)
            for rows in customers.batches(made.unit_id, new_id, now, CUSTOMERS):
                await customers.write(db, rows)
            today = datetime.fromtimestamp(now, zone_of("Asia/Shanghai")).date()
            rules = NumberRules(area_code="0571")
            await history.write(db, made.unit_id, made.pbx_id, "Asia/Shanghai", now, today, rules, lambda _: None)
            await records.write(db, made.unit_id, new_id, now, "Asia/Shanghai")
        write_private(Accounts.file(settings.home.folder), json.dumps({"passwords": made.passwords}, ensure_ascii=False, indent=1))
        return made.unit_id, made.pbx_id
    finally:
        await database.close()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at once and whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def passwords_of(home: Path) -> dict[str, str]:
    """The demo's accounts."""
    try:
        return dict(json.loads(Accounts.file(home).read_text())["passwords"])
    except (OSError, ValueError, KeyError):
        return {}


def logins_of(home: Path) -> tuple[Login, Login]:
    """The PBX's secrets, made once."""
    path = home / "pbx" / "secrets.json"
    if not path.is_file():
        write_private(path, json.dumps({"manager": secrets.token_urlsafe(24), "ari": secrets.token_urlsafe(24)}))
    kept = json.loads(path.read_text())
    return Login(user="lingxi", secret=kept["manager"]), Login(user="lingxi-ari", secret=kept["ari"])


class Demo:
    """The PBX, the product and the people around it."""

    def __init__(self, settings: Settings, tree: AsteriskTree, tell: Tell, *, lively: bool = True) -> None:
        self.settings, self.tree, self._tell, self._lively = settings, tree, tell, lively
        self.home = settings.home.folder
        self.pbx: AsteriskProcess
        self.program: Program
        self.callers: Callers
        self.running: list[dict[str, Any]] = []
        self._phones: list[PhoneGroup] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def prepare(self) -> None:
        """Start the PBX and make the product, without serving yet."""
        self.unit_id, self.pbx_id = await prepare_rows(self.settings, self._tell)
        manager, ari = logins_of(self.home)
        own = own_plan(self.tree, self.home / "pbx" / "demo")
        around = Surroundings(
            manager=manager,
            ari=ari,
            trunks=(TrunkPlan(name=TRUNK, matches=(TRUNK_ADDRESS,), contact=f"sip:{TRUNK_ADDRESS}:{OUTSIDE_PORT}"),),
            outgoing=OutgoingPlan(trunk=TRUNK, caller_id="057188000001"),
            own=own,
            two_channel=self.tree.two_channel,
        )
        database = Database(self.settings.database.url)
        try:
            plan = await plan_of(database, self.pbx_id, around)
        finally:
            await database.close()
        self.pbx = AsteriskProcess(plan, self.tree)
        self._tell(told("Starting Asterisk {version}", version=self.tree.version))
        await self.pbx.start()
        self.callers = Callers(self.tree, (own.address, own.ports.sip), self.home / "pbx" / "callers")
        access = PbxAccess(
            make_driver=self._way_in(manager, ari),
            spool=self.pbx.recordings,
            sip_ws=f"ws://{own.address}:{own.ports.http}/ws",
            realm=own.address,
        )
        self.program = Program(self.settings, {centre.PBX_NAME: access}, demo=True)
        await self.program.prepare()
        DemoWeb(self.program.pages, self.program.database, self.program.customers, self).add_to(self.program.routes)

    def _way_in(self, manager: Login, ari: Login) -> Callable[[str], PbxDriver]:
        own = self.pbx.own
        address = f"http://{own.address}:{own.ports.http}/ari"
        return asterisk(
            self.home, name=centre.PBX_NAME, host=own.address, port=own.ports.ami, user=manager.user, secret=manager.secret,
            ari=(address, ari.user, ari.secret), books=self.pbx.books,
        )  # fmt: skip

    async def run(self) -> None:
        """Serve until stopped; then end phones, callers and PBX."""
        serving = asyncio.create_task(self.program.run())
        try:
            started = asyncio.create_task(self.program.ready.wait())
            await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._wake_floor()
                self._write_facts()
                self._keep(self._watch_pbx())
                if self._lively:
                    self._keep(self._chatter())
            await serving
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(group.stop() for group in self._phones), return_exceptions=True)
            await self.pbx.stop()

    async def _watch_pbx(self) -> None:
        """Start the PBX again should it die."""
        while True:
            status = await self.pbx.ended()
            log.error("the PBX has died; it is being started again", status=status)
            try:
                await self.pbx.start()
            except AsteriskFailed as failure:
                log.error("the PBX can't be started", why=str(failure))
                await asyncio.sleep(5)
            else:
                log.info("the PBX was started again")

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ----------------------------------------------------------------------------------------------------- seats that answer

    async def _wake_floor(self) -> None:
        """Register the headless phones and sit the demo's other agents at them."""
        async with self.program.database.read() as db:
            seats = (
                await db.execute(
                    select(Seat.id, Seat.extension, Seat.secret)
                    .where(Seat.pbx_id == self.pbx_id, Seat.phone == "desk")
                    .order_by(Seat.extension)
                )
            ).all()
            logins = [a[0] for a in centre.AGENTS if a[0] not in centre.BY_HAND]
            people = (await db.execute(select(User.id).where(User.login.in_(logins)).order_by(User.id))).scalars().all()
            principals = [await principal_of(db, user_id) for user_id in people]
        habit = Habit(ring_s=(2.0, 6.0), talk_s=(15.0, 60.0), sound=self._speech("agent"))
        group = PhoneGroup(
            self.tree, self.callers_address, self.home / "pbx" / "phones", [(s.extension, s.secret) for s in seats], habit
        )
        await group.start()
        self._phones.append(group)
        await self._wait_for_pbx()
        for principal, seat in zip(principals, seats, strict=False):
            if self.program.seats.of_user(principal.user_id) is None:
                with contextlib.suppress(Refusal):
                    await self.program.seats.sign_in(principal, seat.id, state="ready", take_over=True, address="demo")

    @property
    def callers_address(self) -> tuple[str, int]:
        """Where the PBX listens for SIP."""
        return self.pbx.own.address, self.pbx.own.ports.sip

    async def _wait_for_pbx(self) -> None:
        for _ in range(200):
            if self.program.lines[self.pbx_id].up:
                return
            await asyncio.sleep(0.05)

    def _speech(self, who: str) -> Path | None:
        sounds = self.tree.sounds
        if sounds is None:
            return None
        for name in {"agent": ("vm-intro", "tt-weasels"), "caller": ("demo-instruct", "demo-congrats", "tt-monkeysintro")}[who]:
            path = sounds / f"{name}.wav"
            if path.is_file():
                return path
        return None

    # ---------------------------------------------------------------------------------------------------------------- callers

    async def call(self, *, number: str, to: str, hold_s: float, say: Path | None = None, name: str = "") -> None:
        """Send a caller in; returns when the call is placed. Raises BadText, BadSound."""
        caller = Caller(number=number, to=to, name=name, sound=say or self._speech("caller"), hold_s=hold_s)
        live = await self.callers.place(caller)
        entry = {"number": number, "to": to, "since": self.program.clock.now(), "state": "calling"}
        self.running.append(entry)
        self._keep(self._follow(live, entry))

    def sound(self, what: str) -> Path | None:
        """A sound to say: tone (440 Hz), speech, or None for silence."""
        if what == "tone":
            path = self.home / "pbx" / "tone-440.wav"
            if not path.is_file():
                write_wav(path, tone(440.0, 2.0))
            return path
        return self._speech("caller") if what == "speech" else None

    async def _follow(self, live: Any, entry: dict[str, Any]) -> None:
        result = await live.result()
        entry["state"] = "answered" if result.answered else f"refused {result.code}"
        await asyncio.sleep(30)
        self.running.remove(entry)

    async def _chatter(self) -> None:
        """Now and then somebody calls, so that the floor is alive: never while the waiting line is long."""
        async with self.program.database.read() as db:
            keys = (
                (await db.execute(select(ContactPoint.written).where(ContactPoint.unit_id == self.unit_id).limit(800)))
                .scalars()
                .all()
            )
            numbers = (
                await db.execute(select(InwardNumber.number).join(Queue, Queue.id == InwardNumber.queue_id).where(Queue.name.in_(("support", "parts"))))
            ).scalars().all()  # fmt: skip
        while True:
            await asyncio.sleep(random.uniform(8, 25))  # noqa: S311 - a demo, not a secret
            if len(self.running) < 4:
                with contextlib.suppress(Exception):
                    await self.call(number=random.choice(keys), to=random.choice(numbers), hold_s=random.uniform(20, 70))  # noqa: S311

    # ------------------------------------------------------------------------------------------------------------- for people

    def _write_facts(self) -> None:
        """Addresses, accounts and ports for scripts."""
        scheme = "https" if self.settings.web.tls_cert else "http"
        host = "127.0.0.1" if self.settings.web.host in ("0.0.0.0", "::") else self.settings.web.host  # noqa: S104
        own = self.pbx.own
        facts = {
            "url": f"{scheme}://{host}:{self.settings.web.port}/",
            "accounts": passwords_of(self.home),
            "pbx": {
                "version": self.tree.version,
                "address": own.address,
                "sip": own.ports.sip,
                "ami": own.ports.ami,
                "http": own.ports.http,
            },
            "numbers": dict(centre.NUMBERS),
            "trunk_address": TRUNK_ADDRESS,
            "pid": os.getpid(),
        }
        write_private(self.home / "run" / "demo.json", json.dumps(facts, ensure_ascii=False, indent=1))
        self._tell(welcome(facts))


def welcome(facts: dict[str, Any]) -> str:
    """What people need to begin."""
    lines = ["", told("Lingxi is ready: {url}", url=facts["url"]), ""]
    names = {login: name for login, name, *_ in (*centre.AGENTS, *centre.OTHERS)}
    shown = [*centre.BY_HAND, "zhang", "qian", "admin"]
    for login in shown:
        password = facts["accounts"].get(login, told("as before"))
        lines.append(f"  {login:<6} {password:<14} {names.get(login, '')}")
    lines += [
        "",
        told("Sign in as wang, choose a seat, then send a caller in: page “Simulate a call”, or"),
        "  .venv/bin/lingxi demo call --from 13812341234 --to 057188000001",
        "",
        told("Ctrl-C stops everything."),
    ]
    return "\n".join(lines)


def with_home(settings: Settings) -> Settings:
    """The settings, with their folders made."""
    settings.home.folder.mkdir(parents=True, exist_ok=True)
    settings.recordings.folder.mkdir(parents=True, exist_ok=True)
    return replace(settings)
