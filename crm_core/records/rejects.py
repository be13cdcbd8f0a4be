"""Rows that an import rejected: what is told of the first of them, and the file that holds them all with the reasons."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_core.kernel.errors import Refusal
from crm_core.kernel.words import say
from crm_core.records.entity import Kind
from crm_core.records.sheets import harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One rejected row: its number in the file, its cells, and why."""

    number: int
    row: list[str]
    refusal: Refusal
    columns: Sequence[str]

    def told(self, kind: Kind, lang: str) -> dict[str, Any]:
        """For people: the first field that is wrong, what stands there, and why."""
        name, why = next(iter(self.refusal.detail.get("fields", {}).items()), ("", None))
        place = self.columns.index(name) if name in self.columns else -1
        value = self.row[place][:120] if 0 <= place < len(self.row) else ""
        label = kind.fields[name].label if name in kind.fields else ""
        return {"row": self.number, "field": label, "value": value, "why": say(lang, why) if why else self.why(lang)}

    def why(self, lang: str) -> str:
        """The whole reason."""
        return say(lang, self.refusal.say, **self.refusal.detail)


class Rejects:
    """The file of all rejected rows; it is made with the first one."""

    def __init__(self, path: Path, head: Sequence[str], lang: str) -> None:
        path.unlink(missing_ok=True)
        self._path, self._head, self._lang = path, head, lang
        self._file: Any = None

    def add(self, rejected: Sequence[Reject]) -> None:
        """Rows at the end."""
        if rejected and self._file is None:
            self._file = self._path.open("w", encoding="utf-8-sig", newline="")
            self._put([*self._head, say(self._lang, "Row"), say(self._lang, "Why")])
        for one in rejected:
            cells = [*one.row, *[""] * (len(self._head) - len(one.row))]
            self._put([*cells[: len(self._head)], str(one.number), one.why(self._lang)])
        if rejected:
            self._file.flush()

    def _put(self, cells: Sequence[str]) -> None:
        csv.writer(self._file).writerow([harmless(cell) for cell in cells])

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
