"""Imports: a file becomes records, in steps that a person looks at: taken in, mapped, checked, run, and taken back where it was a mistake.

Each import is a row that says how far it is, so that it outlives the page that began it; its rows are parsed once into a file of lines.
Reading a row is here, what may be written is the engine's. One import works at a time, in batches, each of them one transaction.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection, delete, insert, select, update

from crm_core.kernel.access import Principal, may
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import Conflict, NotFound, Refusal
from crm_core.kernel.sentence import Sentence
from crm_core.records import sheets
from crm_core.records.columns import Cut, Cutter, importable, mapped
from crm_core.records.entity import Kind, Values
from crm_core.records.fields import Code, Reference, Wrong, clean
from crm_core.records.rejects import Reject, Rejects
from crm_core.records.storage import ImportedRecord, ImportJob
from crm_core.records.writing import Writing, WrongFields

log = structlog.get_logger(__name__)
BATCH: Final = 300
SHOWN: Final = 50
UNDO_S: Final = 7 * 86400.0
SAME: Final = ("skip", "update", "make")
WORKING: Final = ("reading", "checking", "running", "undoing")
_JOB, _DONE = table_of(ImportJob), table_of(ImportedRecord)


class Plan(msgspec.Struct):
    """How a file is read; kept with its import. `columns` has a field's name, or "", for each column of `head`."""

    format: str = "csv"
    encoding: str = ""
    separator: str = ""
    sheet: int = 0
    sheets: list[str] = []
    head: list[str] = []
    sample: list[list[str]] = []
    columns: list[str] = []
    same: str = "skip"
    lang: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One import as it stands."""

    row: Mapping[str, Any]
    plan: Plan
    wrong: list[dict[str, Any]]
    undo_until: float | None

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def state(self) -> str:
        return str(self.row["state"])


@dataclass(slots=True)
class _Work:
    """What one step of one import needs in its hands."""

    job: Job
    kind: Kind
    principal: Principal
    write: bool
    seen: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "made": 0, "changed": 0, "same": 0, "rejected": 0})


class Imports:
    """The imports of all units; their files lie in `folder`, under numbers of ours and never under a name that came with them."""

    def __init__(self, database: Database, writing: Writing, clock: Clock, new_id: Callable[[], int], folder: Path) -> None:
        self._db, self._writing, self._clock, self._new_id, self._folder = database, writing, clock, new_id, folder
        self._reading = writing.reading
        self._waiting: asyncio.Queue[tuple[int, Callable[[], Any]]] = asyncio.Queue()
        self._stopped: set[int] = set()

    async def load(self) -> None:
        """At the start: what was at work when the process ended says so; what can no longer be undone is forgotten."""
        self._folder.mkdir(parents=True, exist_ok=True)
        now, old = self._clock.now(), select(_JOB.c.id).where(_JOB.c.made_at < self._clock.now() - UNDO_S)
        async with self._db.begin() as db:
            await db.execute(update(_JOB).where(_JOB.c.state.in_(("reading", "checking"))).values(state="file", done=0))
            await db.execute(update(_JOB).where(_JOB.c.state.in_(WORKING)).values(state="interrupted", ended_at=now))
            await db.execute(delete(_DONE).where(_DONE.c.job_id.in_(old)))
            gone = set((await db.execute(old)).scalars())
        for path in self._folder.iterdir():
            name = path.name.partition(".")[0]
            if not name.isdigit() or int(name) in gone:
                path.unlink(missing_ok=True)

    async def run(self) -> None:
        """Work off what was asked for, one after the other. For ever."""
        while True:
            job_id, work = await self._waiting.get()
            try:
                await work()
            except Refusal as refusal:
                why = {"row": 0, "field": "", "value": "", "why": str(refusal), "say": refusal.say}
                await self._set(job_id, state="failed", ended_at=self._clock.now(), wrong=json.dumps([why]))
            except Exception:
                log.exception("an import failed", job=job_id)
                await self._set(job_id, state="interrupted", ended_at=self._clock.now())

    # ------------------------------------------------------------------------------------------------------------ the steps

    async def take(self, principal: Principal, kind: Kind, name: str, parts: AsyncIterator[bytes], lang: str) -> int:
        """Take a file in, look what it is, and guess which column is which. Raises Refusal."""
        job_id, size = self._new_id(), 0
        path = self._path(job_id, "file")
        try:
            with path.open("xb") as file:
                async for part in parts:
                    size += len(part)
                    if size > sheets.MOST_BYTES:
                        raise Refusal("file_too_large", "The file is larger than {n} MB. Split it.", n=sheets.MOST_BYTES >> 20)
                    await asyncio.to_thread(file.write, part)
            table = await asyncio.to_thread(sheets.recognised, path)
            plan = Plan(
                format=table.format, encoding=table.encoding, separator=table.separator, sheets=list(table.sheets), lang=lang
            )
            count = await self._parse(kind, job_id, plan)
        except BaseException:
            for one in self._folder.glob(f"{job_id}.*"):
                one.unlink(missing_ok=True)
            raise
        shown = clean(name.replace("\\", "/").rpartition("/")[2])[:120] or "?"
        row = {
            "id": job_id,
            "unit_id": principal.unit_id,
            "kind": kind.name,
            "user_id": principal.user_id,
            "name": shown,
            "state": "file",
        }
        async with self._db.begin() as db:
            await db.execute(insert(_JOB).values(**row, made_at=self._clock.now(), rows=count, reading=_told(plan), wrong="[]"))
        return job_id

    async def settle(self, principal: Principal, kind: Kind, job_id: int, wish: Mapping[str, Any]) -> None:
        """Read the file another way, map its columns, say what happens to what is there already. Raises Refusal."""
        job = await self.one(principal, kind, job_id)
        self._only(job, "file", "checked", "failed")
        plan, known = job.plan, {one.name for one in importable(kind)}
        again = {n: wish[n] for n in ("encoding", "separator", "sheet") if n in wish and wish[n] != getattr(plan, n)}
        allowed = {"encoding": (*sheets.ENCODINGS, plan.encoding), "separator": sheets.SEPARATORS, "sheet": range(len(plan.sheets))}
        if any(value not in allowed[name] for name, value in again.items()) or wish.get("same", plan.same) not in SAME:
            raise Refusal("wrong_reading", "The file can't be read like that.")
        for name, value in again.items():
            setattr(plan, name, value)
        count = await self._parse(kind, job_id, plan) if again else job.row["rows"]
        columns = list(wish.get("columns", plan.columns)) if not again else plan.columns
        used = [name for name in columns if name]
        if len(columns) != len(plan.head) or len(set(used)) < len(used) or set(used) - known:
            raise Refusal("wrong_mapping", "Each field may stand for one column only.")
        plan.columns, plan.same = columns, wish.get("same", plan.same)
        await self._set(job_id, state="file", reading=_told(plan), rows=count, wrong="[]", done=0)

    async def check(self, principal: Principal, kind: Kind, job_id: int) -> None:
        """Begin to look at every row as a run would; nothing is written."""
        job = await self.one(principal, kind, job_id)
        self._only(job, "file", "checked", "failed")
        await self._begin(_Work(job, kind, principal, write=False), "checking")

    async def start(self, principal: Principal, kind: Kind, job_id: int) -> None:
        """Begin to write."""
        job = await self.one(principal, kind, job_id)
        self._only(job, "checked")
        await self._begin(_Work(job, kind, principal, write=True), "running")

    async def stop(self, principal: Principal, kind: Kind, job_id: int) -> None:
        """Stop after the batch in hand; what was written stays, and can be undone."""
        job = await self.one(principal, kind, job_id)
        self._only(job, *WORKING)
        self._stopped.add(job_id)

    async def undo(self, principal: Principal, kind: Kind, job_id: int) -> None:
        """Begin to take back all that the import did, as far as nobody changed it since."""
        job = await self.one(principal, kind, job_id)
        self._only(job, "done", "stopped", "interrupted", "failed")
        if job.undo_until is None or not kind.has("deleted_at"):
            raise Conflict("too_late", "This import can no longer be undone.")
        await self._set(job_id, state="undoing", done=0)
        await self._waiting.put((job_id, lambda: self._take_back(job, kind, principal)))

    async def one(self, principal: Principal, kind: Kind, job_id: int) -> Job:
        """One of the person's own imports. Raises NotFound."""
        here = (_JOB.c.id == job_id) & (_JOB.c.user_id == principal.user_id) & (_JOB.c.kind == kind.name)
        async with self._db.read() as db:
            row = (await db.execute(select(_JOB).where(here, _JOB.c.unit_id == principal.unit_id))).mappings().one_or_none()
        if row is None:
            raise NotFound()
        return self._job(dict(row))

    async def latest(self, principal: Principal, kind: Kind, most: int = 10) -> list[Job]:
        """The person's latest imports of a kind."""
        here = (_JOB.c.user_id == principal.user_id) & (_JOB.c.kind == kind.name) & (_JOB.c.unit_id == principal.unit_id)
        async with self._db.read() as db:
            rows = (await db.execute(select(_JOB).where(here).order_by(_JOB.c.id.desc()).limit(most))).mappings().all()
        return [self._job(dict(row)) for row in rows]

    def rejected(self, job: Job) -> Path | None:
        """The file of the rejected rows, None where there are none."""
        path = self._path(job.id, "rejected")
        return path if path.is_file() and job.row["rejected"] else None

    # -------------------------------------------------------------------------------------------------------------- pieces

    def _job(self, row: Values) -> Job:
        until = (row["ended_at"] or 0.0) + UNDO_S
        undoable = row["state"] in ("done", "stopped", "interrupted", "failed") and row["made"] + row["changed"] > 0
        try:
            plan = msgspec.json.decode(row["reading"] or "{}", type=Plan)
        except msgspec.MsgspecError:
            plan = Plan()
        return Job(
            row=row,
            plan=plan,
            wrong=json.loads(row["wrong"] or "[]"),
            undo_until=until if undoable and until > self._clock.now() else None,
        )

    def _path(self, job_id: int, what: str) -> Path:
        return self._folder / f"{job_id}.{what}"

    def _only(self, job: Job, *states: str) -> None:
        if job.state not in states:
            raise Conflict("not_now", "This is not possible at this step of the import.")

    async def _set(self, job_id: int, **values: Any) -> None:
        async with self._db.begin() as db:
            await db.execute(update(_JOB).where(_JOB.c.id == job_id).values(values))

    async def _parse(self, kind: Kind, job_id: int, plan: Plan) -> int:
        """Read the whole file once into lines; the number of its rows. Fills the plan's head, sample and mapping."""
        table = sheets.Table(
            format=plan.format, encoding=plan.encoding, separator=plan.separator, sheet=plan.sheet, sheets=tuple(plan.sheets)
        )
        count, head, sample = await asyncio.to_thread(_write_lines, self._path(job_id, "file"), table, self._path(job_id, "lines"))
        plan.head, plan.sample, plan.columns = head, sample, mapped(kind, head)
        return count

    async def _begin(self, work: _Work, state: str) -> None:
        used = {name for name in work.job.plan.columns if name}
        missing = [Sentence(one.label) for one in work.kind.form if one.required and one.name not in used]
        if not used or (missing and "number" not in used):
            raise Refusal("not_mapped", "No column is mapped to {field}.", field=missing[0] if missing else "")
        await self._set(work.job.id, state=state, wrong="[]", **work.counts)
        self._stopped.discard(work.job.id)
        await self._waiting.put((work.job.id, lambda: self._work(work)))

    async def _work(self, work: _Work) -> None:
        """All rows of one import, a batch a transaction."""
        job, unit_id = work.job, work.principal.unit_id
        lists = {one.options for one in work.kind.form if isinstance(one, Code)}
        options = {name: self._reading.dictionary.of(unit_id, name) for name in lists}
        cutter, start = Cutter(work.kind, job.plan.columns, options), time.monotonic()
        rejects = Rejects(self._path(job.id, "rejected"), job.plan.head, job.plan.lang)
        lines = _batches(self._path(job.id, "lines"))
        wrong: list[dict[str, Any]] = []
        try:
            while job.id not in self._stopped and (batch := await asyncio.to_thread(next, lines, None)):
                cuts = await asyncio.to_thread(_cut, cutter, batch)
                refused = await self._db.write(partial(self._batch, work, cuts))
                await asyncio.to_thread(rejects.add, refused)
                wrong += [one.told(work.kind, job.plan.lang) for one in refused[: SHOWN - len(wrong)]]
                await self._set(job.id, **work.counts, wrong=json.dumps(wrong))
        finally:
            lines.close()
            rejects.close()
        stopped = job.id in self._stopped
        state = ("stopped" if stopped else "done") if work.write else ("file" if stopped else "checked")
        await self._set(job.id, state=state, ended_at=self._clock.now())
        log.info(
            "an import came to an end",
            job=job.id,
            kind=work.kind.name,
            state=state,
            took_s=round(time.monotonic() - start, 1),
            **work.counts,
        )

    def _batch(self, work: _Work, cuts: Sequence[tuple[int, list[str], Cut]], db: Connection) -> list[Reject]:
        """Some hundred rows in one transaction; those that are rejected."""
        kind, who = work.kind, work.principal
        place, now = self._reading.place(who.unit_id), self._clock.now()
        refused: list[Reject] = []
        self._refer(db, who, kind, [cut for _, _, cut in cuts])
        there = self._there(db, who, kind, [cut for _, _, cut in cuts])
        new: list[Values] = []
        marks: list[Values] = []
        with self._writing.remembering():
            for number, row, cut in cuts:
                try:
                    if cut.wrong:
                        raise WrongFields(kind, {name: one.sentence for name, one in cut.wrong.items()})
                    title = str(cut.given.get(kind.entity.title, ""))
                    found = there.get(("number", cut.number)) or (
                        [] if work.job.plan.same == "make" else there.get(("title", title), [])
                    )
                    if found or (title in work.seen and work.job.plan.same != "make"):
                        self._meet(db, work, cut, found, marks)
                        continue
                    made = self._writing.made_of(db, who, kind, place, self._new_id(), now, cut.given)
                    new.append(made)
                    work.seen.add(title)
                    work.counts["made"] += 1
                except Refusal as refusal:
                    refused.append(Reject(number=number, row=row, refusal=refusal, columns=work.job.plan.columns))
        work.counts["rejected"] += len(refused)
        work.counts["done"] += len(cuts)
        if work.write:
            self._writing.put_new(db, who, kind, place, now, new)
            marks += [{"record_id": one["id"], "version": 1, "before": ""} for one in new]
            if marks:
                base = {"unit_id": who.unit_id, "job_id": work.job.id}
                db.execute(insert(_DONE), [{**base, "id": self._new_id(), **mark} for mark in marks])
            db.execute(update(_JOB).where(_JOB.c.id == work.job.id).values(work.counts))
        return refused

    def _meet(self, db: Connection, work: _Work, cut: Cut, found: Sequence[int], marks: list[Values]) -> None:
        """A row whose record is there already."""
        if work.job.plan.same == "skip" or not found:
            work.counts["same"] += 1
            return
        if len(found) > 1:
            raise Refusal("several", "Several records are called that. Name the document number.")
        kind, who, place = work.kind, work.principal, self._reading.place(work.principal.unit_id)
        old, new = self._writing.changes_of(db, who, kind, place, found[0], cut.given)
        if not new:
            work.counts["same"] += 1
            return
        if work.write:
            self._writing.put_changes(db, who, kind, old, new, self._clock.now(), "bulk")
            before = json.dumps({name: old[name] for name in new})
            marks.append({"record_id": old["id"], "version": old["version"] + 1, "before": before})
        work.counts["changed"] += 1

    def _refer(self, db: Connection, who: Principal, kind: Kind, cuts: Sequence[Cut]) -> None:
        """Put identifiers where rows name what they refer to."""
        for one in kind.form:
            if not isinstance(one, Reference):
                continue
            meant = self._reading.references.meant(db, who, one.kind, (str(c.given[one.name]) for c in cuts if one.name in c.given))
            for cut in cuts:
                if one.name in cut.given:
                    ids = meant.get(str(cut.given[one.name]), [])
                    if len(ids) == 1:
                        cut.given[one.name] = str(ids[0])
                    else:
                        many = Wrong("several are called that; give the number or the login")
                        cut.wrong[one.name] = many if ids else Wrong("there is no such record, or you may not see it")

    def _there(self, db: Connection, who: Principal, kind: Kind, cuts: Sequence[Cut]) -> dict[tuple[str, str], list[int]]:
        """Which records of a document number or title there are already."""
        columns, found = kind.table.c, dict[tuple[str, str], list[int]]()
        titles = {str(cut.given.get(kind.entity.title, "")) for cut in cuts} - {""}
        for name, column, wanted in (
            ("number", "number", {cut.number for cut in cuts} - {""}),
            ("title", kind.entity.title, titles),
        ):
            if not wanted or column not in columns:
                continue
            statement = select(columns.id, columns[column]).where(
                columns.unit_id == who.unit_id, columns[column].in_(sorted(wanted))
            )
            if kind.has("deleted_at"):
                statement = statement.where(columns.deleted_at.is_(None))
            for id_, text in db.execute(statement.where(self._reading.references[kind.name].visible(who))):
                found.setdefault((name, text), []).append(id_)
        return found

    # ---------------------------------------------------------------------------------------------------------------- undo

    async def _take_back(self, job: Job, kind: Kind, who: Principal) -> None:
        done = kept = 0
        after = 0
        while True:
            more = await self._db.write(partial(self._back, job, kind, who, after))
            if more is None:
                break
            after, back, left = more
            done, kept = done + back, kept + left
            await self._set(job.id, done=done + kept)
        await self._set(job.id, state="undone", ended_at=self._clock.now(), made=0, changed=0, same=kept, done=done)

    def _back(self, job: Job, kind: Kind, who: Principal, after: int, db: Connection) -> tuple[int, int, int] | None:
        """One batch of what an import did, taken back: how far, how many, and how many stay since somebody changed them."""
        here = (_DONE.c.job_id == job.id) & (_DONE.c.id > after)
        marks = db.execute(select(_DONE).where(here).order_by(_DONE.c.id).limit(BATCH)).mappings().all()
        if not marks:
            return None
        now, back = self._clock.now(), 0
        wanted = select(kind.table).where(kind.table.c.id.in_([one["record_id"] for one in marks])).with_for_update()
        rows = {row["id"]: dict(row) for row in db.execute(wanted).mappings()}
        for mark in marks:
            row = rows.get(mark["record_id"])
            if row is None or row["deleted_at"] is not None or row["unit_id"] != who.unit_id:
                continue
            untouched = row["version"] == mark["version"]
            if mark["before"] and untouched:
                self._writing.put_changes(db, who, kind, row, json.loads(mark["before"]), now, "bulk")
            elif not mark["before"] and (untouched or may(who, "delete", kind.thing(row))):
                self._writing.put_changes(db, who, kind, row, {"deleted_at": now, "deleted_by": who.user_id}, now, "recycle")
            else:
                continue
            back += 1
        return int(marks[-1]["id"]), back, len(marks) - back


