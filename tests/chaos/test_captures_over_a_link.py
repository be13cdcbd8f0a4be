"""Every recorded stream, served byte for byte over a manager connection, gives the real driver exactly the calls of its table."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.replay import Replayed, play
from cti.pbx_events import LinkUp, Noted, PbxEvent
from cti.ports import Batch
from tests.cti.call_table import table
from tests.synthetic.replay import Replay

CAPTURES = Path(__file__).resolve().parents[1] / "captures"


@pytest.mark.timeout(60)
async def test_every_capture_over_the_wire(tmp_path: Path) -> None:
    pbx = Replay("a-secret")
    await pbx.server.open()
    driver = AsteriskDriver(host="127.0.0.1", port=pbx.server.port, user="lingxi", secret="a-secret", journal=tmp_path / "journal")
    batches, wrong = driver.run(), list[str]()
    paths = sorted(CAPTURES.glob("*.ami"))
    try:
        await heard_until(batches, lambda event: isinstance(event, LinkUp))
        for path in paths:
            await pbx.play(path)
            wrong += differs(path, await heard_until(batches, lambda event: isinstance(event, Noted) and event.kind == "Fence"))
    finally:
        await driver.close()
        pbx.server.shut()
    assert not wrong, "\n".join(wrong)
    assert len(paths) > 20


async def heard_until(batches: AsyncIterator[Batch], last: Callable[[PbxEvent], bool]) -> list[PbxEvent]:
    """What the driver says up to a certain event."""
    heard: list[PbxEvent] = []
    async for batch in batches:
        for event in batch.events:
            if last(event):
                return heard
            heard.append(event)
    raise AssertionError("the driver stopped")


def differs(path: Path, heard: list[PbxEvent]) -> list[str]:
    """Where the calls differ from the table of the stream."""
    result = Replayed()
    play(heard, result)
    found, wanted = table(result.calls, result.still_open), path.with_suffix(".txt").read_text()
    return list(difflib.unified_diff(wanted.splitlines(), found.splitlines(), f"{path.stem}.txt", "over the link", lineterm=""))
