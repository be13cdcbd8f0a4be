"""The centre that is measured: thousands of signed-in agents at their seats, a dozen queues, a session cookie for each console.

Rows only, put into a database that holds the customers already; whatever an earlier run left there of people and calls is taken away
first. Nobody here has a password: the sessions are written as a sign-in would have written them.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crm_core.kernel.clock import SystemClock
from crm_core.kernel.ids import IdMaker
from crm_core.signin import digest

PBX: Final = "bench"
QUEUES: Final = 12
WRAP_UP_S: Final = 2
FIRST_SEAT: Final = 10_001
EMPTIED: Final = (
    "call_note", "call_link", "transfer", "segment", "offer", "queue_entry", "call_leg", "recording", "call", "seat_state",
    "seat_session", "user_session", "audit", "queue_agent", "inward_number", "seat", "queue", "pbx", "user_account",
)  # fmt: skip
NewId = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """What is known outside the database: each seat's queues, each seat's cookie, and numbers that call with whose they are."""

    seats: dict[str, list[str]]
    cookies: dict[str, str]
    supervisor: str
    numbers: list[tuple[str, frozenset[str]]]


def make(path: Path, agents: int, callers: int) -> Centre:
    """Write the centre into the database."""
    db = sqlite3.connect(path)
    db.executescript("pragma synchronous=off;")
    there = {row[0] for row in db.execute("select name from sqlite_master where type = 'table'")}
    for table in EMPTIED:
        if table in there:
            db.execute(f"delete from {table}")  # noqa: S608
    made = _Maker(db)
    centre = Centre(seats=made.seats(agents), cookies=made.cookies, supervisor=made.supervisor(), numbers=numbers_of(db, callers))
    db.commit()
    db.executescript("pragma wal_checkpoint(truncate);")
    db.close()
    return centre


def numbers_of(db: sqlite3.Connection, count: int) -> list[tuple[str, frozenset[str]]]:
    """Numbers from all over the customers as a trunk would send them, with the customers they belong to; one in ten is nobody's."""
    low, high = db.execute("select min(id), max(id) from contact_point").fetchone()
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for n in range(count):
        (key,) = db.execute(
            "select key from contact_point where id >= ? order by id limit 1", (low + (high - low) * n // count,)
        ).fetchone()
        if n % 10 == 9:
            key = f"+86191{n:08}"
        owners = db.execute("select distinct customer_id from contact_point where key = ?", (key,)).fetchall()
        national = key[3:] if key[3] == "1" and len(key) == 14 else "0" + key[3:]
        found[key] = ((key, national, "0086" + key[3:])[n % 3], frozenset(str(row[0]) for row in owners))
    return list(found.values())


class _Maker:
    """Writes rows."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self._new_id = db, IdMaker(SystemClock())
        self._now = time.time()
        self._unit = db.execute("select id from unit").fetchone()[0]
        self.cookies: dict[str, str] = {}

    def _put(self, table: str, **row: Any) -> int:
        row = {"id": self._new_id(), "unit_id": self._unit, **row}
        names, marks = ",".join(row), ",".join("?" * len(row))
        self._db.execute(f"insert into {table} ({names}) values ({marks})", tuple(row.values()))  # noqa: S608
        return int(row["id"])

    def seats(self, agents: int) -> dict[str, list[str]]:
        """Queues, seats, agents in two queues each, everybody signed in and ready; the queues of each seat."""
        pbx = self._put("pbx", name=PBX)
        queues = [
            self._put("queue", pbx_id=pbx, name=f"q{n:02}", title=f"队列 {n}", strategy="rrmemory", ring_s=15, max_wait_s=600,
                      wrap_up_s=WRAP_UP_S, sl_threshold_s=20, short_abandon_s=5)
            for n in range(QUEUES)
        ]  # fmt: skip
        found = {}
        for n in range(agents):
            extension, mine = str(FIRST_SEAT + n), (n % QUEUES, (n // QUEUES + n + 1) % QUEUES)
            mine = mine if mine[0] != mine[1] else (mine[0], (mine[0] + 1) % QUEUES)
            self._sit(pbx, extension, n, [queues[q] for q in mine])
            found[extension] = [f"q{q:02}" for q in mine]
        return found

    def _sit(self, pbx: int, extension: str, n: int, queues: list[int]) -> None:
        seat = self._put("seat", pbx_id=pbx, extension=extension, name=extension, phone="desk", secret="")
        user = self._person(f"agent{n}", f"坐席 {n}", "agent")
        for queue in queues:
            self._put("queue_agent", queue_id=queue, user_id=user)
        self._put("seat_session", pbx_id=pbx, user_id=user, seat_id=seat, extension=extension, phone="desk", signed_in_at=self._now)
        self.cookies[extension] = self._session(user)

    def supervisor(self) -> str:
        """Somebody who watches the floor; the cookie."""
        return self._session(self._person("supervisor", "班长", "supervisor"))

    def _person(self, login: str, name: str, role: str) -> int:
        return self._put("user_account", login=login, name=name, role=role, password_hash="!", created_at=self._now)  # noqa: S106

    def _session(self, user: int) -> str:
        cookie = secrets.token_urlsafe(32)
        self._put("user_session", user_id=user, token_hash=digest(cookie), csrf=secrets.token_urlsafe(24), created_at=self._now,
                  seen_at=self._now, ends_at=self._now + 86_400)  # fmt: skip
        return cookie