def _told(plan: Plan) -> str:
    return msgspec.json.encode(plan).decode()


def _write_lines(path: Path, table: sheets.Table, lines: Path) -> tuple[int, list[str], list[list[str]]]:
    """Parse a file into lines of JSON, each with the row's number in the file; the count of rows, the head and the first rows."""
    scratch = lines.with_suffix(".scratch")
    found = sheets.rows(path, table)
    head: list[str] = []
    count, sample = 0, list[list[str]]()
    with scratch.open("wb") as out:
        for number, row in enumerate(found, 1):
            if not row:
                continue
            if not head:
                head = [clean(cell)[:120] for cell in row]
                continue
            out.write(msgspec.json.encode((number, row)) + b"\n")
            count += 1
            if len(sample) < 3:
                sample.append([cell[:80] for cell in row])
    scratch.replace(lines)
    if not count:
        raise Refusal("no_rows", "The file has no rows below its head.")
    return count, head, sample


def _cut(cutter: Cutter, batch: Sequence[tuple[int, list[str]]]) -> list[tuple[int, list[str], Cut]]:
    return [(number, row, cutter.cut(row)) for number, row in batch]


def _batches(path: Path) -> Generator[list[tuple[int, list[str]]], None, None]:
    decoder = msgspec.json.Decoder(tuple[int, list[str]])
    with path.open("rb") as file:
        while batch := [decoder.decode(line) for line in islice(file, BATCH)]:
            yield batch
