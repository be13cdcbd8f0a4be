"""The data dictionary: the options of every choice, the product's own and each unit's changes to them.

An option is never taken away: a retired one is no longer offered, and rows that carry it still show it in words. The product's own
options are declared here in English and said through the catalogue; what a unit adds or renames carries both languages itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import Conflict, NotFound, Refusal
from crm_core.kernel.words import say
from crm_core.records.fields import clean
from crm_core.records.storage import DictionaryOption

TONES = ("grey", "blue", "green", "amber", "red", "violet", "teal")
_TABLE = table_of(DictionaryOption)
Note = Callable[[AsyncConnection], Awaitable[None]]
_KEY = re.compile(r"[\w.\-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. `zh` and `en` are a unit's own words; without them `label` is said through the catalogue."""

    key: str
    label: str = ""
    tone: str = "grey"
    zh: str = ""
    en: str = ""
    retired: bool = False
    own: bool = False  # made or changed by the unit

    def said(self, lang: str) -> str:
        """Its words in a language; the other language's where this one has none."""
        own = (self.zh or self.en) if lang == "zh" else (self.en or self.zh)
        return own or (say(lang, self.label) if self.label else self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionList:
    """A list of the dictionary, as the product brings it."""

    name: str
    label: str
    options: tuple[Option, ...]


def options(name: str, label: str, *pairs: str) -> OptionList:
    """A list from "key Label" or "key Label|tone"."""
    made = []
    for pair in pairs:
        key, _, rest = pair.partition(" ")
        said, _, tone = rest.partition("|")
        made.append(Option(key=key, label=said, tone=tone or "grey"))
    return OptionList(name=name, label=label, options=tuple(made))


class Dictionary:
    """The lists of all units. Read at the start and after each change; asked without waiting."""

    def __init__(self, database: Database, lists: Sequence[OptionList], new_id: Callable[[], int]) -> None:
        self._db, self._new_id = database, new_id
        self.lists: Mapping[str, OptionList] = {one.name: one for one in lists}
        self._own: dict[tuple[int, str], dict[str, Option]] = {}
        self._places: dict[tuple[int, str], dict[str, int]] = {}

    async def load(self) -> None:
        """Read what the units changed."""
        async with self._db.read() as db:
            rows = (await db.execute(select(_TABLE).order_by(_TABLE.c.place, _TABLE.c.id))).mappings().all()
        self._own, self._places = {}, {}
        for row in rows:
            here = (row["unit_id"], row["list"])
            own = Option(key=row["key"], tone=row["tone"], zh=row["zh"], en=row["en"], retired=row["retired"], own=True)
            self._own.setdefault(here, {})[row["key"]] = own
            self._places.setdefault(here, {})[row["key"]] = row["place"]

    def of(self, unit_id: int, name: str) -> list[Option]:
        """The options of a list in their order, retired ones too. Raises NotFound."""
        if name not in self.lists:
            raise NotFound("no_such_list", "There is no such list.")
        own, places = self._own.get((unit_id, name), {}), self._places.get((unit_id, name), {})
        declared = {one.key: one for one in self.lists[name].options}
        merged = {key: _merged(declared.get(key), own[key]) if key in own else declared[key] for key in {**declared, **own}}
        where = {**{key: n for n, key in enumerate(declared)}, **places}
        return sorted(merged.values(), key=lambda one: where[one.key])

    def option(self, unit_id: int, name: str, key: str) -> Option:
        """One option; one that nobody knows any more shows its key."""
        return next((one for one in self.of(unit_id, name) if one.key == key), Option(key=key, label=key, retired=True))

    def keys(self, unit_id: int) -> dict[str, dict[str, bool]]:
        """Of every list the keys that are known, with whether they may still be chosen."""
        return {name: {one.key: not one.retired for one in self.of(unit_id, name)} for name in self.lists}

    async def put(
        self, unit_id: int, name: str, key: str, *, zh: str, en: str, tone: str, retired: bool, new: bool = False, note: Note | None = None
    ) -> None:  # fmt: skip
        """Add an option, or change one; `note` writes about it in the same transaction. Raises Refusal that says what is wrong."""
        known = [one.key for one in self.of(unit_id, name)]
        if not _KEY.fullmatch(key):
            raise Refusal("wrong_key", "A key has 1 to 40 letters, digits, dots or dashes.")
        if new and key in known:
            raise Conflict("option_there", "There is an option {key} already.", key=key)
        if not new and key not in known:
            raise NotFound("no_such_option", "There is no such option.")
        zh, en = clean(zh)[:80], clean(en)[:80]
        if new and not (zh or en):
            raise Refusal("no_words", "An option needs a name in at least one language.")
        if tone not in TONES:
            raise Refusal("wrong_tone", "There is no colour {tone}.", tone=tone[:20])
        values = {"zh": zh, "en": en, "tone": tone, "retired": retired}
        here = (_TABLE.c.unit_id == unit_id) & (_TABLE.c.list == name) & (_TABLE.c.key == key)
        async with self._db.begin() as db:
            if not (await db.execute(update(_TABLE).where(here).values(values))).rowcount:
                place = known.index(key) if key in known else len(known)
                row = {"id": self._new_id(), "unit_id": unit_id, "list": name, "key": key, "place": place, **values}
                await db.execute(insert(_TABLE).values(row))
            if note is not None:
                await note(db)
        await self.load()

    async def arrange(self, unit_id: int, name: str, keys: Sequence[str], note: Note | None = None) -> None:
        """Put the options in this order; all of them must be named. Raises Refusal."""
        there = {one.key: one for one in self.of(unit_id, name)}
        if sorted(keys) != sorted(there):
            raise Conflict("changed_meanwhile", "Somebody changed this list meanwhile. Load it again.")
        async with self._db.begin() as db:
            for place, key in enumerate(keys):
                here = (_TABLE.c.unit_id == unit_id) & (_TABLE.c.list == name) & (_TABLE.c.key == key)
                if not (await db.execute(update(_TABLE).where(here).values(place=place))).rowcount:
                    one = there[key]
                    row = {"id": self._new_id(), "unit_id": unit_id, "list": name, "key": key, "place": place, "tone": one.tone}
                    await db.execute(insert(_TABLE).values(row))
            if note is not None:
                await note(db)
        await self.load()


def _merged(declared: Option | None, own: Option) -> Option:
    if declared is None:
        return own
    return Option(
        key=own.key, label=declared.label, tone=own.tone or declared.tone, zh=own.zh, en=own.en, retired=own.retired, own=True
    )
