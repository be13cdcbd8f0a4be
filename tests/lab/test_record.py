"""Scenes played anew give the calls of their tables: the recorder works, and so does the Asterisk that is here today.

Times and file names are left out, since they differ each time. A few short scenes stand for all; the rest are played by hand.
"""

from __future__ import annotations

import re

import pytest

from cti.pbx.replay import replay
from tests.cti.call_table import table
from tests.cti.test_captures import expected
from tests.lab.asterisk_lab import peers_or_skip
from tests.lab.record import record
from tests.lab.record_scenes import SCENES


def timeless(told: str) -> str:
    return re.sub(r"\+?\d+\.\d( s)?|lab-[\d.]+", "T", told)


def test_every_scene_has_a_capture() -> None:
    assert all(expected(name) for name in SCENES)


@pytest.mark.pbx
@pytest.mark.parametrize(
    "name",
    [
        "21e-own-queue-full",
        "21f-own-queue-nobody",
        "22c-blind-transfer-outside",
        "26b-pick-up-in-queue",
        "28c-internal-busy",
        "31b-menu-to-queue",
    ],
)
async def test_a_scene_played_anew(name: str) -> None:
    told = await record(name, peers_or_skip())
    result = replay(told.said.splitlines(keepends=True))
    assert timeless(table(result.calls, result.still_open)) == timeless(expected(name))
    assert b"/tmp/" not in told.said + told.events + told.queues and b"Secret: ***" in told.said
    assert told.events.count(b'"LINKEDID_END"') >= len(result.calls)
    assert b"digit" not in told.events
