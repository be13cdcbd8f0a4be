"""What a bench found, as one JSON object a line or as a table for people, always with the machine and how quiet it was."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

VOID: Final = 3
MISSED: Final = 1
Tell = Callable[[str], None]


@lru_cache
def machine() -> str:
    """What was measured on, in a line."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How late a 1 ms nap ended meanwhile, in ms, and which share of its time the machine was taken away from us."""

    p99_ms: float
    max_ms: float
    steal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure. `ratio` is the figure over its floor, None where no floor is asked; `reach` is what must be reached, in words."""

    name: str
    value: float | None
    unit: str
    runs: int
    noise: Noise
    reach: str
    met: bool
    floor: float | None = None
    ratio: float | None = None
    void: bool = False
    parts: dict[str, Any] = field(default_factory=dict)
    machine: str = field(default_factory=machine)

    def line(self) -> str:
        """As JSON."""
        return orjson.dumps(asdict(self)).decode()


def show(results: Sequence[Result]) -> None:
    """A table for people."""
    table = Table("figure", "value", "floor", "ratio", "reach", "", "runs", "noise p99")
    for r in results:
        verdict = "void" if r.void else ("met" if r.met else "missed")
        table.add_row(
            r.name, f"{_plain(r.value)} {r.unit}", _plain(r.floor), _plain(r.ratio), r.reach, verdict, str(r.runs), f"{r.noise.p99_ms:.1f} ms"
        )  # fmt: skip
    console = Console()
    console.print(table)
    for r in results:
        if r.parts:
            console.print(f"{r.name}: " + ", ".join(f"{name} {_plain(value)}" for name, value in r.parts.items()), highlight=False)
    console.print(machine(), highlight=False)


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def exit_code(results: Sequence[Result]) -> int:
    """0 when all was reached, 1 when something was not, 3 when the machine was too busy to tell."""
    if any(r.void for r in results):
        return VOID
    return 0 if all(r.met for r in results) else MISSED
