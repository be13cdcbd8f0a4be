"""From the rows of seats, queues and numbers to the plan that a PBX's configuration is rendered from. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from crm_core.kernel.db import Database
from cti.pbx.asterisk.provision import Login, NumberPlan, OutgoingPlan, OwnPlan, PbxPlan, QueuePlan, TrunkPlan
from cti.pbx.asterisk.provision import Seat as SeatPlan
from cti.storage import InwardNumber, Pbx, Queue, Seat


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the database does not know of a PBX: its logins, trunks, way out, and its folders where it is ours."""

    manager: Login
    ari: Login
    trunks: tuple[TrunkPlan, ...]
    outgoing: OutgoingPlan | None = None
    own: OwnPlan | None = None
    two_channel: bool = True  # whether its MixMonitor writes both sides into one file


async def plan_of(database: Database, pbx_id: int, around: Surroundings) -> PbxPlan:
    """The plan of one PBX. Raises BadPlan where a row holds something that can't stand in a configuration."""
    async with database.read() as db:
        name = (await db.execute(select(Pbx.name).where(Pbx.id == pbx_id))).scalar_one()
        seats = (
            (await db.execute(select(Seat.__table__).where(Seat.pbx_id == pbx_id, Seat.active).order_by(Seat.extension)))
            .mappings()
            .all()
        )
        queues = (await db.execute(select(Queue.__table__).where(Queue.pbx_id == pbx_id).order_by(Queue.id))).mappings().all()
        numbers = await db.execute(
            select(InwardNumber.number, Queue.name)
            .join(Queue, Queue.id == InwardNumber.queue_id)
            .where(InwardNumber.pbx_id == pbx_id)
        )
        return PbxPlan(
            name=name,
            manager=around.manager,
            ari=around.ari,
            seats=tuple(
                SeatPlan(extension=s["extension"], name=s["name"], browser=s["phone"] == "browser", secret="" if s["phone"] == "browser" else s["secret"])
                for s in seats
            ),
            queues=tuple(
                QueuePlan(
                    name=q["name"], title=q["title"], strategy=q["strategy"], ring_s=q["ring_s"], max_wait_s=q["max_wait_s"],
                    service_level_s=q["sl_threshold_s"], record=q["record"],
                )
                for q in queues
            ),
            numbers=tuple(NumberPlan(number=n.number, queue=n.name) for n in numbers),
            trunks=around.trunks,
            outgoing=around.outgoing,
            own=around.own,
            two_channel=around.two_channel,
        )  # fmt: skip
