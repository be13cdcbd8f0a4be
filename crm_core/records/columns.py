"""Columns of a file and fields of a record: which belongs to which, and a cell's text as a value that the field reads.

People write dates, sums and choices in many ways; here they become the one way that fields read. References are left as texts:
whoever has a database looks them up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crm_core.kernel.words import LANGUAGES, say
from crm_core.records.dictionary import Option
from crm_core.records.entity import Kind
from crm_core.records.fields import Code, Day, Field, Moment, Money, Reference, Whole, Wrong, YesNo, clean, no_day, no_moment

NUMBER = "number"
ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"})
_DATE = re.compile(
    r"(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})日?(?:T|\s*)(?:(\d{1,2})[:时](\d{1,2})分?(?::?(\d{1,2})(?:\.\d+)?秒?)?)?"
)


def importable(kind: Kind) -> list[Field]:
    """The fields that a column may fill; a document number only finds the record that is there."""
    number = [kind.fields[NUMBER]] if kind.has(NUMBER) else []
    return [*number, *kind.form]


def names_of(one: Field) -> set[str]:
    """What a field is called: by name, and by its label in every language."""
    return {_folded(one.name), *(_folded(say(lang, one.label)) for lang in LANGUAGES)}


def mapped(kind: Kind, head: Sequence[str]) -> list[str]:
    """For each column of a head the field it is meant for, "" for none; no field twice."""
    known: dict[str, str] = {}
    for one in importable(kind):
        for name in names_of(one):
            known.setdefault(name, one.name)
    found: list[str] = []
    for text in head:
        name = known.get(_folded(text), "")
        found.append("" if name in found else name)
    return found


def _folded(text: str) -> str:
    return re.sub(r"[\s_*：:]+", "", unicodedata.normalize("NFKC", clean(text)).casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One row as far as it can be understood without the database: `given` by field, what is `wrong`, and the document `number` it names."""

    given: dict[str, object]
    wrong: dict[str, Wrong]
    number: str


class Cutter:
    """Cuts rows into values by a mapping."""

    def __init__(self, kind: Kind, columns: Sequence[str], options: Mapping[str, Sequence[Option]]) -> None:
        fields = {one.name: one for one in importable(kind)}
        self._columns = [(place, fields[name]) for place, name in enumerate(columns) if name in fields]
        self._words = {name: _words(known) for name, known in options.items()}

    def cut(self, row: Sequence[str]) -> Cut:
        """A row's values. Empty cells are left out: a new record begins there as in its form, an old one stays as it is."""
        given, wrong, number = dict[str, object](), dict[str, Wrong](), ""
        for place, one in self._columns:
            text = row[place].strip() if place < len(row) else ""
            if not text:
                continue
            if one.name == NUMBER:
                number = clean(text)
                continue
            try:
                given[one.name] = self.value(one, text)
            except Wrong as found:
                wrong[one.name] = found
        return Cut(given=given, wrong=wrong, number=number)

    def value(self, one: Field, text: str) -> object:
        """A cell's text as the field reads it. Raises Wrong."""
        if text in ERRORS:
            raise Wrong("the cell holds an error of the spreadsheet: {value}", value=text)
        match one:
            case Code():
                return self._words[one.options].get(text.casefold(), text)
            case Money() | Whole():
                return re.sub(r"[,¥元\s]", "", unicodedata.normalize("NFKC", text))
            case Day() | Moment():
                return _date(one, text)
            case YesNo():
                return {"√": "1", "✓": "1", "×": "0", "✗": "0"}.get(text, text)
            case Reference():
                return clean(text)
        return text


def _words(options: Sequence[Option]) -> dict[str, str]:
    """What an option may be called, in any language, and the key that is meant; a key wins over a word, one in use over a retired one."""
    found: dict[str, str] = {}
    for option in sorted(options, key=lambda one: one.retired):
        for lang in LANGUAGES:
            found.setdefault(option.said(lang).casefold(), option.key)
    return {**found, **{option.key.casefold(): option.key for option in options}}


def _date(one: Day | Moment, text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip()
    if re.fullmatch(r"(19|20)\d{6}", plain):
        plain = f"{plain[:4]}-{plain[4:6]}-{plain[6:]}"
    found = _DATE.fullmatch(plain)
    if not found:
        if isinstance(one, Moment) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)", plain):
            return plain
        if isinstance(one, Moment):
            no_moment()
        no_day()
    day = f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
    if isinstance(one, Day):
        return day
    return f"{day} {int(found[4] or 0):02}:{int(found[5] or 0):02}:{int(found[6] or 0):02}"
