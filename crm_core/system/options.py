"""The data dictionary as people change it: which options there are, how often each is used, and a line in the audit log for each change."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from crm_core.kernel.access import Principal
from crm_core.kernel.db import Database
from crm_core.kernel.errors import NotFound
from crm_core.records.dictionary import Dictionary, Option
from crm_core.records.entity import Kind, Registry
from crm_core.records.fields import Code
from crm_core.system.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Where an option is used: so many records of a kind carry it in a field."""

    kind: Kind
    field: str
    count: int


class Options:
    """Changes the lists of a unit on behalf of people."""

    def __init__(self, database: Database, registry: Registry, dictionary: Dictionary, journal: Journal) -> None:
        self._db, self._registry, self._journal = database, registry, journal
        self.dictionary = dictionary
        self.changed: Callable[[], None] = lambda: None

    async def uses(self, unit_id: int, name: str) -> dict[str, list[Use]]:
        """How often each option of a list is used, by key; records in the recycle bin count too, since they may come back."""
        found: dict[str, list[Use]] = {}
        async with self._db.read() as db:
            for kind in self._registry:
                for one in kind.fields.values():
                    if not isinstance(one, Code) or one.options != name:
                        continue
                    column = kind.table.c[one.name]
                    counted = select(column, func.count()).where(kind.table.c.unit_id == unit_id, column != "").group_by(column)
                    for key, count in (await db.execute(counted)).all():
                        found.setdefault(key, []).append(Use(kind=kind, field=one.name, count=count))
        return found

    async def add(self, who: Principal, name: str, key: str, *, zh: str, en: str, tone: str) -> str:
        """A new option at the end of a list; its key, made of its English name where none is given. Raises Refusal."""
        known = {one.key for one in self.dictionary.of(who.unit_id, name)}
        key = key.strip() or _free_key(en, known)
        said = {"zh": ("", zh), "en": ("", en), "tone": ("", tone)}
        note = self._journal.later(who, "create", "dictionary", None, f"{name}/{key}", said)
        await self.dictionary.put(who.unit_id, name, key, zh=zh, en=en, tone=tone, retired=False, new=True, note=note)
        self.changed()
        return key

    async def change(
        self, who: Principal, name: str, key: str, *, zh: str | None, en: str | None, tone: str | None, retired: bool | None
    ) -> None:  # fmt: skip
        """Change an option; None leaves a part as it is. Raises Refusal."""
        old = next((one for one in self.dictionary.of(who.unit_id, name) if one.key == key), None)
        if old is None:
            raise NotFound("no_such_option", "There is no such option.")
        new = {
            "zh": old.zh if zh is None else zh,
            "en": old.en if en is None else en,
            "tone": old.tone if tone is None else tone,
        }
        out = old.retired if retired is None else retired
        told = {n: (getattr(old, n), value) for n, value in {**new, "retired": out}.items() if getattr(old, n) != value}
        if not told:
            return
        note = self._journal.later(who, "change", "dictionary", None, f"{name}/{key}", told)
        await self.dictionary.put(
            who.unit_id, name, key, zh=new["zh"], en=new["en"], tone=new["tone"], retired=out, new=False, note=note
        )
        self.changed()

    async def arrange(self, who: Principal, name: str, keys: Sequence[str]) -> None:
        """Put the options of a list in this order. Raises Conflict where the list is another one by now."""
        before: list[Option] = self.dictionary.of(who.unit_id, name)
        told = {"order": (" ".join(one.key for one in before), " ".join(keys))}
        note = self._journal.later(who, "arrange", "dictionary", None, name, told)
        await self.dictionary.arrange(who.unit_id, name, keys, note=note)
        self.changed()


def _free_key(en: str, known: set[str]) -> str:
    """A key that the list has not yet: from the English words, else a number."""
    base = re.sub(r"[^a-z0-9]+", "_", en.lower()).strip("_")[:36] or "option"
    return next(key for key in (base, *(f"{base}_{n}" for n in range(2, len(known) + 3))) if key not in known)
