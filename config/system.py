"""The wiring of the System pages: the unit's dictionary, roles, people and logs; which rights there are outside the records; and who
must hear of a change: the sign-in, the open sockets and the directory of this process, and over the bus those of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from msgspec import Struct

from config.records import Records
from crm_core.kernel.bus import Bus, unit_topic
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.signin import SignIn
from crm_core.system.audit_log import AuditLog
from crm_core.system.journal import Journal
from crm_core.system.options import Options
from crm_core.system.people import People
from crm_core.system.rights import RightKind, Rights
from crm_core.system.roles import Roles
from crm_core.web.api import Routes
from crm_core.web.pages import Pages
from crm_core.web.socket import Sockets
from crm_core.web.system_dictionary import DictionaryWeb
from crm_core.web.system_home import SystemHome
from crm_core.web.system_roles import RolesWeb
from cti.services.directory import Directory

_SEE = {"see": "See"}
OTHERS = (
    RightKind(kind="customer", label="Customers", actions={"see": "See", "create": "Make", "edit": "Edit"}, owned=True),
    RightKind(kind="number", label="Phone numbers", actions={"dial": "Dial", "see_whole": "See in full"}),
    RightKind(kind="seat", label="Seats", actions={"use": "Sit down"}),
    RightKind(kind="floor", label="Floor", actions=_SEE),
    RightKind(
        kind="call",
        label="Calls",
        actions={"see": "See", "note": "Write notes", "control": "Control"},
        owned=True,
        flat=frozenset(),
    ),
    RightKind(
        kind="recording", label="Recordings", actions={"listen": "Listen", "download": "Download"}, owned=True, flat=frozenset()
    ),
    RightKind(kind="figure", label="Figures", actions=_SEE, owned=True),
    RightKind(kind="dictionary", label="Data dictionary", actions={"edit": "Edit"}),
    RightKind(kind="role", label="Roles and rights", actions={"edit": "Edit"}),
    RightKind(kind="person", label="People", actions={"edit": "Edit"}),
    RightKind(kind="token", label="Tokens of programs", actions={"edit": "Edit"}),
    RightKind(kind="system", label="System logs", actions=_SEE),
    RightKind(kind="demo", label="Demo", actions={"use": "Use"}),
)
"""What can be granted outside the records."""


class OrganisationChanged(Struct, frozen=True, kw_only=True):
    """People, rights, departments or teams of a unit are others now. `by` is the process that knows already."""

    WIRE: ClassVar[str] = "organisation.changed"
    VERSION: ClassVar[int] = 1
    unit_id: int
    by: str


class Part(Protocol):
    """Something that has routes."""

    def add_to(self, routes: Routes) -> None:
        """Declare them."""


@dataclass(frozen=True, slots=True)
class Around:
    """The parts of the program that System works with."""

    pages: Pages
    sign_in: SignIn
    sockets: Sockets
    directory: Directory
    bus: Bus


class Told:
    """Carries a change of the organisation to all who hold some of it in memory."""

    def __init__(self, around: Around, process: str) -> None:
        self._around, self._process = around, process
        around.bus.subscribe(f"unit.*.{OrganisationChanged.WIRE}", self._hear)

    async def changed(self, unit_id: int) -> None:
        """Here at once, elsewhere as soon as they hear of it."""
        await self._take(unit_id)
        self._around.bus.publish(
            unit_topic(unit_id, OrganisationChanged.WIRE), OrganisationChanged(unit_id=unit_id, by=self._process)
        )

    async def _hear(self, _topic: str, event: object) -> None:
        if isinstance(event, OrganisationChanged) and event.by != self._process:
            await self._take(event.unit_id)

    async def _take(self, unit_id: int) -> None:
        self._around.sign_in.forget()
        await self._around.directory.load()
        await self._around.sockets.recheck(unit_id)


def open_system(around: Around, database: Database, clock: Clock, new_id: Callable[[], int], records: Records) -> Iterator[Part]:
    """The parts of System, ready to declare their routes."""
    journal, log, told = Journal(clock, new_id), AuditLog(database), Told(around, str(new_id()))
    roles = Roles(database, Rights(records.registry, OTHERS), journal, new_id, told.changed)
    yield SystemHome()
    yield DictionaryWeb(around.pages, Options(database, records.registry, records.dictionary, journal))
    yield RolesWeb(around.pages, roles, People(database), log)
