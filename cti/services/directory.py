"""The directory: units, people, queues and their words, held in memory for those who draw and route, read anew when told to.

Small by nature (people and queues, not customers or calls). What it answers may be some seconds old; rights for commands and pages
are read by the sign-in, not from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from crm_core.entities.org import Team, Unit, User
from crm_core.kernel.access import Principal
from crm_core.kernel.db import Database
from crm_core.numbers import NumberRules
from crm_core.signin import principals_of
from cti.storage import PauseReason, Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitInfo:
    """A business unit."""

    name: str
    zone: str
    rules: NumberRules


class Directory:
    """Who and what there is."""

    def __init__(self, database: Database, rules: NumberRules) -> None:
        self._db, self._rules = database, rules
        self.units: dict[int, UnitInfo] = {}
        self._people: dict[int, dict[int, dict[str, Any]]] = {}
        self._principals: dict[int, Principal] = {}
        self._titles: dict[tuple[int, str], str] = {}
        self._queues: dict[int, list[tuple[str, str]]] = {}
        self._english: dict[int, dict[str, str]] = {}
        self._reasons: dict[int, list[dict[str, Any]]] = {}
        self.limits: dict[tuple[int, str], tuple[int, int]] = {}

    async def load(self) -> None:
        """Read everything anew; what is gone is forgotten. Until it is read, the old answers stand."""
        async with self._db.read() as db:
            units = (await db.execute(select(Unit.__table__))).mappings().all()
            people = select(User.id, User.unit_id, User.name, User.role, Team.name.label("team")).outerjoin(
                Team, Team.id == User.team_id
            )
            found = (await db.execute(people.where(User.active).order_by(User.id))).all()
            principals = await principals_of(db)
            reasons = (await db.execute(select(PauseReason.__table__).order_by(PauseReason.position))).mappings().all()
            queues = (await db.execute(select(Queue.__table__).order_by(Queue.id))).mappings().all()
        self._take_units(units)
        agents: dict[int, dict[int, dict[str, Any]]] = {unit["id"]: {} for unit in units}
        for row in found:
            if row.role == "agent":
                agents[row.unit_id][row.id] = {"name": row.name, "team": row.team or ""}
        self._people, self._principals = agents, principals
        self._reasons = {}
        for reason in reasons:
            self._reasons.setdefault(reason["unit_id"], []).append(dict(reason))
        self._take_queues(queues)

    def _take_units(self, units: Sequence[RowMapping]) -> None:
        self.units.clear()
        for unit in units:
            rules = NumberRules(
                home_region=unit["home_region"] or self._rules.home_region, area_code=unit["area_code"] or self._rules.area_code,
                extensions=self._rules.extensions, prefixes=self._rules.prefixes,
            )  # fmt: skip
            self.units[unit["id"]] = UnitInfo(name=unit["name"], zone=unit["time_zone"], rules=rules)

    def _take_queues(self, queues: Sequence[RowMapping]) -> None:
        self._queues, self._english = {unit_id: [] for unit_id in self.units}, {}
        self._titles.clear()
        self.limits.clear()
        for queue in queues:
            if (queue["name"], queue["title"]) not in self._queues[queue["unit_id"]]:
                self._queues[queue["unit_id"]].append((queue["name"], queue["title"]))
            self._titles[(queue["pbx_id"], queue["name"])] = queue["title"]
            self._english.setdefault(queue["unit_id"], {})[queue["name"]] = queue["title_en"] or queue["title"]
            self.limits[(queue["pbx_id"], queue["name"])] = (queue["sl_threshold_s"], queue["short_abandon_s"])

    def principal(self, user_id: int) -> Principal | None:
        """A person with rights, as last read."""
        return self._principals.get(user_id)

    def zone(self, unit_id: int) -> str:
        """The unit's time zone."""
        info = self.units.get(unit_id)
        return info.zone if info else "UTC"

    def rules(self, unit_id: int) -> NumberRules:
        """How numbers are written in the unit."""
        info = self.units.get(unit_id)
        return info.rules if info else self._rules

    def people(self, unit_id: int) -> dict[int, dict[str, Any]]:
        """The unit's agents."""
        return self._people.get(unit_id, {})

    def queues(self, unit_id: int) -> list[tuple[str, str]]:
        """The unit's queues: name, title."""
        return self._queues.get(unit_id, [])

    def queue_titles(self, unit_id: int, lang: str) -> dict[str, str]:
        """What people call the unit's queues in a language, by name."""
        return self._english.get(unit_id, {}) if lang == "en" else dict(self.queues(unit_id))

    def pause_reasons(self, unit_id: int) -> list[dict[str, Any]]:
        """The unit's reasons to pause, in their order."""
        return self._reasons.get(unit_id, [])

    def title(self, pbx_id: int, queue: str) -> str:
        """What people call a queue."""
        return self._titles.get((pbx_id, queue), queue)
