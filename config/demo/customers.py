"""Made-up customers with Chinese names and numbers, as many as asked for, always the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_core.entities.people import Contact, ContactPoint, Customer
from crm_core.initials import initials_of

FAMILY: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"  # fmt: skip
GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰萍红建国志海波宁云飞鑫浩宇轩梓涵欣怡佳琪雨泽晨思远嘉豪子墨"
TOWNS: Final = (("杭州", "0571"), ("宁波", "0574"), ("苏州", "0512"), ("南京", "025"), ("上海", "021"), ("合肥", "0551"), ("福州", "0591"), ("温州", "0577"))  # fmt: skip
TRADES: Final = ("机械", "精工", "建材", "电子", "食品", "纺织", "物流", "科技", "医疗", "农业")
WORDS: Final = (
    "宏远",
    "恒泰",
    "瑞丰",
    "华盛",
    "金桥",
    "新宇",
    "东方",
    "长江",
    "天成",
    "德润",
    "百川",
    "鼎盛",
    "永安",
    "星河",
    "凯达",
    "博雅",
)
TITLES: Final = ("采购经理", "设备科长", "总经理", "行政", "售后主管", "仓库主管", "财务")
MOBILES: Final = ("138", "139", "135", "136", "150", "151", "158", "159", "186", "188", "189", "177", "133", "130")
LEVELS: Final = ("VIP", "A", "A", "B", "B", "B", "C", "C", "C", "C")
BATCH: Final = 2000
Rows = tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]


def person(rng: random.Random) -> str:
    """A name."""
    return rng.choice(FAMILY) + "".join(rng.sample(GIVEN, rng.choice((1, 2, 2))))


def mobile(rng: random.Random) -> str:
    """A mobile number."""
    return rng.choice(MOBILES) + f"{rng.randrange(10**8):08}"


def _batch(rng: random.Random, unit_id: int, new_id: Callable[[], int], now: float, first: int, count: int) -> Rows:
    customers: list[dict[str, Any]] = []
    contacts: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for n in range(first, first + count):
        town, area = rng.choice(TOWNS)
        company = rng.random() < 0.55
        who = person(rng)
        name = f"{town}{rng.choice(WORDS)}{rng.choice(TRADES)}有限公司" if company else who
        made = now - rng.uniform(40, 900) * 86400
        customer_id = new_id()
        customers.append(
            {"id": customer_id, "unit_id": unit_id, "number": f"C-{n + 1:05}", "kind": "company" if company else "person", "name": name,
             "initials": initials_of(name), "level": rng.choice(LEVELS), "region": town, "industry": rng.choice(TRADES) if company else "",
             "remark": "", "created_at": made, "changed_at": made}
        )  # fmt: skip
        for k in range(rng.choice((1, 1, 2)) if company else 1):
            contact_id = new_id()
            contact = who if k == 0 else person(rng)
            contacts.append(
                {
                    "id": contact_id,
                    "unit_id": unit_id,
                    "customer_id": customer_id,
                    "name": contact,
                    "title": rng.choice(TITLES) if company else "",
                }
            )
            points.append(_point(new_id(), unit_id, customer_id, contact_id, "mobile", "+86" + mobile(rng)))
        if company:
            line = (
                f"{rng.randrange(2, 9)}{rng.randrange(10**7):07}"
                if len(area) == 4
                else f"{rng.randrange(5, 7)}{rng.randrange(10**7):07}"
            )
            points.append(_point(new_id(), unit_id, customer_id, None, "landline", "+86" + area[1:] + line))
    return customers, contacts, points


def _point(point_id: int, unit_id: int, customer_id: int, contact_id: int | None, kind: str, key: str) -> dict[str, Any]:
    written = key[3:] if kind == "mobile" else "0" + key[3:]
    return {
        "id": point_id,
        "unit_id": unit_id,
        "customer_id": customer_id,
        "contact_id": contact_id,
        "kind": kind,
        "key": key,
        "written": written,
    }


def batches(unit_id: int, new_id: Callable[[], int], now: float, count: int, seed: int = 1, first: int = 0) -> Iterator[Rows]:
    """Customers, contacts and numbers, BATCH customers at a time. One number in forty belongs to two customers."""
    rng = random.Random(seed)  # noqa: S311 - a demo, not a secret
    for start in range(first, first + count, BATCH):
        rows = _batch(rng, unit_id, new_id, now, start, min(BATCH, first + count - start))
        for point in rows[2][::40]:
            other = rng.choice(rows[0])["id"]
            if other != point["customer_id"]:
                rows[2].append({**point, "id": new_id(), "customer_id": other, "contact_id": None})
        yield rows


async def write(db: AsyncConnection, rows: Rows) -> None:
    """Write one batch."""
    for table, values in zip((Customer, Contact, ContactPoint), rows, strict=True):
        if values:
            await db.execute(insert(table), values)
