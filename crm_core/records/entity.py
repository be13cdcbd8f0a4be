"""What a record is: its declaration, the columns that behaviours bring, and the registry of all records.

A record is a class with an `entity`; everything the engine does follows from it. The engine knows no record by name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from sqlalchemy import Index, Integer, Table
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from crm_core.kernel.access import Thing
from crm_core.kernel.db import Id, UnitRow, instant, table_of, text
from crm_core.records.fields import FIELD, Field, Line, Moment, Reference, Stage, fields_of, person

ACTIONS = ("see", "create", "edit", "delete", "purge", "export")
Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWord:
    """A stage of a flow: what it is called, and how it is coloured (a tone of the palette)."""

    key: str
    label: str
    tone: str = "grey"
    closed: bool = False  # nothing more is expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """The declaration of a record.

    `name` is the kind in rights, references and history; `path` is where its pages are. Lists of columns are words with blanks between.
    `number` is the rule of its document numbers. `flow` says for each stage which ones may follow; the first is where a record begins.
    """

    name: str
    one: str
    many: str
    path: str
    icon: str
    title: str
    columns: str
    search: str
    form: str
    filters: str = ""
    sorts: str = "changed_at"
    sort: str = "-changed_at"
    number: str = ""
    stages: tuple[StageWord, ...] = ()
    flow: Mapping[str, str] = field(default_factory=dict)
    new: str = "New"
    empty: str = ""
    timeline: bool = False  # stands in the timeline of its customer

    def stage(self, key: str) -> StageWord | None:
        """The stage of that name."""
        return next((one for one in self.stages if one.key == key), None)

    def may_follow(self, stage: str) -> tuple[StageWord, ...]:
        """The stages that may follow one."""
        return tuple(one for one in self.stages if one.key in self.flow.get(stage, "").split())


class Record(UnitRow):
    """A business record. `version` grows with each change, so that of two editors the second is told."""

    __abstract__ = True
    entity: ClassVar[Entity]

    version: Mapped[int] = mapped_column(Integer, nullable=False, default=1, server_default="1")
    created_at: Mapped[float | None] = instant(info={FIELD: Moment(label="Made", given=True)})
    created_by: Mapped[int | None] = mapped_column(Id, info={FIELD: Reference(label="Made by", kind="person", given=True)})
    changed_at: Mapped[float | None] = instant(info={FIELD: Moment(label="Changed", given=True)})
    changed_by: Mapped[int | None] = mapped_column(Id, info={FIELD: Reference(label="Changed by", kind="person", given=True)})

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        if "entity" in cls.__dict__:
            table = table_of(cls)
            for name in cls.entity.sorts.split():
                Index(None, table.c.unit_id, table.c[name], table.c.id)
            if issubclass(cls, Owned):
                Index(None, table.c.unit_id, table.c.owner_id, table.c.changed_at)
            for column in table.c:
                if isinstance(column.info.get(FIELD), Reference) and column.info[FIELD].kind != "person":
                    Index(None, column)


class Owned:
    """Somebody answers for it; rights reach it through them, their team and department."""

    @declared_attr
    def owner_id(cls) -> Mapped[int | None]:
        return person("Owner")

    team_id: Mapped[int | None] = mapped_column(Id)
    department_id: Mapped[int | None] = mapped_column(Id)


class Recyclable:
    """Taken away it goes to the recycle bin, and can be brought back."""

    deleted_at: Mapped[float | None] = instant(info={FIELD: Moment(label="Recycled", given=True)})
    deleted_by: Mapped[int | None] = mapped_column(Id, info={FIELD: Reference(label="Recycled by", kind="person", given=True)})


class Numbered:
    """Carries a document number, made by the entity's rule."""

    number: Mapped[str] = text(40, info={FIELD: Line(label="Code", length=40, given=True)})


class Staged:
    """Goes through the stages of the entity's flow."""

    stage: Mapped[str] = text(20, info={FIELD: Stage(label="Stage", given=True)})
    stage_at: Mapped[float | None] = instant()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A record as the engine works with it: its declaration, table, fields, behaviours and rules."""

    entity: Entity
    table: Table
    fields: Mapping[str, Field]
    rules: Mapping[str, Callable[..., Any]]

    @property
    def name(self) -> str:
        return self.entity.name

    def has(self, column: str) -> bool:
        """Whether it has this column: behaviours are told by theirs."""
        return column in self.table.c

    def shown(self, names: str) -> list[Field]:
        """Fields by a list of names."""
        return [self.fields[name] for name in names.split()]

    @property
    def form(self) -> list[Field]:
        return self.shown(self.entity.form)

    @property
    def references(self) -> list[Reference]:
        return [one for one in self.fields.values() if isinstance(one, Reference)]

    def thing(self, row: Mapping[str, Any]) -> Thing:
        """Whose record this row is."""
        return Thing(
            kind=self.name,
            unit_id=row["unit_id"],
            owner_id=row.get("owner_id"),
            team_id=row.get("team_id"),
            department_id=row.get("department_id"),
        )


class Registry:
    """All kinds of records, in the order of their declaration."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}

    def add(self, record: type[Record]) -> Kind:
        """Take a record in. Raises ValueError that says what is wrong with its declaration."""
        entity, table = record.entity, table_of(record)
        fields = fields_of(list(table.c))
        named = f"{entity.columns} {entity.search} {entity.form} {entity.filters} {entity.title}".split()
        missing = [name for name in named if name not in fields]
        if missing or entity.name in self._kinds:
            raise ValueError(f"{entity.name}: {'declared twice' if not missing else f'no such field: {missing}'}")
        strange = [one for follow in entity.flow.values() for one in follow.split() if entity.stage(one) is None]
        if strange or any(entity.stage(one) is None for one in entity.flow):
            raise ValueError(f"{entity.name}: the flow leads to {strange}, which is no stage")
        kind = Kind(entity=entity, table=table, fields=_in_words(entity, fields), rules=_rules(entity.name))
        self._kinds[entity.name] = kind
        return kind

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def pointing_at(self, name: str) -> list[tuple[Kind, Reference]]:
        """Which records refer to records of this kind, and by which field."""
        return [(kind, one) for kind in self for one in kind.references if one.kind == name]


def _in_words(entity: Entity, fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields, the owner's required only where the form asks for one."""
    return {name: replace(one, given=one.given or name not in entity.form.split()) for name, one in fields.items()}


def _rules(name: str) -> dict[str, Callable[..., Any]]:
    """The functions of `crm_core/rules/<name>.py`, where there is one: `check(old, new)` before a write."""
    if importlib.util.find_spec(f"crm_core.rules.{name}") is None:
        return {}
    module = importlib.import_module(f"crm_core.rules.{name}")
    return {word: getattr(module, word) for word in ("check",) if hasattr(module, word)}
