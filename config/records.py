"""The wiring of business records: which kinds there are, what they may refer to, and the parts that read and write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm_core.entities.org import User
from crm_core.entities.people import Customer
from crm_core.entities.work import LISTS, RECORDS
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database, table_of
from crm_core.records.dictionary import Dictionary
from crm_core.records.entity import Registry
from crm_core.records.reading import Reading
from crm_core.records.references import Referable, References
from crm_core.records.views import Views
from crm_core.records.writing import Writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The engine, ready to work."""

    registry: Registry
    dictionary: Dictionary
    reading: Reading
    writing: Writing
    views: Views


async def open_records(database: Database, clock: Clock, new_id: Callable[[], int], zone: Callable[[int], str]) -> Records:
    """Take in every kind, and read the units' dictionaries."""
    registry, references = Registry(), References()
    references.add(Referable(kind="person", table=table_of(User), title="name", hint="login"))
    references.add(
        Referable(kind="customer", table=table_of(Customer), title="name", path="customers", right="customer", hint="number")
    )
    for record in RECORDS:
        kind = registry.add(record)
        references.add(Referable(kind=kind.name, table=kind.table, title=kind.entity.title, path=kind.entity.path, right=kind.name))
    dictionary = Dictionary(database, LISTS, new_id)
    await dictionary.load()
    reading = Reading(database, registry, references, dictionary, zone)
    writing, views = Writing(database, reading, clock, new_id), Views(database, new_id)
    return Records(registry=registry, dictionary=dictionary, reading=reading, writing=writing, views=views)
