"""The benches by name, run one after the other; what they found goes to standard output, what goes on meanwhile to standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import uvloop

from config.bench import events, journal, lookup, memory, pop, pop_real, resync
from config.bench.processes import HelperFailed, allow_many_files
from config.bench.results import MISSED, Result, Tell, exit_code, show

Bench = Callable[..., Coroutine[Any, Any, list[Result]]]
BENCHES: Final[Mapping[str, Bench]] = {
    "pop": pop.measure,
    "pop-real": pop_real.measure,
    "lookup": lookup.measure,
    "memory": memory.measure,
    "events": events.measure,
    "journal": journal.measure,
    "resync": resync.measure,
}


def run(name: str, folder: Path, tell: Tell, *, as_json: bool, quick: bool) -> int:
    """Run a bench, or `all`; the exit code: 0 reached, 1 missed, 3 void. Raises KeyError for no bench."""
    allow_many_files()
    chosen = list(BENCHES.values()) if name == "all" else [BENCHES[name]]
    found: list[Result] = []
    for bench in chosen:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                results = runner.run(bench(folder, tell, quick=quick))
            except HelperFailed as failed:
                tell(str(failed))
                return MISSED
        found += results
        if as_json:
            for result in results:
                sys.stdout.write(result.line() + "\n")
            sys.stdout.flush()
    if not as_json:
        show(found)
    code = exit_code(found)
    if code == 3:
        tell("The machine was too busy to tell: this run is void.")
    return code
