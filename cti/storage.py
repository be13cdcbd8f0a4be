"""The tables of telephony: PBXs, seats, queues, who sat where, and the books of finished calls.

Rows carry their business unit and PBX. The PBX's own identifiers are unique by (PBX, boot epoch, identifier). `day` is the local
date in the unit's time zone at which a fact counts, kept with the fact, as is the zone itself. Instants are UTC seconds.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Float, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.kernel.db import Id, UnitRow, instant, text


class Pbx(UnitRow):
    """A PBX that Lingxi watches; how it is reached stands in the settings under the same name."""

    __tablename__ = "pbx"
    __table_args__ = (UniqueConstraint("name"),)
    name: Mapped[str] = text(40)
    position: Mapped[str] = text(200)  # how far its journal has been taken into the books
    epoch: Mapped[str] = text(80)


class PbxRow(UnitRow):
    """A row that belongs to a PBX."""

    __abstract__ = True
    pbx_id: Mapped[int] = mapped_column(Id, ForeignKey("pbx.id"), nullable=False)


class Seat(PbxRow):
    """A workplace with an extension. `phone` is browser or desk."""

    __tablename__ = "seat"
    __table_args__ = (UniqueConstraint("pbx_id", "extension"),)
    extension: Mapped[str] = text(12)
    name: Mapped[str] = text(60)
    phone: Mapped[str] = text(10)
    secret: Mapped[str] = text(64)  # of a desk phone; a browser phone gets a fresh one each time somebody sits down
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default="1")


class Queue(PbxRow):
    """A waiting line for a skill, with its rules. Durations in seconds."""

    __tablename__ = "queue"
    __table_args__ = (UniqueConstraint("pbx_id", "name"),)
    name: Mapped[str] = text(40)
    title: Mapped[str] = text(60)
    title_en: Mapped[str] = text(60)
    strategy: Mapped[str] = text(20)
    ring_s: Mapped[int] = mapped_column(Integer, default=15)
    max_wait_s: Mapped[int] = mapped_column(Integer, default=300)
    wrap_up_s: Mapped[int] = mapped_column(Integer, default=30)
    sl_threshold_s: Mapped[int] = mapped_column(Integer, default=20)
    short_abandon_s: Mapped[int] = mapped_column(Integer, default=5)
    record: Mapped[bool] = mapped_column(Boolean, default=True, server_default="1")


class QueueAgent(UnitRow):
    """An agent who takes calls of a queue wherever they sit."""

    __tablename__ = "queue_agent"
    __table_args__ = (UniqueConstraint("queue_id", "user_id"), Index(None, "user_id"))
    queue_id: Mapped[int] = mapped_column(Id, ForeignKey("queue.id"), nullable=False)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("user_account.id"), nullable=False)
    penalty: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class InwardNumber(PbxRow):
    """A number of the centre and the queue its callers wait in."""

    __tablename__ = "inward_number"
    __table_args__ = (UniqueConstraint("pbx_id", "number"),)
    number: Mapped[str] = text(24)
    queue_id: Mapped[int] = mapped_column(Id, ForeignKey("queue.id"), nullable=False)


class PauseReason(UnitRow):
    """A reason to be paused, with its words and its limit (0 = none)."""

    __tablename__ = "pause_reason"
    __table_args__ = (UniqueConstraint("unit_id", "code"),)
    code: Mapped[str] = text(20)
    title: Mapped[str] = text(40)
    title_en: Mapped[str] = text(40)
    limit_s: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    position: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class SeatSession(PbxRow):
    """Who sat where from when to when, and what they intend now (the half of the seat's state that is ours)."""

    __tablename__ = "seat_session"
    __table_args__ = (Index(None, "user_id", "signed_in_at"), Index(None, "signed_out_at"))
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("user_account.id"), nullable=False)
    seat_id: Mapped[int] = mapped_column(Id, ForeignKey("seat.id"), nullable=False)
    extension: Mapped[str] = text(12)
    phone: Mapped[str] = text(10)
    secret: Mapped[str] = text(64)
    address: Mapped[str] = text(64)
    signed_in_at: Mapped[float | None] = instant()
    signed_out_at: Mapped[float | None] = instant()
    ended_by: Mapped[str] = text(20)  # agent, taken_over, supervisor, lease
    pause_reason: Mapped[str] = text(20)  # "" = wants calls
    next_state: Mapped[str] = text(10)
    next_reason: Mapped[str] = text(20)
    wrap_up_call: Mapped[int | None] = mapped_column(Id)
    wrap_up_from: Mapped[float | None] = instant()
    wrap_up_ends: Mapped[float | None] = instant()


class SeatState(PbxRow):
    """One interval of one seat state: half open, never overlapping within a session."""

    __tablename__ = "seat_state"
    __table_args__ = (Index(None, "unit_id", "day", "user_id"), Index(None, "session_id", "from_at"))
    session_id: Mapped[int] = mapped_column(Id, ForeignKey("seat_session.id"), nullable=False)
    user_id: Mapped[int] = mapped_column(Id, nullable=False)
    state: Mapped[str] = text(12)
    reason: Mapped[str] = text(20)
    call_id: Mapped[int | None] = mapped_column(Id)
    from_at: Mapped[float | None] = instant()
    to_at: Mapped[float | None] = instant()
    day: Mapped[str] = text(10)
    zone: Mapped[str] = text(40)


