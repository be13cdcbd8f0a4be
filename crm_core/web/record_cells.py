"""Values of records as people read them: in their language, their time zone, with the words and colours of the dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from crm_core.kernel.words import say
from crm_core.records.dictionary import Dictionary, Option
from crm_core.records.entity import Kind
from crm_core.records.fields import Code, Day, Field, Moment, Money, Note, Reference, Stage, Whole, YesNo
from crm_core.records.reading import Titles
from crm_core.web.pages import full_time, when

NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value to be shown. `tone` colours it as a chip, `whole` is the long form for a tooltip, `figure` sets it to the right."""

    text: str
    href: str = ""
    tone: str = ""
    whole: str = ""
    figure: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Makes cells for one reader."""

    lang: str
    zone: str
    now: float
    unit_id: int
    dictionary: Dictionary

    def options(self, one: Code) -> list[Option]:
        """The options of a field, retired ones too."""
        return self.dictionary.of(self.unit_id, one.options)

    def choices(self, kind: Kind, one: Field) -> list[tuple[str, str, str]]:
        """What a filter offers of a choice: key, words, colour; what is no longer in use stands last."""
        if isinstance(one, Code):
            known = sorted(self.options(one), key=lambda option: option.retired)
            return [(option.key, option.said(self.lang), option.tone) for option in known]
        return [(stage.key, say(self.lang, stage.label), stage.tone) for stage in kind.entity.stages]

    def said(self, kind: Kind, one: Field, text: str, picked: Mapping[str, str]) -> str:
        """A filter's text as people read it."""
        if isinstance(one, Code | Stage):
            words = {key: word for key, word, _ in self.choices(kind, one)}
            return say(self.lang, ", ").join(words.get(key, key) for key in text.split(","))
        if isinstance(one, YesNo):
            return say(self.lang, "Yes") if text == "1" else say(self.lang, "No")
        if isinstance(one, Reference):
            return say(self.lang, ", ").join(picked.get(key, "…") for key in text.split(","))
        return text.replace("..", " – ")

    def cell(self, kind: Kind, one: Field, value: Any, titles: Titles, row: Mapping[str, Any]) -> Cell:
        """A stored value. What is unknown is a dash."""
        if isinstance(one, Stage):
            stage = kind.entity.stage(value)
            return Cell(text=say(self.lang, stage.label) if stage else value or NOTHING, tone=stage.tone if stage else "grey")
        if isinstance(one, YesNo):
            return Cell(text=say(self.lang, "Yes") if value else say(self.lang, "No"))
        if value is None or value == "":
            return Cell(text=NOTHING, figure=isinstance(one, Money | Whole | Moment | Day))
        return self._known(kind, one, value, titles, row)

    def _known(self, kind: Kind, one: Field, value: Any, titles: Titles, row: Mapping[str, Any]) -> Cell:
        if isinstance(one, Code):
            option = self.dictionary.option(self.unit_id, one.options, value)
            return Cell(text=option.said(self.lang), tone=option.tone)
        if isinstance(one, Reference):
            title = titles.get((one.kind, value))
            return Cell(text=title.title, href=title.href) if title else Cell(text=NOTHING)
        if isinstance(one, Money):
            return Cell(text=f"{Decimal(value) / 100:,.2f}", figure=True)
        if isinstance(one, Moment):
            return Cell(
                text=when(value, self.zone, self.now), whole=full_time(value, self.zone), figure=True,
                late=one.name.startswith("due") and value < self.now and not _closed(kind, row),
            )  # fmt: skip
        if isinstance(one, Day):
            today = datetime.fromtimestamp(self.now, ZoneInfo(self.zone)).date().isoformat()
            return Cell(
                text=value, figure=True, late=one.name.startswith(("due", "next")) and value < today and not _closed(kind, row)
            )
        if isinstance(one, Note):
            return Cell(text=value, whole=value)
        return Cell(text=f"{value:,}" if isinstance(value, int) else str(value), whole=str(value), figure=isinstance(one, Whole))

    def typed(self, one: Field, value: Any) -> str:
        """A stored value as the widget of a form holds it."""
        if value is None:
            return ""
        if isinstance(one, Moment):
            return datetime.fromtimestamp(value, ZoneInfo(self.zone)).strftime("%Y-%m-%dT%H:%M")
        if isinstance(one, YesNo):
            return "1" if value else ""
        return str(one.told(value))

    def plain(self, kind: Kind, one: Field, row: Mapping[str, Any], titles: Titles) -> str:
        """A value for a file: as people read it, dates and sums in full."""
        value = row[one.name]
        if value is None or value == "":
            return ""
        if isinstance(one, Moment):
            return datetime.fromtimestamp(value, ZoneInfo(self.zone)).strftime("%Y-%m-%d %H:%M:%S")
        if isinstance(one, Money):
            return str(one.told(value))
        if isinstance(one, Whole):
            return str(value)
        return self.cell(kind, one, value, titles, row).text


def _closed(kind: Kind, row: Mapping[str, Any]) -> bool:
    stage = kind.entity.stage(row["stage"]) if "stage" in row else None
    return stage is not None and stage.closed
