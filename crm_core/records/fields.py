"""The kinds of fields a record may have. A kind says how a value is stored, read from outside, filtered by and shown.

A field is declared as a column (`subject: Mapped[str] = line("Subject")`); what it means travels in the column's `info`. Nothing here
knows a record, a request or a database connection. Values from outside are JSON; what can't be read raises `Wrong` with a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, NoReturn
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import ColumnElement

from crm_core.kernel.db import Id, Instant
from crm_core.kernel.ids import parse_id
from crm_core.kernel.sentence import Trouble

FIELD = "field"
LARGEST = 2**53
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class Wrong(Trouble):
    """A value that the field can't take, with the sentence that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value is read or shown: the unit's time zone, and its options by list (key → still to be chosen)."""

    zone: str = "UTC"
    options: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)


def clean(text: str, *, lines: bool = False) -> str:
    """Text without controls and marks that turn the direction of writing; one line unless `lines`."""
    text = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    return text.strip() if lines else " ".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a column means to people. `name` is the column's; it is known once the record is declared."""

    widget: ClassVar[str] = "line"
    ranged: ClassVar[bool] = False  # filtered by from–to

    label: str
    name: str = ""
    required: bool = False
    hint: str = ""
    given: bool = False  # written by the engine only: shown, never in a form
    start: Any = None  # what a new record begins with

    def nothing(self) -> Any:
        """What is stored when nothing is known."""
        return None

    def first(self) -> Any:
        """What a new record begins with."""
        return self.nothing() if self.start is None else self.start

    def read(self, value: object, place: Place) -> Any:
        """A value from outside, as it is stored. Raises Wrong."""
        raise NotImplementedError

    def told(self, value: Any) -> Any:
        """A stored value as JSON has it; `read` takes it back."""
        return value

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        """The rows that a filter's text asks for. Raises Wrong."""
        found: ColumnElement[bool] = column == self.read(text, place)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Field):
    """One line of text, up to `length` characters."""

    length: int = 120

    def nothing(self) -> str:
        return ""

    def read(self, value: object, place: Place) -> str:
        text = clean(_text(value))
        if len(text) > self.length:
            raise Wrong("at most {n} characters", n=self.length)
        return text

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        return contains(column, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Field):
    """Text of many lines."""

    widget: ClassVar[str] = "note"
    length: int = 10_000

    def nothing(self) -> str:
        return ""

    def read(self, value: object, place: Place) -> str:
        text = clean(_text(value), lines=True)
        if len(text) > self.length:
            raise Wrong("at most {n} characters", n=self.length)
        return text

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        return contains(column, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Email(Line):
    """An e-mail address."""

    widget: ClassVar[str] = "email"

    def read(self, value: object, place: Place) -> str:
        text = Line.read(self, value, place)
        if text and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", text):
            raise Wrong("an e-mail address looks like name@example.com")
        return text


class _Ranged(Field):
    """Filtered by `from..to`, either end open."""

    __slots__ = ()
    ranged: ClassVar[bool] = True

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        low, dots, high = text.partition("..")
        if not dots:
            low = high = text
        found: ColumnElement[bool] = column.is_not(None)
        if low:
            found = found & (column >= self.least(low, place))
        if high:
            found = found & (column <= self.most(high, place))
        return found

    def least(self, text: str, place: Place) -> Any:
        """The smallest value that `from` means."""
        return self.read(text, place)

    def most(self, text: str, place: Place) -> Any:
        """The largest value that `to` means."""
        return self.read(text, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(_Ranged):
    """A whole number between `least_value` and `most_value`."""

    widget: ClassVar[str] = "whole"
    least_value: int = -LARGEST
    most_value: int = LARGEST

    def read(self, value: object, place: Place) -> int | None:
        if value is None or value == "":
            return None
        number = _decimal(value)
        if number != number.to_integral_value():
            raise Wrong("a whole number, please")
        if not self.least_value <= number <= self.most_value:
            raise Wrong("from {low} to {high}, please", low=self.least_value, high=self.most_value)
        return int(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money(_Ranged):
    """A sum, kept in hundredths; in JSON a text such as "1234.50", so that no program rounds it."""

    widget: ClassVar[str] = "money"

    def read(self, value: object, place: Place) -> int | None:
        if value is None or value == "":
            return None
        text = value.replace(",", "").replace("¥", "").strip() if isinstance(value, str) else value
        cents = _decimal(text) * 100
        if cents != cents.to_integral_value():
            raise Wrong("at most two digits after the point")
        if abs(cents) > LARGEST:
            raise Wrong("this sum is too large")
        return int(cents)

    def told(self, value: Any) -> str | None:
        return None if value is None else f"{Decimal(value) / 100:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(_Ranged):
    """A day of the calendar, kept and told as YYYY-MM-DD."""

    widget: ClassVar[str] = "day"

    def read(self, value: object, place: Place) -> str | None:
        if value is None or value == "":
            return None
        text = _text(value).strip().replace("/", "-").replace(".", "-")
        try:
            parts = [int(part) for part in text.split("-")]
            return date(*parts).isoformat() if len(parts) == 3 else no_day()
        except (ValueError, OverflowError):
            return no_day()


def no_day() -> NoReturn:
    """Raises Wrong that shows how a day is written."""
    raise Wrong("a day looks like {example}", example="2026-05-31")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment(_Ranged):
    """An instant: UTC seconds inside and in JSON; also read from "2026-05-31 14:30", which is the unit's own time."""

    widget: ClassVar[str] = "moment"

    def read(self, value: object, place: Place) -> float | None:
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            no_moment()
        if isinstance(value, int | float):
            return self._sound(float(value))
        text = _text(value).strip()
        try:
            return self._sound(float(text))
        except ValueError:
            pass
        try:
            then = datetime.fromisoformat(text.replace("/", "-"))
            return self._sound((then if then.tzinfo else then.replace(tzinfo=ZoneInfo(place.zone))).timestamp())
        except (ValueError, OverflowError):
            return no_moment()

    def most(self, text: str, place: Place) -> Any:
        value = self.read(text, place)
        return value + 86399.999999 if value is not None and re.fullmatch(r"\d{4}[-/]\d\d[-/]\d\d", text.strip()) else value

    @staticmethod
    def _sound(seconds: float) -> float:
        if not math.isfinite(seconds) or not -62135596800 < seconds < 253402300800:
            no_moment()
        return seconds


def no_moment() -> NoReturn:
    """Raises Wrong that shows how a moment is written."""
    raise Wrong("a moment looks like {example}", example="2026-05-31 14:30")


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo(Field):
    """Yes or no."""

    widget: ClassVar[str] = "yesno"
    YES: ClassVar = frozenset({True, "1", "true", "yes", "y", "on", "是"})
    NO: ClassVar = frozenset({False, "0", "false", "no", "n", "off", "否", "", None})

    def nothing(self) -> bool:
        return False

    def read(self, value: object, place: Place) -> bool:
        known = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(known, str | int | bool | None):
            raise Wrong("yes or no, please")
        if known in self.YES or known in self.NO:
            return known in self.YES
        raise Wrong("yes or no, please")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code(Field):
    """One option of a list in the data dictionary; its key is kept."""

    widget: ClassVar[str] = "code"
    options: str = ""

    def nothing(self) -> str:
        return ""

    def read(self, value: object, place: Place) -> str:
        text = _text(value).strip()
        if text and text not in place.options.get(self.options, {}):
            raise Wrong("there is no such option")
        return text

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        wanted = ["" if one == "-" else one for one in text.split(",") if one]
        return column.in_(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Field):
    """Where a record stands in its flow; moved by the engine."""

    widget: ClassVar[str] = "stage"

    def nothing(self) -> str:
        return ""

    def read(self, value: object, place: Place) -> str:
        return _text(value).strip()

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        return column.in_([one for one in text.split(",") if one])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Field):
    """Another record, by its identifier; `kind` names the record. People are the kind `person`."""

    widget: ClassVar[str] = "reference"
    kind: str = ""

    def read(self, value: object, place: Place) -> int | None:
        if value is None or value == "":
            return None
        try:
            return parse_id(value if isinstance(value, str) else str(value))
        except ValueError:
            raise Wrong("there is no such record, or you may not see it") from None

    def told(self, value: Any) -> str | None:
        return None if value is None else str(value)

    def where(self, column: ColumnElement[Any], text: str, place: Place) -> ColumnElement[bool]:
        wanted = [self.read(one, place) for one in text.split(",") if one and one != "-"]
        found: ColumnElement[bool] = column.in_(wanted)
        return found | column.is_(None) if "-" in text.split(",") else found


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Rows whose text has this in it, whatever the case."""
    return column.icontains(clean(text), autoescape=True)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Wrong("a text, please")
    return str(value)


def _decimal(value: object) -> Decimal:
    try:
        number = Decimal(_text(value).strip())
    except InvalidOperation:
        raise Wrong("a number, please") from None
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise Wrong("a number, please")
    return number


# ------------------------------------------------------------------------------------------------------------------ declaring


def line(label: str, length: int = 120, **more: Any) -> Mapped[str]:
    """A line of text."""
    return mapped_column(
        String(length), nullable=False, default="", server_default="", info={FIELD: Line(label=label, length=length, **more)}
    )


def email(label: str = "E-mail", **more: Any) -> Mapped[str]:
    """An e-mail address."""
    return mapped_column(
        String(120), nullable=False, default="", server_default="", info={FIELD: Email(label=label, length=120, **more)}
    )


def note(label: str, **more: Any) -> Mapped[str]:
    """Text of many lines."""
    return mapped_column(Text, nullable=False, default="", server_default="", info={FIELD: Note(label=label, **more)})


def whole(label: str, **more: Any) -> Mapped[int | None]:
    """A whole number."""
    return mapped_column(BigInteger().with_variant(Integer, "sqlite"), info={FIELD: Whole(label=label, **more)})


def money(label: str, **more: Any) -> Mapped[int | None]:
    """A sum."""
    return mapped_column(BigInteger().with_variant(Integer, "sqlite"), info={FIELD: Money(label=label, **more)})


def day(label: str, **more: Any) -> Mapped[str | None]:
    """A day of the calendar."""
    return mapped_column(String(10), info={FIELD: Day(label=label, **more)})


def moment(label: str, **more: Any) -> Mapped[float | None]:
    """An instant."""
    return mapped_column(Instant, info={FIELD: Moment(label=label, **more)})


def yesno(label: str, **more: Any) -> Mapped[bool]:
    """Yes or no."""
    return mapped_column(Boolean, nullable=False, default=False, server_default="0", info={FIELD: YesNo(label=label, **more)})


def code(label: str, options: str, **more: Any) -> Mapped[str]:
    """An option of the list `options` of the data dictionary."""
    return mapped_column(
        String(40), nullable=False, default="", server_default="", info={FIELD: Code(label=label, options=options, **more)}
    )


def reference(label: str, kind: str, table: str, **more: Any) -> Mapped[int | None]:
    """Another record. Where that is purged, nothing is left here."""
    return mapped_column(
        Id, ForeignKey(f"{table}.id", ondelete="SET NULL"), info={FIELD: Reference(label=label, kind=kind, **more)}
    )


def person(label: str, **more: Any) -> Mapped[int | None]:
    """Somebody who signs in."""
    return reference(label, "person", "user_account", **more)


def fields_of(columns: Sequence[Column[Any]]) -> dict[str, Field]:
    """The fields among a table's columns, each with its name."""
    return {c.name: replace(c.info[FIELD], name=c.name) for c in columns if FIELD in c.info}
