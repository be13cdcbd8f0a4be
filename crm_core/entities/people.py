"""Customers, their contacts, and the numbers and addresses these are reached at."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.kernel.db import Id, UnitRow, instant, text


class Customer(UnitRow):
    """A company or a person the unit deals with. `initials` are the pinyin initials of the name, for search."""

    __tablename__ = "customer"
    __table_args__ = (
        Index(None, "unit_id", "name"),
        Index(None, "unit_id", "initials"),
        Index(None, "unit_id", "created_at"),
        Index(None, "unit_id", "number"),
    )
    number: Mapped[str] = text(24)
    kind: Mapped[str] = text(10)  # company, person
    name: Mapped[str] = text(120)
    initials: Mapped[str] = text(60)
    level: Mapped[str] = text(10)
    region: Mapped[str] = text(40)
    industry: Mapped[str] = text(40)
    remark: Mapped[str] = mapped_column(Text, default="", server_default="")
    owner_id: Mapped[int | None] = mapped_column(Id, ForeignKey("user_account.id"))
    team_id: Mapped[int | None] = mapped_column(Id, ForeignKey("team.id"))
    created_at: Mapped[float | None] = instant()
    changed_at: Mapped[float | None] = instant()
    last_contact_at: Mapped[float | None] = instant()


class Contact(UnitRow):
    """A person at a customer (the customer itself, where it is a person)."""

    __tablename__ = "contact"
    __table_args__ = (Index(None, "customer_id"),)
    customer_id: Mapped[int] = mapped_column(Id, ForeignKey("customer.id"), nullable=False)
    name: Mapped[str] = text(80)
    title: Mapped[str] = text(60)


class ContactPoint(UnitRow):
    """One number of a customer or contact. `key` is what numbers are matched by: E.164, or digits only for odd ones."""

    __tablename__ = "contact_point"
    __table_args__ = (Index(None, "unit_id", "key"), Index(None, "customer_id"))
    customer_id: Mapped[int] = mapped_column(Id, ForeignKey("customer.id"), nullable=False)
    contact_id: Mapped[int | None] = mapped_column(Id, ForeignKey("contact.id"))
    kind: Mapped[str] = text(10)  # mobile, landline, other
    key: Mapped[str] = text(40)
    written: Mapped[str] = text(40)  # as somebody wrote it
