"""Each bench once, small and short: that it runs, what its lines look like, and that nothing was lost or went to a wrong screen.

No figure is judged here: machines that run the suite are too busy to be measured on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.bench.streams import CLEAN_EVENTS, NOISY_EVENTS, stream
from tests.lab.asterisk_lab import peers_or_skip
from tests.peers.need import missing, program
from tests.stories.house import CHROMIUM

KEYS = {"name", "value", "unit", "floor", "ratio", "runs", "machine", "noise", "parts", "reach", "met", "void"}
REACHED, MISSED, VOID = 0, 1, 3


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all benches of the session share, for the customers made once."""
    return tmp_path_factory.mktemp("bench")


def bench(name: str, home: Path, **extra: str) -> dict[str, dict[str, Any]]:
    """Run one; its results by name."""
    command = [sys.executable, "-m", "config.main", "bench", name, "--quick", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=150, env={**os.environ, "LINGXI_HOME": str(home), **extra}
    )
    assert done.returncode in (REACHED, MISSED, VOID), done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for result in results:
        assert set(result) == KEYS
        assert set(result["noise"]) == {"p99_ms", "max_ms", "steal"}
        assert result["runs"] > 0 and result["machine"] and result["unit"] and result["reach"]
    assert (done.returncode == VOID) == any(result["void"] for result in results)
    return {result["name"]: result for result in results}


@pytest.mark.timeout(170)
def test_every_pop_reaches_its_console_and_no_other(home: Path) -> None:
    found = bench("pop", home)
    assert set(found) == {"pop.p50", "pop.p99", "pop.wrong", "pop.lost", "pop.core"}
    assert found["pop.wrong"]["value"] == 0 and found["pop.wrong"]["parts"]["wrong_cards"] == 0
    assert found["pop.wrong"]["parts"]["pops"] == found["pop.wrong"]["parts"]["cards"] > 50
    assert found["pop.lost"]["value"] == 0 and found["pop.lost"]["parts"]["burst_pops"] > 50
    for name in ("pop.p50", "pop.p99"):
        assert found[name]["floor"] > 0 and found[name]["ratio"] > 0


@pytest.mark.timeout(170)
def test_numbers_are_found_however_written_and_a_slow_database_holds_no_pop_up(home: Path) -> None:
    found = bench("lookup", home)
    postgres = program("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
    assert set(found) == {"lookup.sqlite", "lookup.deadline"} | ({"lookup.postgres"} if postgres else set())
    for name in set(found) - {"lookup.deadline"}:
        assert found[name]["parts"]["found_nobody"] == 0 and found[name]["floor"] > 0
    late = found["lookup.deadline"]
    assert late["parts"]["pops"] == late["parts"]["cards"] > 10
    assert late["parts"]["lost"] == late["parts"]["wrong_cards"] == 0
    assert late["value"] < late["parts"]["database_ms"] <= late["parts"]["card_ms"] + 5


@pytest.mark.postgres
def test_postgres_is_measured_too() -> None:
    if program("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin") is None:
        missing("PostgreSQL", "postgresql")


@pytest.mark.timeout(170)
def test_memory_is_told_with_its_parts(home: Path) -> None:
    found = bench("memory", home)["memory"]
    assert found["parts"]["lost"] == 0 and found["parts"]["live_calls"] > 10
    assert found["value"] > 20 and found["parts"]["own_mb"] > 20


@pytest.mark.timeout(170)
def test_every_call_of_a_stream_of_events_is_seen_to_its_end(home: Path) -> None:
    found = bench("events", home)
    assert set(found) == {f"events.{stream}{against}" for stream in ("clean", "noisy") for against in ("", ".tracker")}
    for name in ("events.clean", "events.noisy"):
        assert found[name]["parts"]["finished"] == found[name]["parts"]["calls"] >= 50
    assert all(one["floor"] > 0 and one["ratio"] > 0 for one in found.values())


def test_the_streams_are_as_long_as_they_are_said_to_be() -> None:
    for events, noisy in ((CLEAN_EVENTS, False), (NOISY_EVENTS, True)):
        whole = b"".join(stream(30, noisy=noisy))
        assert whole.count(b"Event: ") == whole.count(b"\r\n\r\n") == 30 * events and b"%(" not in whole


@pytest.mark.timeout(170)
def test_every_finished_call_stands_in_the_books_once(home: Path) -> None:
    found = bench("journal", home)
    stores = ["sqlite"] + (["postgres"] if program("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin") else [])
    assert set(found) == {f"journal.{store}{what}" for store in stores for what in ("", ".pace", ".catch_up", ".lost")}
    for store in stores:
        booked = found[f"journal.{store}.lost"]["parts"]
        with_parts = booked["queue_entry"]
        assert found[f"journal.{store}.lost"]["value"] == 0 and booked["call"] > with_parts > 500
        assert booked["call_leg"] == 2 * with_parts and booked["offer"] == booked["segment"] == booked["call_link"] == with_parts
        assert found[f"journal.{store}"]["floor"] > 0
        away = found[f"journal.{store}.catch_up"]["parts"]
        assert away["waited"] == away["calls"] >= 200


@pytest.mark.timeout(170)
def test_after_a_cut_the_board_is_as_things_are(home: Path) -> None:
    found = bench("resync", home)["resync"]
    assert found["parts"]["differences"] == 0, found["parts"]["first"]
    assert found["value"] > 0 and found["parts"]["calls"] >= 60


@pytest.mark.pbx
@pytest.mark.browser
@pytest.mark.timeout(170)
def test_a_real_call_is_shown_in_a_real_browser(home: Path) -> None:
    tree = peers_or_skip()
    if not Path(CHROMIUM).exists() and shutil.which("chromium-browser") is None:
        missing("Chromium", "chromium")
    found = bench("pop-real", home, **({"LINGXI_ASTERISK": str(tree.root)} if tree.root is not None else {}))["pop-real"]
    parts = found["parts"]
    assert 1 <= found["runs"] <= 3 and found["void"] == (found["runs"] < 3 or found["noise"]["p99_ms"] > 5)
    assert parts["longest_ms"] >= found["value"] > 0
    assert parts["invite_to_offer_ms"] > 0 and parts["offer_to_socket_ms"] > 0 and parts["socket_to_card_ms"] > 0


def test_a_bench_that_is_none_is_told(home: Path) -> None:
    command = [sys.executable, "-m", "config.main", "bench", "speed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "LINGXI_HOME": str(home)})
    assert done.returncode == 1 and "There is no bench speed" in done.stderr
