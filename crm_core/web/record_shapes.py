"""What the API takes and gives of a record, made from its declaration: the shapes stand in the OpenAPI document like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from crm_core.records.entity import Kind
from crm_core.records.fields import Code, Day, Field, Line, Moment, Money, Note, Reference, Stage, Whole, YesNo

_JSON: dict[type[Field], Any] = {
    Whole: int | None, Money: str | None, Day: str | None, Moment: float | str | None, YesNo: bool, Reference: str | None,
    Line: str, Note: str, Code: str, Stage: str,
}  # fmt: skip


class Ids(msgspec.Struct, forbid_unknown_fields=True):
    """Records by their identifiers."""

    ids: list[str]


class StageWish(msgspec.Struct, forbid_unknown_fields=True):
    """The stage a record shall move to, with fields that it asks for."""

    stage: str
    fields: dict[str, Any] = {}


class StageOfMany(msgspec.Struct, forbid_unknown_fields=True):
    """The stage that many shall move to."""

    ids: list[str]
    stage: str


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """Fields that many records shall have."""

    ids: list[str]
    fields: dict[str, Any]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """A comment."""

    text: str


class ViewNew(msgspec.Struct, forbid_unknown_fields=True):
    """A view of a list to be kept: the list's query string under a name."""

    name: str
    query: str = ""
    shared: bool = False


class DoneOut(msgspec.Struct):
    """Of how many it was done, and of the others how often which reason."""

    done: int
    refused: dict[str, int]


class Version(msgspec.Struct):
    """The version a record has now."""

    version: int


class IdsOut(msgspec.Struct):
    """The identifiers of everything a list holds; `more` says that there are more than are told."""

    ids: list[str]
    more: bool


class ChangeOut(msgspec.Struct):
    """One step of a record's history: field → before and after."""

    at: float
    who: str
    action: str
    version: int
    fields: dict[str, list[Any]]


class HistoryOut(msgspec.Struct):
    """What was done to a record, newest first."""

    changes: list[ChangeOut]


class CommentOut(msgspec.Struct):
    """What somebody said about a record."""

    id: str
    at: float
    who: str
    text: str


class CommentsOut(msgspec.Struct):
    """What was said about a record, oldest first."""

    comments: list[CommentOut]


class Suggestion(msgspec.Struct):
    """Something a reference may mean."""

    id: str
    title: str
    hint: str


class Suggestions(msgspec.Struct):
    """What a reference may mean, best first."""

    found: list[Suggestion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The shapes of one kind: `new` to make, `change` to change, `out` to read, `page` a page of a list."""

    new: type[msgspec.Struct]
    change: type[msgspec.Struct]
    out: type[msgspec.Struct]
    page: type[msgspec.Struct]


def json_type(one: Field) -> Any:
    """How a field's values look in JSON."""
    return next(shape for known, shape in _JSON.items() if isinstance(one, known))


def shapes_of(kind: Kind) -> Shapes:
    """The shapes that a declaration makes."""
    word = "".join(part.capitalize() for part in kind.name.split("_"))
    taken = [(one.name, json_type(one) | msgspec.UnsetType, msgspec.UNSET) for one in kind.form]
    given = [(one.name, json_type(one)) for one in kind.fields.values()]
    new = msgspec.defstruct(f"{word}New", taken, forbid_unknown_fields=True, namespace={"__doc__": f"A {kind.name} to be made."})
    change = msgspec.defstruct(
        f"{word}Change", [("version", int), *taken], forbid_unknown_fields=True,
        namespace={"__doc__": f"What is changed of a {kind.name}; `version` is the one that was read."},
    )  # fmt: skip
    out = msgspec.defstruct(
        f"{word}Out", [("id", str), ("version", int), *given], namespace={"__doc__": f"A {kind.name} as the asker may see it."}
    )
    listed = msgspec.defstruct(
        f"{word}Page", [("rows", list[out]), ("count", int), ("more", bool), ("after", str), ("before", str)],  # type: ignore[valid-type]
        namespace={"__doc__": "One page of a list; `more` says that `count` is a lower bound, `after` and `before` are cursors."},
    )  # fmt: skip
    return Shapes(new=new, change=change, out=out, page=listed)


def given_fields(body: msgspec.Struct, *, without: str = "") -> dict[str, object]:
    """What a body carries: the fields that were sent."""
    found = {name: getattr(body, name) for name in body.__struct_fields__ if name != without}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}


def told(kind: Kind, row: dict[str, Any], shape: type[msgspec.Struct]) -> Any:
    """A row as the API tells it."""
    return shape(
        id=str(row["id"]), version=row["version"], **{name: one.told(row[name]) for name, one in kind.fields.items()}
    )  # fmt: skip
