"""Capture: a call that was recorded gets its file, checksummed and linked; one that lacks it is listed with the reason.

Follows the books: when a call is booked, the PBX's raw file is turned into a WAV below the recordings folder in the background.
At start, calls that were never looked after are taken up. The call's own rows are never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, select

from crm_core.kernel.bus import Bus
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database
from cti.events import CallBooked
from cti.services.books import Books, Page, insert_rows
from cti.services.hearing import hear
from cti.services.lines import topic
from cti.storage import Call, Queue
from recordings.audio import NoSound, Stored, sides_of, store_raw
from recordings.events import RecordingStored
from recordings.storage import Recording

log = structlog.get_logger(__name__)
LOOK_BACK_S = 7 * 86400.0
GATHER_S = 0.3  # the PBX closes its file a moment after the call ended; meanwhile others end
WAITS_S = (0.0, 1.0, 3.0)
ASKED_AT_ONCE = 500


class Capture:
    """Turns raw files into recordings."""

    def __init__(
        self, bus: Bus, database: Database, books: Books, clock: Clock, new_id: Callable[[], int], folder: Path, spools: Mapping[int, Path]
    ) -> None:  # fmt: skip
        self._bus, self._db, self._books, self._clock, self._new_id = bus, database, books, clock, new_id
        self._folder, self._spools = folder, spools
        self._heard: asyncio.Queue[Job] = asyncio.Queue()
        self._todo: asyncio.Queue[Job] = asyncio.Queue()
        self._recorded: set[tuple[int, str]] = set()
        hear(bus, CallBooked, self._hear)

    async def load(self) -> None:
        """Learn which queues are recorded, and take up calls whose recording was never looked after."""
        async with self._db.read() as db:
            rows = await db.execute(select(Queue.pbx_id, Queue.name).where(Queue.record))
            self._recorded = {(row.pbx_id, row.name) for row in rows}
            since = self._clock.now() - LOOK_BACK_S
            left = (
                select(Call.id, Call.unit_id, Call.pbx_id, Call.pbx_call_id, Call.started_at, Call.talk_s, Call.queue)
                .outerjoin(Recording, Recording.call_id == Call.id)
                .where(Recording.id.is_(None), Call.talk_s > 0, Call.started_at > since, Call.epoch != "")
            )
            for row in await db.execute(left):
                if (row.pbx_id, row.queue) in self._recorded:
                    self._todo.put_nowait(
                        Job(row.unit_id, row.pbx_id, row.id, f"{row.pbx_call_id}.raw", row.started_at, row.talk_s, "")
                    )

    def _hear(self, event: CallBooked) -> None:
        fact = event.fact
        talk_s = sum(s.talk_s + s.hold_s for s in fact.segments)
        wanted = bool(fact.recording_file) or any((fact.pbx_id, e.queue) in self._recorded for e in fact.entries)
        if wanted and talk_s > 0:
            name = fact.recording_file or f"{fact.pbx_call_id}.raw"
            self._heard.put_nowait(Job(fact.unit_id, fact.pbx_id, fact.call_id, name, fact.started_at, talk_s, event.day))

    async def run(self) -> None:
        """Work through what was booked, for ever; up to four files at a time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sort())
            for _ in range(4):
                group.create_task(self._work())

    async def _sort(self) -> None:
        """Leave out the calls that are looked after already, since they were told twice; one question for all of a moment."""
        while True:
            jobs = [await self._heard.get()]
            await asyncio.sleep(GATHER_S)
            while not self._heard.empty() and len(jobs) < ASKED_AT_ONCE:
                jobs.append(self._heard.get_nowait())
            try:
                known = await self._db.look(partial(_looked_after, [job.call_id for job in jobs]))
            except Exception as error:  # then the one who writes them down finds out
                log.warning("it could not be asked which recordings there are", why=type(error).__name__)
                known = set()
            for job in jobs:
                if job.call_id not in known:
                    known.add(job.call_id)
                    self._todo.put_nowait(job)

    async def _work(self) -> None:
        while True:
            job = await self._todo.get()
            try:
                await self._store(job)
            except Exception:
                log.exception("a recording could not be looked after", call_id=job.call_id)

    async def _store(self, job: Job) -> None:
        spool = self._spools.get(job.pbx_id)
        raw = None if spool is None else inside(spool, job.file)
        month = datetime.fromtimestamp(job.at or self._clock.now(), UTC).strftime("%Y/%m/%d")
        name = f"{job.unit_id}/{job.pbx_id}/{month}/{job.call_id}.wav"
        why, stored = "the PBX's recordings can't be reached", None
        for wait in WAITS_S:
            await asyncio.sleep(wait)
            if raw is None:
                break
            try:
                stored = await asyncio.to_thread(store_raw, raw, self._folder / name)
                break
            except NoSound as reason:
                why = str(reason)
            except OSError as error:
                why = f"the file could not be stored: {error.strerror}"
                log.error("a recording could not be stored", call_id=job.call_id, why=error.strerror)
        self._book(job, name if stored else "", stored, "" if stored else why)
        if stored and raw is not None:
            self._books.put(_nothing, lambda: _unlink(raw))

    def _book(self, job: Job, path: str, stored: Stored | None, why: str) -> None:
        row = {
            "id": self._new_id(), "unit_id": job.unit_id, "pbx_id": job.pbx_id, "call_id": job.call_id, "at": job.at,
            "state": "stored" if stored else "missing", "why": why[:120], "path": path, "bytes": stored.bytes if stored else 0,
            "sha256": stored.sha256 if stored else "", "duration_s": stored.duration_s if stored else 0.0, "expected_s": job.talk_s,
        }  # fmt: skip
        event = RecordingStored(
            unit_id=job.unit_id, pbx_id=job.pbx_id, at=self._clock.now(), call_id=job.call_id, stored=stored is not None, why=why
        )
        self._books.put(lambda page: page.together(_write_down, row), lambda: self._bus.publish(topic(event), event))


def _looked_after(calls: list[int], db: Connection) -> set[int]:
    """Which of these calls have a recording, or the word that there is none."""
    return set(db.execute(select(Recording.call_id).where(Recording.call_id.in_(calls))).scalars())


def _write_down(db: Connection, rows: list[dict[str, Any]]) -> None:
    """One row a call, the first that was written."""
    known = _looked_after([row["call_id"] for row in rows], db)
    first = {row["call_id"]: row for row in reversed(rows) if row["call_id"] not in known}
    insert_rows(db, Recording, list(first.values()))


def _unlink(raw: Path) -> None:
    for file in (raw, *sides_of(raw)):
        file.unlink(missing_ok=True)


def _nothing(_page: Page) -> None:
    """Keeps the order: what follows runs after everything before it was committed."""


class Job:
    """One call whose recording must be looked after."""

    __slots__ = ("at", "call_id", "day", "file", "pbx_id", "talk_s", "unit_id")

    def __init__(self, unit_id: int, pbx_id: int, call_id: int, file: str, at: float | None, talk_s: float, day: str) -> None:
        self.unit_id, self.pbx_id, self.call_id, self.file, self.at, self.talk_s, self.day = (
            unit_id,
            pbx_id,
            call_id,
            file,
            at,
            talk_s,
            day,
        )


def inside(folder: Path, name: str) -> Path | None:
    """A file of that name in the folder; None where the name would lead out of it."""
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError):  # a name that no file can have
        return None
    return path if path.is_relative_to(folder.resolve()) else None
