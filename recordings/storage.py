"""The table of recordings: one row a call that was, or should have been, recorded."""

from __future__ import annotations

from sqlalchemy import Float, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.kernel.db import Id, UnitRow, instant, text


class Recording(UnitRow):
    """A two-channel sound file of one call: left the outside party, right the seat. `path` is below the recordings folder.

    `state`: stored (file there, checksum known), missing (a rule asked for it and there
    is none; `why` says what is known), none (no rule asked for it).
    """

    __tablename__ = "recording"
    __table_args__ = (UniqueConstraint("call_id"), Index(None, "unit_id", "state", "at"))
    pbx_id: Mapped[int] = mapped_column(Id, nullable=False)
    call_id: Mapped[int] = mapped_column(Id, nullable=False)
    at: Mapped[float | None] = instant()
    state: Mapped[str] = text(10)
    why: Mapped[str] = text(120)
    path: Mapped[str] = text(200)
    bytes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    sha256: Mapped[str] = text(64)
    duration_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    expected_s: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
