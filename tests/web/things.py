"""Things that belong to somebody, made for tests of rights: a finished call with a recording for each person, and whose customer is whose."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from crm_core.entities.org import User
from crm_core.entities.people import Customer
from crm_core.records.entity import Kind
from crm_core.records.storage import ImportJob
from cti.storage import Call, CallLeg, CallNote, Offer, QueueEntry, Segment
from recordings.audio import store_raw
from recordings.storage import Recording
from tests.web.program import NOON, TODAY, Running

CALLER = "13711112222"
SECONDS = 2


def sound(folder: Path, name: str, seconds: float = SECONDS) -> Path:
    """A two-channel sound file of that name in a folder."""
    raw = folder / f"{name}.raw"
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_bytes(bytes(range(256)) * int(seconds * 8000 * 4 // 256))
    store_raw(raw, folder / name)
    raw.unlink()
    return folder / name


async def call_of(
    running: Running,
    login: str,
    *,
    caller: str = CALLER,
    caller_name: str = "",
    dialed: str = "057188000001",
    recorded: bool = True,
) -> int:
    """A finished, answered, recorded call in which somebody talked; its identifier."""
    program = running.program
    user = await running.one(select(User.id, User.unit_id).where(User.login == login))
    line = next(x for x in program.lines.values() if x.unit_id == user["unit_id"])
    call_id, entry_id = program.new_id(), program.new_id()
    base: dict[str, Any] = {"unit_id": user["unit_id"], "pbx_id": line.pbx_id}
    counted = {**base, "call_id": call_id, "day": TODAY, "zone": "Asia/Shanghai"}
    name = f"{user['unit_id']}/{call_id}.wav"
    file = sound(program.settings.recordings.folder, name)
    async with program.database.begin() as db:
        call = {
            "direction": "inbound",
            "caller": caller,
            "caller_name": caller_name,
            "caller_key": f"+86{caller}",
            "dialed": dialed,
        }
        times = {"started_at": NOON - 60, "answered_at": NOON - 50, "ended_at": NOON - 10}
        await db.execute(insert(Call).values(
            **base, **call, **times, id=call_id, epoch="made", pbx_call_id=str(call_id), outcome="answered", user_id=user["id"], talk_s=40.0,
            queue="support", day=TODAY, zone="Asia/Shanghai",
        ))  # fmt: skip
        await db.execute(
            insert(CallLeg).values(
                **base, id=program.new_id(), call_id=call_id, pbx_leg_id="a", party="trunk", endpoint="carrier", number=caller
            )
        )
        await db.execute(insert(QueueEntry).values(
            **counted, id=entry_id, queue="support", joined_at=NOON - 58, left_at=NOON - 50, wait_s=8.0, outcome="answered", user_id=user["id"]
        ))  # fmt: skip
        await db.execute(insert(Offer).values(
            **counted, id=program.new_id(), entry_id=entry_id, queue="support", extension="8001", user_id=user["id"], result="answered",
            started_at=NOON - 55, ended_at=NOON - 50,
        ))  # fmt: skip
        await db.execute(insert(Segment).values(
            **counted, id=program.new_id(), leg_a=1, leg_b=2, queue="support", extension="8001", user_id=user["id"], started_at=NOON - 50,
            ended_at=NOON - 10, talk_s=40.0,
        ))  # fmt: skip
        if recorded:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            await db.execute(insert(Recording).values(
                **base, id=program.new_id(), call_id=call_id, at=NOON - 50, state="stored", path=name, bytes=file.stat().st_size, sha256=digest,
                duration_s=float(SECONDS), expected_s=float(SECONDS),
            ))  # fmt: skip
    return call_id


async def note_of(running: Running, login: str, call_id: int, text: str) -> None:
    """What somebody wrote on a call."""
    user = await running.one(select(User.id, User.unit_id).where(User.login == login))
    row = {"id": running.program.new_id(), "unit_id": user["unit_id"], "call_id": call_id, "user_id": user["id"], "text": text}
    async with running.program.database.begin() as db:
        await db.execute(insert(CallNote).values(row))


async def customer_called(running: Running, name: str) -> int:
    """A customer by name."""
    return int((await running.one(select(Customer.id).where(Customer.name == name)))["id"])


async def record_of(running: Running, kind: Kind, login: str) -> str:
    """A record of that kind in the person's unit, theirs where it can be somebody's; its identifier."""
    user = await running.one(select(User.id, User.unit_id, User.team_id).where(User.login == login))
    row: dict[str, Any] = {
        "id": running.program.new_id(),
        "unit_id": user["unit_id"],
        kind.entity.title: f"{login}'s",
        "created_at": NOON,
    }
    if kind.has("owner_id"):
        row |= {"owner_id": user["id"], "team_id": user["team_id"]}
    if kind.has("stage"):
        row["stage"] = next(iter(kind.entity.flow))
    async with running.program.database.begin() as db:
        await db.execute(insert(kind.table).values(**row, changed_at=NOON))
    return str(row["id"])


async def import_of(running: Running, kind: Kind, login: str) -> str:
    """An import of this kind that somebody made; its identifier."""
    program = running.program
    user = await running.one(select(User.id, User.unit_id).where(User.login == login))
    row = {"id": program.new_id(), "unit_id": user["unit_id"], "user_id": user["id"], "kind": kind.name, "state": "done"}
    async with program.database.begin() as db:
        await db.execute(insert(ImportJob).values(**row, name="x.csv", made_at=NOON, ended_at=NOON))
    return str(row["id"])
