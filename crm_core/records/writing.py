"""Records written: made, changed, moved through their stages, recycled and brought back, many at once too.

Each write is one transaction with its history: who, when, before → after. Of two people who change the same record the second is told
what the first one did, unless they touched different fields; nothing is overwritten unseen. Rules of a kind are asked before each write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from crm_core.entities.org import Audit, User
from crm_core.initials import initials_of
from crm_core.kernel.access import Principal, Scope, may, reach
from crm_core.kernel.clock import Clock
from crm_core.kernel.db import Database, table_of
from crm_core.kernel.errors import Conflict, NotAllowed, NotFound, Refusal
from crm_core.kernel.sentence import Sentence
from crm_core.records import document_numbers
from crm_core.records.entity import Kind, Values
from crm_core.records.fields import Code, Field, Place, Reference, Wrong, clean
from crm_core.records.reading import Reading
from crm_core.records.storage import RecordComment

BULK = 500
COMMENT_LENGTH = 4000
_AUDIT, _COMMENT, _USER = table_of(Audit), table_of(RecordComment), table_of(User)
_NO = Sentence("there is no such record, or you may not see it")


class WrongFields(Refusal):
    """Values that can't be taken; `detail["fields"]` says why, by field."""

    def __init__(self, kind: Kind, wrong: Mapping[str, Sentence]) -> None:
        name, why = next(iter(wrong.items()))
        label = kind.fields[name].label if name in kind.fields else name
        super().__init__("wrong_fields", "{field}: {why}", field=Sentence(label), why=why, fields=dict(wrong))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a bulk action: how many were done, and of the others how often which reason."""

    done: int
    refused: dict[str, int]


class Writing:
    """Changes records on behalf of people, by their rights."""

    def __init__(self, database: Database, reading: Reading, clock: Clock, new_id: Callable[[], int]) -> None:
        self._db, self._reading, self._clock, self._new_id = database, reading, clock, new_id
        self._memory: ContextVar[dict[Any, Any] | None] = ContextVar("memory", default=None)

    @property
    def reading(self) -> Reading:
        """The other half."""
        return self._reading

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Within one transaction: whom and what rows refer to is looked up once, not once a row."""
        token = self._memory.set({})
        try:
            yield
        finally:
            self._memory.reset(token)

    def _once(self, key: tuple[Any, ...], look: Callable[[], Any]) -> Any:
        memory = self._memory.get()
        if memory is None:
            return look()
        if key not in memory:
            memory[key] = look()
        return memory[key]

    # ----------------------------------------------------------------------------------------------------------- one record

    async def create(self, principal: Principal, kind: Kind, given: Mapping[str, object]) -> int:
        """A new record of the person's unit. Raises WrongFields, or what a rule of the kind refuses."""
        if reach(principal, "create", kind.name) is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        place, record_id, now = self._reading.place(principal.unit_id), self._new_id(), self._clock.now()
        return await self._db.write(lambda db: self._insert(db, principal, kind, place, record_id, now, given))

    def _insert(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, record_id: int, now: float, given: Mapping[str, object]
    ) -> int:  # fmt: skip
        self.put_new(db, principal, kind, place, now, [self.made_of(db, principal, kind, place, record_id, now, given)])
        return record_id

    def made_of(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, record_id: int, now: float, given: Mapping[str, object]
    ) -> Values:  # fmt: skip
        """What a new record would hold, all but its document number; nothing is written. Raises as `create` does."""
        values = {one.name: one.first() for one in kind.form}
        values |= self._read(db, principal, kind, place, given, {})
        self._ask_for(kind, values)
        values |= {
            "id": record_id, "unit_id": principal.unit_id, "version": 1, "created_at": now, "created_by": principal.user_id,
            "changed_at": now, "changed_by": principal.user_id,
        }  # fmt: skip
        if kind.has("owner_id"):
            values |= self._owned(db, principal, values.get("owner_id") or principal.user_id)
        if kind.has("stage"):
            values |= {"stage": next(iter(kind.entity.flow)), "stage_at": now}
        if kind.has("initials"):
            values["initials"] = initials_of(str(values[kind.entity.title]))
        self._rule(kind, None, values)
        return values

    def put_new(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, now: float, rows: Sequence[Values], action: str = "create"
    ) -> None:  # fmt: skip
        """Write what `made_of` gave, with numbers and history, in the caller's transaction."""
        if not rows:
            return
        if kind.has("number"):
            numbers = document_numbers.take_many(
                db, len(rows), unit_id=principal.unit_id, kind=kind.name, rule=kind.entity.number, at=now, zone=place.zone, new_id=self._new_id
            )  # fmt: skip
            for values, number in zip(rows, numbers, strict=True):
                values["number"] = number
        db.execute(insert(kind.table), list(rows))
        told = [
            {
                n: [None, one.told(values[n])]
                for n, one in kind.fields.items()
                if not one.given and values.get(n) not in (None, "", False)
            }
            for values in rows
        ]
        notes = [self._noted(principal, kind, v["id"], action, now, 1, fields) for v, fields in zip(rows, told, strict=True)]
        db.execute(insert(_AUDIT), notes)

    async def change(self, principal: Principal, kind: Kind, record_id: int, given: Mapping[str, object], version: int) -> int:
        """Change fields of a record that was read at `version`; its new version.

        Where somebody changed other fields since, both changes stand; where they changed one of these, Conflict tells both values.
        """
        place, now = self._reading.place(principal.unit_id), self._clock.now()
        return await self._db.write(lambda db: self._update(db, principal, kind, place, record_id, now, given, version))

    def _update(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, record_id: int, now: float, given: Mapping[str, object],
        version: int | None, action: str = "change",
    ) -> int:  # fmt: skip
        old, new = self.changes_of(db, principal, kind, place, record_id, given, version)
        if not new:
            return int(old["version"])
        self.put_changes(db, principal, kind, old, new, now, action)
        return int(old["version"]) + 1

    def changes_of(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, record_id: int, given: Mapping[str, object], version: int | None = None
    ) -> tuple[Values, Values]:  # fmt: skip
        """A record as it is, and the fields that would change; nothing is written. Raises as `change` does."""
        old = self._row(db, principal, kind, record_id, "edit")
        read = self._read(db, principal, kind, place, given, old)
        if version is not None and version != old["version"]:
            self._compare(db, kind, old, read, version)
        new = {name: value for name, value in read.items() if value != old[name]}
        if not new:
            return old, new
        if "owner_id" in new:
            new |= self._owned(db, principal, new["owner_id"])
        if kind.has("initials") and kind.entity.title in new:
            new["initials"] = initials_of(str(new[kind.entity.title]))
        whole = {**old, **new}
        self._ask_for(kind, whole)
        self._rule(kind, old, whole)
        return old, new

    async def move(self, principal: Principal, kind: Kind, record_id: int, stage: str, given: Mapping[str, object] = {}) -> None:
        """To another stage, with fields that it asks for. Raises Conflict where the flow leads nowhere there from here."""
        place, now = self._reading.place(principal.unit_id), self._clock.now()
        await self._db.write(lambda db: self._move(db, principal, kind, place, record_id, now, stage, given))

    def _move(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, record_id: int, now: float, stage: str, given: Mapping[str, object]
    ) -> None:  # fmt: skip
        old = self._row(db, principal, kind, record_id, "edit")
        if stage not in {one.key for one in kind.entity.may_follow(old["stage"])}:
            here = kind.entity.stage(old["stage"])
            raise Conflict("no_way", "From {stage} it does not go there.", stage=Sentence(here.label if here else old["stage"]))
        read = self._read(db, principal, kind, place, given, old)
        new = {name: value for name, value in read.items() if value != old[name]} | {"stage": stage, "stage_at": now}
        self._rule(kind, old, {**old, **new})
        self.put_changes(db, principal, kind, old, new, now, "move")

    async def comment(self, principal: Principal, kind: Kind, record_id: int, said: str) -> int:
        """Say something about a record that one may see."""
        text = clean(said, lines=True)
        if not text or len(text) > COMMENT_LENGTH:
            raise Refusal("wrong_comment", "A comment has 1 to {n} characters.", n=COMMENT_LENGTH)
        comment_id, now = self._new_id(), self._clock.now()

        def put(db: Connection) -> None:
            self._row(db, principal, kind, record_id, "see")
            row = {"id": comment_id, "unit_id": principal.unit_id, "kind": kind.name, "record_id": record_id, "at": now}
            db.execute(insert(_COMMENT).values(**row, user_id=principal.user_id, text=text))

        await self._db.write(put)
        return comment_id

    # -------------------------------------------------------------------------------------------------------- many records

    async def assign(self, principal: Principal, kind: Kind, ids: Sequence[int], given: Mapping[str, object]) -> Done:
        """Set fields of many records at once."""
        place, now = self._reading.place(principal.unit_id), self._clock.now()
        return await self._each(
            ids, lambda db, record_id: self._update(db, principal, kind, place, record_id, now, given, None, "bulk")
        )

    async def move_all(self, principal: Principal, kind: Kind, ids: Sequence[int], stage: str) -> Done:
        """Many to another stage."""
        place, now = self._reading.place(principal.unit_id), self._clock.now()
        return await self._each(ids, lambda db, record_id: self._move(db, principal, kind, place, record_id, now, stage, {}))

    async def recycle(self, principal: Principal, kind: Kind, ids: Sequence[int]) -> Done:
        """To the recycle bin."""
        now = self._clock.now()
        new = {"deleted_at": now, "deleted_by": principal.user_id}

        def away(db: Connection, record_id: int) -> None:
            old = self._row(db, principal, kind, record_id, "delete")
            if old["deleted_at"] is None:
                self.put_changes(db, principal, kind, old, new, now, "recycle")

        return await self._each(ids, away)

    async def restore(self, principal: Principal, kind: Kind, ids: Sequence[int]) -> Done:
        """Back from the recycle bin."""
        now = self._clock.now()

        def back(db: Connection, record_id: int) -> None:
            old = self._row(db, principal, kind, record_id, "delete", binned=True)
            if old["deleted_at"] is not None:
                self.put_changes(db, principal, kind, old, {"deleted_at": None, "deleted_by": None}, now, "restore")

        return await self._each(ids, back)

    async def purge(self, principal: Principal, kind: Kind, ids: Sequence[int]) -> Done:
        """Out of the recycle bin for good; that it was there stays in the history."""
        now = self._clock.now()

        def gone(db: Connection, record_id: int) -> None:
            old = self._row(db, principal, kind, record_id, "purge", binned=True)
            if old["deleted_at"] is None:
                raise Conflict("not_recycled", "Only what is in the recycle bin can be purged.")
            db.execute(delete(_COMMENT).where(_COMMENT.c.kind == kind.name, _COMMENT.c.record_id == record_id))
            db.execute(delete(kind.table).where(kind.table.c.id == record_id))
            self._note(db, principal, kind, record_id, "purge", now, old["version"], {})

        return await self._each(ids, gone)

    async def _each(self, ids: Sequence[int], work: Callable[[Connection, int], object]) -> Done:
        """One transaction for all of them; those that are refused are left as they are."""
        if len(ids) > BULK:
            raise Refusal("too_many", "At most {n} at once.", n=BULK)

        def all_of_them(db: Connection) -> Done:
            done, refused = 0, dict[str, int]()
            for record_id in dict.fromkeys(ids):
                try:
                    work(db, record_id)  # refuses before it writes anything
                    done += 1
                except Refusal as refusal:
                    refused[refusal.code] = refused.get(refusal.code, 0) + 1
            return Done(done=done, refused=refused)

        return await self._db.write(all_of_them)

    # -------------------------------------------------------------------------------------------------------------- pieces

    def _row(
        self, db: Connection, principal: Principal, kind: Kind, record_id: int, action: str, *, binned: bool = False
    ) -> Values:
        """A row to write, held against others until the transaction ends."""
        wanted = select(kind.table).where(kind.table.c.id == record_id).with_for_update()
        found = db.execute(wanted).mappings().one_or_none()
        row = dict(found) if found is not None else None
        if row is None or not may(principal, "see", kind.thing(row)):
            raise NotFound()
        if not may(principal, action, kind.thing(row)):
            raise NotAllowed("not_allowed", "You may not do this.")
        if not binned and row.get("deleted_at") is not None and action != "see":
            raise Conflict("recycled", "It is in the recycle bin. Restore it first.")
        return row

    def _read(
        self, db: Connection, principal: Principal, kind: Kind, place: Place, given: Mapping[str, object], old: Mapping[str, Any]
    ) -> Values:  # fmt: skip
        """What was given, as it is stored. Raises WrongFields."""
        values, wrong = Values(), dict[str, Sentence]()
        for name, value in given.items():
            one = kind.fields.get(name)
            if one is None or one.given:
                wrong[name] = Sentence("no such field, or not yours to fill in")
                continue
            try:
                values[name] = self._value(db, principal, one, value, place, old.get(name))
            except Wrong as found:
                wrong[name] = found.sentence
        if wrong:
            raise WrongFields(kind, wrong)
        return values

    def _value(self, db: Connection, principal: Principal, one: Field, value: object, place: Place, old: Any) -> Any:
        read = one.read(value, place)
        if read == old and old is not None:
            return read  # what it is already it may stay, retired or out of sight
        if isinstance(one, Code) and read and not place.options[one.options][read]:
            raise Wrong("this option is no longer in use")
        if (
            isinstance(one, Reference)
            and read is not None
            and not self._once(("seen", one.kind, read), lambda: self._reading.references.seen(db, principal, one.kind, read))
        ):
            raise Wrong(_NO)
        return read

    def _ask_for(self, kind: Kind, values: Mapping[str, Any]) -> None:
        wrong = {one.name: Sentence("required") for one in kind.form if one.required and values.get(one.name) in (None, "")}
        if wrong:
            raise WrongFields(kind, wrong)

    def _owned(self, db: Connection, principal: Principal, user_id: int | None) -> Values:
        """The owner with their team and department."""
        if user_id is None:
            return {"owner_id": None, "team_id": None, "department_id": None}
        wanted = select(_USER.c.team_id, _USER.c.department_id).where(_USER.c.id == user_id)
        found = self._once(("owner", user_id), lambda: db.execute(wanted).one())
        return {"owner_id": user_id, "team_id": found.team_id, "department_id": found.department_id}

    def _rule(self, kind: Kind, old: Mapping[str, Any] | None, new: Values) -> None:
        if "check" in kind.rules:
            kind.rules["check"](old, new)

    def _compare(self, db: Connection, kind: Kind, old: Mapping[str, Any], mine: Values, version: int) -> None:
        """Raises Conflict where somebody changed since `version` what is to be changed now, to another value."""
        here = (_AUDIT.c.kind == kind.name) & (_AUDIT.c.thing_id == old["id"])
        rows = db.execute(
            select(_AUDIT.c.detail, _AUDIT.c.at, _USER.c.name).outerjoin(_USER, _USER.c.id == _AUDIT.c.user_id).where(here)
        )
        theirs, who, at = set[str](), "", 0.0
        for row in rows:
            told = json.loads(row.detail or "{}")
            if told.get("v", 0) > version:
                theirs |= set(told.get("set", {}))
                who, at = (row.name or "", row.at) if (row.at or 0) >= at else (who, at)
        both = {n for n in mine if n in theirs and mine[n] != old[n]}
        if both:
            fields = {n: {"theirs": kind.fields[n].told(old[n]), "mine": kind.fields[n].told(mine[n])} for n in sorted(both)}
            raise Conflict(
                "changed_meanwhile", "{who} changed this meanwhile.", who=who, at=at, version=old["version"], fields=fields
            )

    def put_changes(
        self, db: Connection, principal: Principal, kind: Kind, old: Mapping[str, Any], new: Values, now: float, action: str
    ) -> None:  # fmt: skip
        """Write what `changes_of` gave, with its history, in the caller's transaction."""
        version = int(old["version"]) + 1
        written = {**new, "version": version, "changed_at": now, "changed_by": principal.user_id}
        db.execute(update(kind.table).where(kind.table.c.id == old["id"]).values(written))
        told = {
            name: [kind.fields[name].told(old[name]), kind.fields[name].told(value)]
            for name, value in new.items()
            if name in kind.fields
        }
        told = {name: pair for name, pair in told.items() if name not in ("deleted_at", "deleted_by")}
        self._note(db, principal, kind, old["id"], action, now, version, told)

    def _note(
        self, db: Connection, principal: Principal, kind: Kind, record_id: int, action: str, at: float, version: int, fields: Mapping[str, Any]
    ) -> None:  # fmt: skip
        db.execute(insert(_AUDIT).values(self._noted(principal, kind, record_id, action, at, version, fields)))

    def _noted(
        self, principal: Principal, kind: Kind, record_id: int, action: str, at: float, version: int, fields: Mapping[str, Any]
    ) -> Values:  # fmt: skip
        detail = json.dumps({"v": version, "set": fields}, ensure_ascii=False)
        row = {"id": self._new_id(), "unit_id": principal.unit_id, "at": at, "user_id": principal.user_id, "action": action}
        return {**row, "kind": kind.name, "thing_id": record_id, "detail": detail}
