"""The wiring: from settings to a running product, in one place. Everything gets what it needs handed in; tests hand in other drivers.

`Program` is made, started, and runs until it is told to stop; one TaskGroup owns every task.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import structlog
from aiohttp import web
from sqlalchemy import select

import agent_console
import crm_core.web
import recordings
import supervisor
from agent_console.app import AgentWeb
from agent_console.projection import BREATH_S, DESKS_AT_ONCE, Desks
from agent_console.sip_proxy import SipProxy
from config.accounts import grant_new_kinds
from config.between import join
from config.health import Health
from config.records import open_records
from config.settings import Pbx as PbxSettings
from config.settings import Settings
from config.system import Around, open_system
from config.tidy import tidy
from config.upgrade import upgrade
from crm_core.customers import Customers
from crm_core.initials import open_initials
from crm_core.kernel.access import Principal, Scope, reach
from crm_core.kernel.clock import Clock, SystemClock
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotAllowed, Refusal
from crm_core.kernel.feed import KEPT_BYTES, Feed, FeedAddress
from crm_core.kernel.feeds import OWN_KEPT_BYTES, Feeds
from crm_core.kernel.gather import Gather
from crm_core.kernel.ids import IdMaker
from crm_core.lookup import open_lookup
from crm_core.numbers import NumberRules
from crm_core.places import open_places
from crm_core.ports import Sources
from crm_core.records.imports import Imports
from crm_core.records.reading import RecordTimeline
from crm_core.signin import SignIn
from crm_core.web.api import Routes
from crm_core.web.app import make_app
from crm_core.web.ask import Ask
from crm_core.web.imports import ImportWeb
from crm_core.web.pages import NavItem, Pages, Statics, import_words
from crm_core.web.records import RecordWeb
from crm_core.web.routes import CrmWeb
from crm_core.web.search import SearchWeb
from crm_core.web.socket import Sockets
from crm_core.web.system_home import RIGHTS
from cti.events import CallBooked, PbxLinkChanged
from cti.figures.day import DayFigures, empty, shown
from cti.figures.definitions import OF_AGENT, OF_ALL, OF_QUEUE, Figure
from cti.figures.live import LiveFigures
from cti.links import Links
from cti.pbx_events import Booted
from cti.ports import PbxDriver
from cti.services.books import Books, Page
from cti.services.call_books import CallBooks
from cti.services.directory import Directory
from cti.services.hearing import hear
from cti.services.lines import PbxLine
from cti.services.numbering import Numbering
from cti.services.seats import Seats
from cti.storage import Pbx
from recordings.calls import Calls
from recordings.capture import Capture
from recordings.web import CallWeb
from supervisor.app import FloorWeb
from supervisor.projection import Floors

log = structlog.get_logger(__name__)
NAV = (
    NavItem("desk", "/", "Desk", "desk", ("seat", "use")),
    NavItem("floor", "/floor", "Floor", "floor", ("floor", "see")),
    NavItem("calls", "/calls", "Calls", "calls", ("call", "see")),
    NavItem("customers", "/customers", "Customers", "customers", ("customer", "see")),
    NavItem("tickets", "/tickets", "Tickets", "ticket", ("ticket", "see")),
    NavItem("follow-ups", "/follow-ups", "Follow-ups", "followup", ("follow_up", "see")),
    NavItem("tasks", "/tasks", "Tasks", "task", ("task", "see")),
    NavItem("products", "/products", "Products", "product", ("product", "see")),
    NavItem("system", "/system", "System", "admin", RIGHTS[0], RIGHTS[1:]),
)
HERE_S = 30.0
TABLES: Mapping[str, tuple[str, ...]] = {
    "desk": ("seat", "calls", "queues", "day"),
    "floor": ("seats", "queues", "figures", "health"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxAccess:
    """How one PBX is reached: its driver, given the journal position to go on from, and where its sound and SIP are."""

    make_driver: Callable[[str], PbxDriver]
    spool: Path | None
    sip_ws: str
    realm: str


class Program:
    """One process of Lingxi."""

    def __init__(
        self, settings: Settings, access: Mapping[str, PbxAccess], clock: Clock | None = None, *, demo: bool = False
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.new_id = IdMaker(self.clock)
        self.database = Database(settings.database.url)
        self.routes = Routes()
        self.demo = demo
        self.lines: dict[int, PbxLine] = {}
        self._access = access
        self._days: Gather[tuple[int, int]] = Gather(self._tell_days, wait_s=0, at_once=DESKS_AT_ONCE, breath_s=BREATH_S)
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self._positions: dict[int, tuple[str, str]] = {}

    async def prepare(self) -> None:
        """Bring the database up to date and make every part. Talks to no PBX yet."""
        await upgrade(self.database)
        await grant_new_kinds(self.database, self.new_id)
        phones = self.settings.phones
        prefixes = (phones.outside_prefix,) if phones.outside_prefix else ()
        rules = NumberRules(
            home_region=phones.region, area_code=phones.area_code, extensions=phones.extension_pattern, prefixes=prefixes
        )
        self.directory = Directory(self.database, rules)
        await self.directory.load()
        self.feeds = Feeds(_make_feed)
        self.between = join(self.settings.bus, self.clock, self.feeds)
        self.bus, self.presence = self.between.bus, self.between.presence
        self.books = Books(self.database)
        self.lookup = open_lookup(self.database)
        self.places = await open_places(self.settings.home.folder / "cache")
        await open_initials(self.settings.home.folder / "cache")
        self._make_telephony()
        self.records = await open_records(self.database, self.clock, self.new_id, self.directory.zone)
        folder = self.settings.home.folder / "imports"
        self.imports = Imports(self.database, self.records.writing, self.clock, self.new_id, folder)
        await self.imports.load()
        self._make_screens()
        await self._make_lines()
        await self.seats.load()

    def _make_telephony(self) -> None:
        d, wrap_up_s = self.directory, self.settings.calls.wrap_up_s
        self.seats = Seats(self.database, self.books, self.bus, self.clock, self.new_id, wrap_up_s)
        self.links = Links(self.bus, self.lookup, self.database, self.clock, self.new_id, d.rules)
        self.call_books = CallBooks(
            self.bus, self.books, self.clock, self.new_id, self.seats, self.links, zones=d.zone, rules=d.rules, limits=d.limits
        )
        self.numbering = Numbering(self.bus, self.database)
        self.figures = LiveFigures(self.bus, self.database, self.clock, d.zone, self._tell_figures)
        self.floors = Floors(self.bus, self.feeds, self.seats, d.people, d.queues, d.title, self._link_of)
        self.desks = Desks(
            self.bus,
            self.feeds,
            self.seats,
            self.links,
            self.clock,
            self.places,
            principal=d.principal,
            titles=d.title,
            pbx_up=self._pbx_up,
            waiting=self.floors.waiting,
        )
        hear(self.bus, CallBooked, lambda event: self.floors.forget_call(event.call_id))
        hear(self.bus, PbxLinkChanged, self._linked)

    def _make_screens(self) -> None:
        statics = Statics(
            {
                "": _of(crm_core.web, "static"),
                "desk": _of(agent_console, "static"),
                "floor": _of(supervisor, "static"),
                "rec": _of(recordings, "static"),
            }
        )
        folders = [_of(package, "templates") for package in (crm_core.web, agent_console, supervisor, recordings)] + [
            Path(__file__).parent / "demo/templates"
        ]
        self.pages = Pages(folders, statics, zone=lambda p: self.directory.zone(p.unit_id), clock=self.clock.now, demo=self.demo)
        self.pages.nav = list(NAV)
        self.pages.shell = self._shell
        self.pages.script_words = import_words(
            {str(f): f.read_text() for folder in statics.folders.values() for f in folder.rglob("*.js") if "vendor" not in f.parts}
        )
        self.sign_in = SignIn(self.database, self.clock, self.new_id, self.settings.web.session_hours * 3600)
        origins = frozenset({self.settings.web.public_url.rstrip("/")} - {""})
        self.sockets = Sockets(self.feeds, self.sign_in, self.clock, origins)
        self.sockets.seen = lambda p: self.presence.hold(f"unit.{p.unit_id}.user.{p.user_id}", HERE_S)
        self.sockets.doors["desk"] = self._desk_door
        self.sockets.doors["floor"] = self._floor_door
        self.customers = Customers(self.database, self.clock, self.new_id, self.directory.rules)
        self.calls = Calls(self.database, self.directory.rules, self.directory.title)
        self.sip = SipProxy(self.seats, {}, origins)
        self.health = Health(self.database, self.books, self.lines.values, self.sockets)
        self._declare()

    def _declare(self) -> None:
        sources = Sources()
        sources.timeline += [self.calls, RecordTimeline(self.records.reading, self.database)]
        sources.search += [self.customers, self.records.reading]
        crm = CrmWeb(self.pages, self.sign_in, self.customers, sources, self.clock, self.sockets)
        agent = AgentWeb(
            self.pages,
            self.database,
            self.clock,
            self.new_id,
            self.seats,
            self.links,
            self.desks,
            self.customers,
            self.sip,
            self._realm,
            self._day_of_agent,
        )
        crm.number_of_call, crm.after_create = agent.number_of_call, agent.link_new
        folder = self.settings.recordings.folder
        calls = CallWeb(
            self.pages,
            self.calls,
            self.database,
            self.clock,
            self.new_id,
            folder,
            self.directory.zone,
            self.directory.queues,
            self.directory.people,
        )
        records = RecordWeb(
            self.pages,
            self.records.reading,
            self.records.writing,
            self.records.views,
            self.database,
            self.clock,
            self.directory.zone,
        )
        crm.matters = records.matters
        imports = ImportWeb(self.pages, self.records.registry, self.imports)
        for part in (agent, FloorWeb(self.pages, self.floors), calls, crm, imports, records, SearchWeb(self.pages, sources)):
            part.add_to(self.routes)
        around = Around(self.pages, self.sign_in, self.sockets, self.directory, self.bus)
        for system_part in open_system(around, self.database, self.clock, self.new_id, self.records):
            system_part.add_to(self.routes)
        crm.on_sign_out = self._left
        self._open_routes = crm

    async def _make_lines(self) -> None:
        async with self.database.read() as db:
            rows = (await db.execute(select(Pbx.__table__))).mappings().all()
        spools: dict[int, Path] = {}
        targets: dict[int, str] = {}
        for row in rows:
            access = self._access.get(row["name"])
            if access is None:
                continue
            self.lines[row["id"]] = PbxLine(
                unit_id=row["unit_id"], pbx_id=row["id"], name=row["name"], driver=access.make_driver(row["position"]), bus=self.bus, clock=self.clock,
                new_id=self.new_id, members=self.seats.members, secrets=self.seats.secrets, keep_position=self._keep_position,
            )  # fmt: skip
            self.lines[row["id"]].on_agreed = self._agreed
            # What is read back from the journal belongs to the boot that was known at its position, until it says otherwise.
            self.lines[row["id"]].board.apply(Booted(epoch=row["epoch"]))
            targets[row["id"]] = access.sip_ws
            if access.spool is not None:
                spools[row["id"]] = access.spool
        self._realms = {i: self._access[line.name].realm for i, line in self.lines.items()}
        self.seats.lines = self.lines
        self.sip.targets = targets
        self.capture = Capture(
            self.bus, self.database, self.books, self.clock, self.new_id, self.settings.recordings.folder, spools
        )
        await self.capture.load()

    # ------------------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve until `stop`."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.settings.web.host, self.settings.web.port, ssl_context=self._tls()).start()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._work()]
                for unit_id in self.directory.units:
                    self.figures.want(unit_id)
                self.ready.set()
                await self._stopping.wait()
                await asyncio.gather(*(line.close() for line in self.lines.values()), return_exceptions=True)
                try:
                    await asyncio.wait_for(self.books.settled(), 5)
                except TimeoutError:
                    log.warning("some writes could not be committed before the end", waiting=self.books.waiting)
                for task in tasks:
                    task.cancel()
        finally:
            await runner.cleanup()
            await self.abandon()

    def _work(self) -> list[Coroutine[object, object, None]]:
        return [
            *self.between.work(),
            self.books.run(),
            self.capture.run(),
            self.imports.run(),
            self.figures.run(),
            self.numbering.run(),
            self.sockets.watch(),
            tidy(lambda: not any(line.board.rings for line in self.lines.values())),
            self._write_positions(),
            *(line.run() for line in self.lines.values()),
        ]

    async def abandon(self) -> None:
        """Let go of everything without ever having run."""
        await self.sip.close()
        await self.between.close()
        await self.lookup.close()
        await self.database.close()

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    def _app(self) -> web.Application:
        trusted = tuple(ipaddress.ip_network(n) for n in self.settings.web.trusted_proxies)
        return make_app(
            self.routes,
            self.pages,
            self.sign_in,
            version=program_version(),
            trusted=trusted,
            observe=self.health.observe,
            open_routes=self._add_open,
        )

    def _add_open(self, app: web.Application) -> None:
        self._open_routes.add_open(app)
        app.router.add_get("/healthz", self.health.alive)
        app.router.add_get("/readyz", self.health.ready)
        networks = tuple(ipaddress.ip_network(n) for n in self.settings.metrics.allowed_networks)
        app.router.add_get("/metrics", self.health.metrics_for(networks, self.settings.metrics.token))

    def _tls(self) -> ssl.SSLContext | None:
        if not self.settings.web.tls_cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.settings.web.tls_cert, self.settings.web.tls_key)
        return context

    # ------------------------------------------------------------------------------------------------------- small answers

    def _shell(self, ask: Ask) -> tuple[dict[str, object], dict[str, object]]:
        """What every page needs; of somebody who may sit down, the bar's too."""
        person = ask.principal
        boot: dict[str, object] = {
            "zone": self.directory.zone(person.unit_id),
            "queues": self.directory.queue_titles(person.unit_id, ask.lang),
        }
        if reach(person, "use", "seat") is Scope.NONE:
            return boot, {}
        feed = self.desks.feed(person.unit_id, person.user_id)
        reasons = [
            {"code": r["code"], "title": r["title_en"] if ask.lang == "en" else r["title"]}
            for r in self.directory.pause_reasons(person.unit_id)
        ]
        return {**boot, "pause_reasons": reasons}, {"desk": {"cursor": feed.cursor, "state": feed.state}}

    async def _left(self, user_id: int) -> None:
        """Somebody signed out of the browser: out of the seat too, unless a call is in hand there."""
        with contextlib.suppress(Refusal):
            await self.seats.sign_out(user_id)

    def _desk_door(self, person: Principal) -> FeedAddress:
        if reach(person, "use", "seat") is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        self.desks.feed(person.unit_id, person.user_id)
        return self.desks.address(person.unit_id, person.user_id)

    def _floor_door(self, person: Principal) -> FeedAddress:
        if reach(person, "see", "floor") is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        self.floors.feed(person.unit_id)
        return FeedAddress(person.unit_id, "floor")

    def _realm(self, pbx_id: int) -> str:
        return self._realms.get(pbx_id, "")

    def _pbx_up(self, pbx_id: int) -> bool:
        line = self.lines.get(pbx_id)
        return line is not None and line.up

    def _agreed(self, line: PbxLine, at: float | None) -> None:
        """A PBX's board has been brought in line with it: now seats and desks."""
        self.seats.agree(line, at)
        self.desks.agree(line.pbx_id, lambda extension: {part.call_id for part in line.board.at_extension(extension)})

    def _link_of(self, unit_id: int) -> Mapping[str, object]:
        line = next((x for x in self.lines.values() if x.unit_id == unit_id), None)
        if line is None:
            return {"up": False, "since": None, "why": "no PBX"}
        return {"up": line.up, "since": None if line.since is None else round(line.since * 1000), "why": line.why}

    def _linked(self, event: PbxLinkChanged) -> None:
        for sitting in self.seats.all(event.unit_id):
            self.desks.refresh_seat(event.unit_id, sitting.user_id)

    def _tell_figures(self, unit_id: int, day: str, found: DayFigures, agents: Collection[int] | None) -> None:
        """Figures were read: of everybody (None), or of these agents and all queues."""
        whose = self.directory.people(unit_id) if agents is None else agents
        queues = {q: _drawn(found.queues.get(q) or empty(OF_QUEUE), day, queue=q) for q, _ in self.directory.queues(unit_id)}
        drawn = {u: _drawn(found.agents.get(u) or empty(OF_AGENT), day, agent=u) for u in whose}
        self.floors.take_figures(unit_id, queues, drawn, _drawn(found.all or empty(OF_ALL), day))
        self._days.add((unit_id, user_id) for user_id in drawn)

    def _tell_days(self, desks: list[tuple[int, int]]) -> None:
        """Some agents' own figures of the day changed."""
        for unit_id, user_id in desks:
            feed = self.feeds.find(self.desks.address(unit_id, user_id))
            if feed is not None:
                feed.change("figures.changed", [("day", "me", self._day_of(unit_id, user_id))])

    async def _day_of_agent(self, unit_id: int, user_id: int) -> dict[str, object]:
        return self._day_of(unit_id, user_id)

    def _day_of(self, unit_id: int, user_id: int) -> dict[str, object]:
        latest = self.figures.latest.get(unit_id)
        if latest is None:
            return {}
        day, found = latest
        return _drawn(found.agents.get(user_id) or empty(OF_AGENT), day, agent=user_id)

    # ------------------------------------------------------------------------------------------------------------ position

    def _keep_position(self, pbx_id: int, epoch: str, position: str) -> None:
        """`position` is "" as long as a call is open that stands in what was read first: then it is where this start began to read."""
        if position:
            self._positions[pbx_id] = (epoch, position)

    async def _write_positions(self) -> None:
        """How far the journal has been taken into the books, written behind the books themselves."""
        written: dict[int, tuple[str, str]] = {}
        while True:
            await asyncio.sleep(1)
            for pbx_id, (epoch, position) in list(self._positions.items()):
                if written.get(pbx_id) != (epoch, position):
                    written[pbx_id] = (epoch, position)
                    self.books.put(partial(_write_position, pbx_id, epoch, position))


def _write_position(pbx_id: int, epoch: str, position: str, page: Page) -> None:
    page.change(Pbx, pbx_id, epoch=epoch, position=position)


def _drawn(figures: Mapping[str, Figure], day: str, queue: str = "", agent: int | None = None) -> dict[str, object]:
    return {name: shown(figure, day, queue, agent) for name, figure in figures.items()}


def _of(package: ModuleType, folder: str) -> Path:
    return Path(str(package.__file__)).parent / folder


def _make_feed(address: FeedAddress) -> Feed:
    kept = OWN_KEPT_BYTES if address.key else KEPT_BYTES
    return Feed(address.name, TABLES.get(address.name, ()), kept_bytes=kept)


def program_version() -> str:
    """The version of this program."""
    try:
        return version("lingxi")
    except PackageNotFoundError:
        return "0"


__all__ = ["PbxAccess", "PbxSettings", "Program"]