class Call(PbxRow):
    """A finished call."""

    __tablename__ = "call"
    __table_args__ = (
        UniqueConstraint("pbx_id", "epoch", "pbx_call_id"),
        Index(None, "unit_id", "day", "started_at"),
        Index(None, "unit_id", "caller_key", "started_at"),
        Index(None, "unit_id", "number"),
    )
    epoch: Mapped[str] = text(80)
    pbx_call_id: Mapped[str] = text(80)
    number: Mapped[str] = text(24)  # the display number, given later by a worker
    direction: Mapped[str] = text(10)
    caller: Mapped[str] = text(60)
    caller_name: Mapped[str] = text(120)
    caller_key: Mapped[str] = text(40)
    dialed: Mapped[str] = text(60)
    started_at: Mapped[float | None] = instant()
    answered_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    outcome: Mapped[str] = text(20)
    queue: Mapped[str] = text(40)  # the first queue it waited in
    user_id: Mapped[int | None] = mapped_column(Id)  # the agent who talked last
    talk_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    unobserved: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    rebuilt: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    day: Mapped[str] = text(10)
    zone: Mapped[str] = text(40)


class CallLeg(PbxRow):
    """One party's connection in a call."""

    __tablename__ = "call_leg"
    __table_args__ = (Index(None, "call_id"),)
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    pbx_leg_id: Mapped[str] = text(80)
    party: Mapped[str] = text(10)
    endpoint: Mapped[str] = text(60)
    number: Mapped[str] = text(60)
    user_id: Mapped[int | None] = mapped_column(Id)
    started_at: Mapped[float | None] = instant()
    rang_at: Mapped[float | None] = instant()
    answered_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    hangup_cause: Mapped[int | None] = mapped_column(Integer)


class QueueEntry(PbxRow):
    """One wait of one call in one queue; counts on the day it began."""

    __tablename__ = "queue_entry"
    __table_args__ = (Index(None, "unit_id", "day", "queue"), Index(None, "call_id"))
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    queue: Mapped[str] = text(40)
    joined_at: Mapped[float | None] = instant()
    left_at: Mapped[float | None] = instant()
    wait_s: Mapped[float | None] = mapped_column(Float)
    outcome: Mapped[str] = text(20)
    sl_threshold_s: Mapped[int] = mapped_column(Integer, default=20)
    short_abandon_s: Mapped[int] = mapped_column(Integer, default=5)
    user_id: Mapped[int | None] = mapped_column(Id)  # who answered
    day: Mapped[str] = text(10)
    zone: Mapped[str] = text(40)


class Offer(PbxRow):
    """One seat rung for one queue entry."""

    __tablename__ = "offer"
    __table_args__ = (Index(None, "unit_id", "day", "user_id"), Index(None, "call_id"))
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    entry_id: Mapped[int | None] = mapped_column(Id)
    queue: Mapped[str] = text(40)
    extension: Mapped[str] = text(12)
    user_id: Mapped[int | None] = mapped_column(Id)
    started_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    result: Mapped[str] = text(20)
    day: Mapped[str] = text(10)
    zone: Mapped[str] = text(40)


class Segment(PbxRow):
    """Who talked with whom; `user_id` is the agent in it. `acw_s` is the wrap-up that followed, once it is over."""

    __tablename__ = "segment"
    __table_args__ = (Index(None, "unit_id", "day", "user_id"), Index(None, "call_id"))
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    leg_a: Mapped[int] = mapped_column(Id, nullable=False)
    leg_b: Mapped[int] = mapped_column(Id, nullable=False)
    queue: Mapped[str] = text(40)
    extension: Mapped[str] = text(12)
    user_id: Mapped[int | None] = mapped_column(Id)
    started_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    talk_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    hold_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    acw_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    day: Mapped[str] = text(10)
    zone: Mapped[str] = text(40)


class Transfer(PbxRow):
    """One passing-on of a call."""

    __tablename__ = "transfer"
    __table_args__ = (Index(None, "call_id"),)
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    kind: Mapped[str] = text(10)
    by: Mapped[str] = text(60)
    to: Mapped[str] = text(60)
    result: Mapped[str] = text(12)
    at: Mapped[float | None] = instant()


class CallNote(UnitRow):
    """What an agent wrote during or after a call: one text per call and person."""

    __tablename__ = "call_note"
    __table_args__ = (UniqueConstraint("call_id", "user_id"),)
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    user_id: Mapped[int] = mapped_column(Id, nullable=False)
    text: Mapped[str] = mapped_column(Text, default="", server_default="")
    changed_at: Mapped[float | None] = instant()


class CallLink(UnitRow):
    """A call belongs to a thing of the business (a customer, later a ticket)."""

    __tablename__ = "call_link"
    __table_args__ = (UniqueConstraint("call_id", "kind", "thing_id"), Index(None, "kind", "thing_id", "at"))
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    kind: Mapped[str] = text(20)
    thing_id: Mapped[int] = mapped_column(Id, nullable=False)
    at: Mapped[float | None] = instant()
    made_by: Mapped[str] = text(10)  # number, agent
