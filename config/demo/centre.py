"""The demo's call centre: its people, seats, queues and numbers, as rows. What happened there is `history`, its customers `customers`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from config.accounts import make_person, make_unit
from crm_core.entities.org import Team
from crm_core.kernel.access import ADMINISTRATOR, AGENT, REVIEWER, SUPERVISOR
from cti.storage import InwardNumber, PauseReason, Pbx, Queue, QueueAgent, Seat

NewId = Callable[[], int]
PBX_NAME: Final = "demo"
UNIT_NAME: Final = "铃席示范中心"
TEAMS: Final = ("一组", "二组")
AGENTS: Final = (
    ("wang", "王小明", 0, ("support", "vip")),
    ("li", "李娜", 0, ("support", "vip")),
    ("zhao", "赵磊", 0, ("support",)),
    ("sun", "孙悦", 0, ("support", "parts")),
    ("zhou", "周航", 1, ("support", "parts")),
    ("wu", "吴倩", 1, ("parts",)),
    ("zheng", "郑凯", 1, ("parts", "support")),
    ("feng", "冯雪", 1, ("parts",)),
)
OTHERS: Final = (("zhang", "张敏", SUPERVISOR), ("qian", "钱进", REVIEWER), ("admin", "管理员", ADMINISTRATOR))
BY_HAND: Final = ("wang", "li")
"""The agents that people play; the others sit at desk phones that answer by themselves."""
QUEUES: Final = (
    ("support", "售后一线", "After-sales", "rrmemory", 15, 20),
    ("parts", "配件咨询", "Parts", "leastrecent", 15, 20),
    ("vip", "VIP 专线", "VIP line", "linear", 12, 10),
)
NUMBERS: Final = (("057188000001", "support"), ("057188000002", "parts"), ("4008880000", "vip"))
BROWSER_SEATS: Final = tuple(str(n) for n in range(8001, 8005))
DESK_SEATS: Final = tuple(str(n) for n in range(8011, 8017))
PAUSES: Final = (
    ("lunch", "用餐", "Lunch", 1800),
    ("rest", "小憩", "Short break", 600),
    ("training", "培训", "Training", 0),
    ("meeting", "会议", "Meeting", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """What was made. `passwords` by login: known only at this moment."""

    unit_id: int
    pbx_id: int
    passwords: dict[str, str]


async def find_centre(db: AsyncConnection) -> tuple[int, int] | None:
    """The unit and PBX of the demo in this database, None where it was not made."""
    row = (await db.execute(select(Pbx.unit_id, Pbx.id).where(Pbx.name == PBX_NAME))).first()
    return None if row is None else (row[0], row[1])


async def make_centre(db: AsyncConnection, new_id: NewId, now: float) -> Centre:
    """Make the demo's centre."""
    unit_id = await make_unit(db, new_id, name=UNIT_NAME, zone="Asia/Shanghai", area_code="0571")
    pbx_id = new_id()
    await db.execute(insert(Pbx).values(id=pbx_id, unit_id=unit_id, name=PBX_NAME))
    base = {"unit_id": unit_id, "pbx_id": pbx_id}
    teams = [new_id() for _ in TEAMS]
    await db.execute(insert(Team), [{"id": i, "unit_id": unit_id, "name": n} for i, n in zip(teams, TEAMS, strict=True)])
    queues = {q[0]: new_id() for q in QUEUES}
    await db.execute(
        insert(Queue),
        [
            {**base, "id": queues[name], "name": name, "title": title, "title_en": english, "strategy": strategy, "ring_s": ring_s,
             "max_wait_s": 600, "wrap_up_s": 20, "sl_threshold_s": threshold, "short_abandon_s": 5, "record": True}
            for name, title, english, strategy, ring_s, threshold in QUEUES
        ],
    )  # fmt: skip
    await db.execute(insert(InwardNumber), [{**base, "id": new_id(), "number": n, "queue_id": queues[q]} for n, q in NUMBERS])
    await db.execute(
        insert(Seat),
        [_seat(base, new_id(), e, "browser") for e in BROWSER_SEATS] + [_seat(base, new_id(), e, "desk") for e in DESK_SEATS],
    )
    await db.execute(
        insert(PauseReason),
        [
            {"id": new_id(), "unit_id": unit_id, "code": c, "title": t, "title_en": e, "limit_s": s, "position": n}
            for n, (c, t, e, s) in enumerate(PAUSES)
        ],
    )
    passwords = {login: secrets.token_urlsafe(7) for login in [a[0] for a in AGENTS] + [o[0] for o in OTHERS]}
    for login, name, team, of in AGENTS:
        user_id = await make_person(
            db, new_id, unit_id, login=login, name=name, role=AGENT, password=passwords[login], now=now, team_id=teams[team]
        )
        await db.execute(
            insert(QueueAgent), [{"id": new_id(), "unit_id": unit_id, "queue_id": queues[q], "user_id": user_id} for q in of]
        )
    for login, name, role in OTHERS:
        await make_person(db, new_id, unit_id, login=login, name=name, role=role, password=passwords[login], now=now)
    return Centre(unit_id=unit_id, pbx_id=pbx_id, passwords=passwords)


def _seat(base: dict[str, int], seat_id: int, extension: str, phone: str) -> dict[str, object]:
    where = "一楼" if phone == "browser" else "二楼"
    secret = secrets.token_urlsafe(16) if phone == "desk" else ""
    return {
        **base,
        "id": seat_id,
        "extension": extension,
        "name": f"{where} {extension}",
        "phone": phone,
        "secret": secret,
        "active": True,
    }
