"""Capture: a recorded call gets its file, checksummed and linked, once; a call that lacks it is listed with the reason; names that lead out
of the folder open nothing. And what a sound file is made of."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from cti.events import CallBooked, CallEnded
from recordings.audio import FRAME, NoSound, checksum, peaks, store_raw
from recordings.capture import Capture, inside
from recordings.events import RecordingStored
from recordings.storage import Recording
from tests.services.house import House, house
from tests.services.test_call_books import Maker


class Studio:
    """A house with capture, its spool and its folder."""

    def __init__(self, here: House, folder: Path, spools: dict[int, Path] | None = None) -> None:
        self.here, self.spool, self.folder = here, folder / "spool", folder / "recordings"
        self.spool.mkdir(exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        self.make = Maker(here)
        self.capture = Capture(
            here.bus,
            here.database,
            here.books,
            here.clock,
            here.new_id,
            self.folder,
            {here.pbx_id: self.spool} if spools is None else spools,
        )

    def raw(self, name: str, seconds: float = 1.0) -> bytes:
        """What the PBX wrote: left loud, right silent."""
        sound = struct.pack("<hh", 16384, 0) * int(8000 * seconds)
        (self.spool / name).write_bytes(sound)
        return sound

    def end(self, call_id: int = 900, **more: Any) -> None:
        """A call is over."""
        self.here.say(CallEnded, call_id=call_id, fact=self.make.fact(call_id, **more))

    async def looked_after(self, count: int = 1) -> list[dict[str, Any]]:
        """The rows of recordings, once so many calls were looked after."""
        for _ in range(2000):
            if sum(isinstance(event, RecordingStored) for event in self.here.events) >= count:
                break
            await asyncio.sleep(0.005)
        await self.here.books.settled()
        return await self.here.rows(select(Recording.__table__).where(Recording.state != "none").order_by(Recording.call_id))


@pytest.fixture
async def studio(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    monkeypatch.setattr("recordings.capture.WAITS_S", (0.0, 0.01))
    monkeypatch.setattr("recordings.capture.GATHER_S", 0.01)
    async with house(filled, tmp_path) as here:
        made = Studio(here, tmp_path)
        await made.capture.load()
        work = asyncio.create_task(made.capture.run())
        yield made
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_recorded_call_gets_its_file_with_its_checksum(studio: Studio) -> None:
    sound = studio.raw("p-900.raw")
    studio.end()
    (row,) = await studio.looked_after()
    path = studio.folder / row["path"]
    assert (
        row["state"] == "stored"
        and row["call_id"] == 900
        and row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() == checksum(path)
    )
    assert row["path"].startswith(f"{studio.here.unit_id}/{studio.here.pbx_id}/") and row["bytes"] == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        assert file.readframes(file.getnframes()) == sound
    assert row["duration_s"] == 1.0
    for _ in range(400):
        if not (studio.spool / "p-900.raw").exists():
            break
        await asyncio.sleep(0.005)
    assert not (studio.spool / "p-900.raw").exists(), "the PBX's file is taken away only when the row stands"


async def test_the_pbx_s_own_name_of_the_file_counts(studio: Studio) -> None:
    studio.raw("other.raw")
    studio.end(recording_file="other.raw")
    assert [row["state"] for row in await studio.looked_after()] == ["stored"]


@pytest.mark.parametrize(
    ("write", "why"), [(None, "the PBX wrote no file"), (b"", "the PBX's file is empty"), (b"abc", "the PBX's file is empty")]
)
async def test_a_call_without_its_recording_is_listed_with_the_reason(studio: Studio, write: bytes | None, why: str) -> None:
    if write is not None:
        (studio.spool / "p-900.raw").write_bytes(write)
    studio.end()
    (row,) = await studio.looked_after()
    assert (row["state"], row["why"], row["path"], row["expected_s"]) == ("missing", why, "", 51.0)


@pytest.mark.parametrize(
    "name", ["../secret.raw", "/etc/hostname", "a/../../secret.raw", "..", ".", "a\x00b", "x" * 300, "link.raw"]
)
async def test_a_name_that_leads_out_of_the_folder_opens_nothing(studio: Studio, name: str) -> None:
    secret = studio.spool.parent / "secret.raw"
    secret.write_bytes(b"\x01" * 4000)
    (studio.spool / "link.raw").symlink_to(secret)
    studio.end(recording_file=name)
    (row,) = await studio.looked_after()
    assert row["state"] == "missing" and row["why"]
    assert secret.exists() and not list(studio.folder.rglob("*.wav"))


async def test_a_call_that_was_not_answered_or_not_to_be_recorded_has_none(studio: Studio) -> None:
    studio.end(900, segments=())
    studio.end(930, entries=())
    studio.raw("p-960.raw")
    studio.end(960)
    assert [row["call_id"] for row in await studio.looked_after()] == [960]


async def test_a_call_told_twice_keeps_its_recording(studio: Studio) -> None:
    studio.raw("p-900.raw")
    studio.end()
    await studio.looked_after()
    studio.end()
    await studio.here.books.settled()
    await asyncio.sleep(0.05)
    assert [row["state"] for row in await studio.looked_after()] == ["stored"]
    assert [event.stored for event in studio.here.events if isinstance(event, RecordingStored)] == [True]


async def test_a_call_told_twice_at_once_is_looked_after_once(studio: Studio) -> None:
    studio.raw("p-900.raw")
    studio.end()
    studio.end()
    await studio.here.books.settled()
    await asyncio.sleep(0.1)
    assert [row["state"] for row in await studio.looked_after()] == ["stored"]
    assert [event.stored for event in studio.here.events if isinstance(event, RecordingStored)] == [True]


async def test_many_calls_that_end_at_once_are_looked_after_soon(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.capture.GATHER_S", 0.3)
    for call_id in range(10_000, 10_000 + 100 * 30, 30):
        studio.raw(f"p-{call_id}.raw")
        studio.end(call_id)
    async with asyncio.timeout(6):
        rows = await studio.looked_after(100)
    assert [row["state"] for row in rows] == ["stored"] * 100


async def test_a_pbx_whose_recordings_can_not_be_reached_says_so(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.capture.WAITS_S", (0.0,))
    async with house(filled, tmp_path) as here:
        made = Studio(here, tmp_path, spools={})
        await made.capture.load()
        work = asyncio.create_task(made.capture.run())
        made.end()
        (row,) = await made.looked_after()
        work.cancel()
    assert row["why"] == "the PBX's recordings can't be reached"


async def test_calls_that_nobody_looked_after_are_taken_up_at_the_next_start(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.capture.WAITS_S", (0.0,))
    async with house(filled, tmp_path) as here:
        Maker(here)
        here.say(CallEnded, call_id=900, fact=Maker(here).fact())
        await here.books.settled()
        made = Studio(here, tmp_path)
        made.raw("p-900.raw")
        await made.capture.load()
        work = asyncio.create_task(made.capture.run())
        assert [row["call_id"] for row in await made.looked_after()] == [900]
        work.cancel()


async def test_other_events_are_none_of_its_business(studio: Studio) -> None:
    studio.here.bus.publish(f"unit.1.pbx.2.{CallBooked.WIRE}", replace(studio.make.fact(), caller=""))
    assert studio.capture._todo.empty()


# -------------------------------------------------------------------------------------------------------------------- sound


@given(st.binary(max_size=400))
def test_a_stored_file_holds_every_whole_frame(tmp_path_factory: pytest.TempPathFactory, sound: bytes) -> None:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "a.raw").write_bytes(sound)
    whole = sound[: len(sound) // FRAME * FRAME]
    if not whole:
        with pytest.raises(NoSound):
            store_raw(folder / "a.raw", folder / "a.wav")
        assert not (folder / "a.wav").exists()
        return
    stored = store_raw(folder / "a.raw", folder / "a.wav")
    with wave.open(str(folder / "a.wav")) as file:
        assert file.readframes(file.getnframes()) == whole
    assert stored.sha256 == checksum(folder / "a.wav") and stored.bytes == len(whole) + 44
    found = peaks(folder / "a.wav")
    assert len(found["left"]) == len(found["right"]) and all(0 <= p <= 1 for p in [*found["left"], *found["right"]])  # type: ignore[arg-type, misc]


def test_peaks_tell_the_two_sides_apart(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(struct.pack("<hh", -32768, 0) * 4000 + struct.pack("<hh", 0, 16384) * 4000)
    store_raw(tmp_path / "a.raw", tmp_path / "a.wav")
    assert peaks(tmp_path / "a.wav", per_second=2) == {"rate": 2, "left": [1.0, 0.0], "right": [0.0, 0.5]}


@given(st.text(max_size=60))
def test_a_name_is_within_its_folder_or_none(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = inside(folder, name)
    assert found is None or found.is_relative_to(folder.resolve())
