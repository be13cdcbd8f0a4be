"""Organisation: business units, departments, teams, people who sign in, their rights, sessions, tokens and the audit log."""

from __future__ import annotations

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.kernel.db import Base, Id, UnitRow, instant, text


class Unit(Base):
    """A business unit. Units can't see one another's data. Days are counted in its time zone."""

    __tablename__ = "unit"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    name: Mapped[str] = text(80)
    time_zone: Mapped[str] = text(40)
    home_region: Mapped[str] = text(2)
    area_code: Mapped[str] = text(8)


class Department(UnitRow):
    """A node of the unit's tree of departments."""

    __tablename__ = "department"
    parent_id: Mapped[int | None] = mapped_column(Id, ForeignKey("department.id"))
    name: Mapped[str] = text(80)


class Team(UnitRow):
    """People who share a supervisor and see one another's work where a right says team."""

    __tablename__ = "team"
    department_id: Mapped[int | None] = mapped_column(Id, ForeignKey("department.id"))
    name: Mapped[str] = text(80)


class User(UnitRow):
    """A person who may sign in."""

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("login"),)
    login: Mapped[str] = text(60)
    name: Mapped[str] = text(80)
    role: Mapped[str] = text(30)
    team_id: Mapped[int | None] = mapped_column(Id, ForeignKey("team.id"))
    department_id: Mapped[int | None] = mapped_column(Id, ForeignKey("department.id"))
    password_hash: Mapped[str] = text(200)
    must_change: Mapped[bool] = mapped_column(Boolean, default=False, server_default="0")
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default="1")
    lang: Mapped[str] = text(8)
    theme: Mapped[str] = text(8)
    density: Mapped[str] = text(10)
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    locked_until: Mapped[float | None] = instant()
    created_at: Mapped[float | None] = instant()


class RoleGrant(UnitRow):
    """One right of one role in one unit."""

    __tablename__ = "role_grant"
    __table_args__ = (UniqueConstraint("unit_id", "role", "kind", "action"),)
    role: Mapped[str] = text(30)
    kind: Mapped[str] = text(40)
    action: Mapped[str] = text(30)
    scope: Mapped[int] = mapped_column(Integer, default=0)


class Session(UnitRow):
    """A browser that signed in. Only a hash of its cookie is kept."""

    __tablename__ = "user_session"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "user_id"))
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("user_account.id"), nullable=False)
    token_hash: Mapped[str] = text(64)
    csrf: Mapped[str] = text(64)
    created_at: Mapped[float | None] = instant()
    seen_at: Mapped[float | None] = instant()
    ends_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    address: Mapped[str] = text(64)
    agent: Mapped[str] = text(200)


class ApiToken(UnitRow):
    """A token for programs: acts as its user, limited to the scopes given (lines of "kind:action")."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_hash"),)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("user_account.id"), nullable=False)
    name: Mapped[str] = text(80)
    token_hash: Mapped[str] = text(64)
    scopes: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[float | None] = instant()
    ends_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()


class Audit(UnitRow):
    """Who did what to which thing, when. Never changed, never deleted by the product."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "unit_id", "kind", "thing_id"),)
    at: Mapped[float | None] = instant()
    user_id: Mapped[int | None] = mapped_column(Id)
    action: Mapped[str] = text(40)
    kind: Mapped[str] = text(40)
    thing_id: Mapped[int | None] = mapped_column(Id)
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")


class Fact(Base):
    """Small facts about the whole installation by name: which set-up steps ran, and with which result."""

    __tablename__ = "installation_fact"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[str] = mapped_column(Text, nullable=False)
