"""Made-up products, tickets, follow-ups and tasks of the demo's centre: enough that every list, stage and colour has something to show."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.org import Audit, User
from crm_core.entities.people import Customer
from crm_core.entities.work import FollowUp, Product, Task, Ticket
from crm_core.initials import initials_of
from crm_core.records import document_numbers
from crm_core.records.storage import DictionaryOption, DocumentNumber, ImportedRecord, ImportJob, RecordComment, SavedView

DAY_S: Final = 86400
PRODUCTS: Final = (
    ("立式加工中心 V850", "machine", "台", 38_600_000), ("数控车床 T40", "machine", "台", 21_800_000), ("主轴单元 BT40", "part", "套", 2_480_000),
    ("主轴轴承 7014C", "part", "对", 186_000), ("刀库链条", "part", "条", 92_000), ("液压站滤芯", "part", "个", 12_800),
    ("切削液 20L", "part", "桶", 36_500), ("年度保养", "service", "次", 680_000), ("上门维修", "service", "次", 120_000), ("操作培训", "service", "天", 250_000),
)  # fmt: skip
TROUBLES: Final = (
    ("主轴 3000 转以上有异响", "fault"), ("换刀卡顿，报警 2041", "fault"), ("发票抬头写错了", "invoice"), ("配件还没到货", "delivery"),
    ("询问年度保养价格", "question"), ("希望增加周末上门", "wish"), ("液压站漏油", "fault"), ("操作手册打不开", "question"),
)  # fmt: skip
TALKS: Final = (
    ("介绍了年度保养套餐", "think"), ("确认设备到货时间", ""), ("回访维修结果，客户满意", ""), ("询问明年采购计划", "interested"), ("未接通，改天再联系", "not_reached"),
)  # fmt: skip
ERRANDS: Final = ("整理本周投诉原因", "给 VIP 客户打回访电话", "更新配件价目表", "准备周一例会材料", "核对未开发票")
STAGES: Final = ("new", "new", "working", "working", "waiting", "solved", "closed", "closed")


async def write(db: AsyncConnection, unit_id: int, new_id: Callable[[], int], now: float, zone: str) -> None:
    """Write them all; the counts of document numbers go on after them."""
    rng = random.Random(7)  # noqa: S311 - a demo, not a secret
    people = (await db.execute(select(User).where(User.unit_id == unit_id, User.active).order_by(User.id))).mappings().all()
    wanted = select(Customer.id).where(Customer.unit_id == unit_id).order_by(Customer.id).limit(120)
    customers = list((await db.execute(wanted)).scalars())
    agents = [one for one in people if one["role"] == "agent"]
    boss = next(one for one in people if one["role"] == "supervisor")

    def base(who: Any, at: float) -> dict[str, Any]:
        made = {"id": new_id(), "unit_id": unit_id, "version": 1, "created_at": at, "changed_at": at}
        return {**made, "created_by": who["id"], "changed_by": who["id"]}

    def owned(who: Any, at: float) -> dict[str, Any]:
        return {**base(who, at), "owner_id": who["id"], "team_id": who["team_id"], "department_id": who["department_id"]}

    products = [
        {**base(boss, now - 90 * DAY_S), "number": f"P-{n:05}", "name": name, "initials": initials_of(name), "category": category, "unit": unit,
         "price": price, "cost": price * 6 // 10, "on_sale": True}
        for n, (name, category, unit, price) in enumerate(PRODUCTS, 1)
    ]  # fmt: skip
    tickets, counts = [], dict[str, int]()
    for n in range(48):
        at = now - (48 - n) * 0.6 * DAY_S
        subject, kind = TROUBLES[n % len(TROUBLES)]
        stage, who = STAGES[rng.randrange(len(STAGES))], rng.choice(agents)
        period = document_numbers.period_of(Ticket.entity.number, at, zone)
        counts[period] = counts.get(period, 0) + 1
        number = document_numbers.written(Ticket.entity.number, counts[period], at, zone)
        tickets.append(
            {**owned(who, at), "number": number, "subject": subject, "kind": kind, "stage": stage, "stage_at": at, "customer_id": rng.choice(customers),
             "priority": rng.choice(("urgent", "high", "normal", "normal", "low")), "description": f"客户来电反映：{subject}。",
             "solution": "已处理，客户确认。" if stage in ("solved", "closed") else "", "due_at": at + 3 * DAY_S}
        )  # fmt: skip
    follow_ups = []
    for n in range(60):
        at, (subject, result) = now - (60 - n) * 0.5 * DAY_S, TALKS[n % len(TALKS)]
        due = (datetime.fromtimestamp(at, UTC) + timedelta(days=rng.randrange(7, 40))).date().isoformat()
        follow_ups.append(
            {**owned(rng.choice(agents), at), "subject": subject, "result": result, "kind": rng.choice(("call", "call", "visit", "mail")),
             "customer_id": rng.choice(customers), "next_on": due if n % 3 else None}
        )  # fmt: skip
    tasks = [
        {**owned(agents[n % len(agents)] if n % 3 else boss, now - (14 - n) * DAY_S), "subject": ERRANDS[n % len(ERRANDS)], "stage": ("open", "doing", "done")[n % 3],
         "stage_at": now - (14 - n) * DAY_S, "priority": "normal", "due_at": now + (n - 5) * DAY_S}
        for n in range(14)
    ]  # fmt: skip
    for table, rows in ((Product, products), (Ticket, tickets), (FollowUp, follow_ups), (Task, tasks)):
        await db.execute(insert(table), rows)
        made = [_history(new_id(), table.entity.name, row) for row in rows]
        await db.execute(insert(Audit), made)
    numbers = [("ticket", period, last) for period, last in counts.items()] + [("product", "", len(products))]
    await db.execute(
        insert(DocumentNumber), [{"id": new_id(), "unit_id": unit_id, "kind": k, "period": p, "last": n} for k, p, n in numbers]
    )
    said = {
        "id": new_id(),
        "unit_id": unit_id,
        "kind": "ticket",
        "record_id": tickets[-1]["id"],
        "at": now - 3600,
        "user_id": boss["id"],
    }
    await db.execute(insert(RecordComment).values(**said, text="请今天之内联系客户。"))
    view = {"id": new_id(), "unit_id": unit_id, "kind": "ticket", "user_id": boss["id"], "name": "紧急未结", "shared": True}
    await db.execute(insert(SavedView).values(**view, query="priority=urgent&stage=new,working,waiting"))
    option = {
        "id": new_id(),
        "unit_id": unit_id,
        "list": "ticket_kind",
        "key": "warranty",
        "zh": "保修",
        "en": "Warranty",
        "tone": "teal",
        "place": 6,
    }
    await db.execute(insert(DictionaryOption).values(option))
    job = {
        "id": new_id(), "unit_id": unit_id, "kind": "product", "user_id": boss["id"], "name": "产品目录.xlsx", "state": "done", "made_at": now - 3600, "ended_at": now - 3590,
        "rows": len(products), "done": len(products), "made": len(products), "reading": '{"format":"xlsx"}', "wrong": "[]",
    }  # fmt: skip
    await db.execute(insert(ImportJob).values(job))
    made = [{"id": new_id(), "unit_id": unit_id, "job_id": job["id"], "record_id": row["id"]} for row in products]
    await db.execute(insert(ImportedRecord), made)


def _history(audit_id: int, kind: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": audit_id, "unit_id": row["unit_id"], "at": row["created_at"], "user_id": row["created_by"], "action": "create", "kind": kind,
        "thing_id": row["id"], "detail": json.dumps({"v": 1, "set": {}}),
    }  # fmt: skip
