"""The wiring of the System pages: the unit's dictionary, roles, people and logs, and who must hear of a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from config.records import Records
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from crm_core.system.journal import Journal
from crm_core.system.options import Options
from crm_core.web.api import Routes
from crm_core.web.pages import Pages
from crm_core.web.system_dictionary import DictionaryWeb
from crm_core.web.system_home import SystemHome


class Part(Protocol):
    """Something that has routes."""

    def add_to(self, routes: Routes) -> None:
        """Declare them."""


def open_system(pages: Pages, database: Database, clock: Clock, new_id: Callable[[], int], records: Records) -> Iterator[Part]:
    """The parts of System, ready to declare their routes."""
    journal = Journal(clock, new_id)
    yield SystemHome()
    yield DictionaryWeb(pages, Options(database, records.registry, records.dictionary, journal))
