"""The engine's own rows: options of the data dictionary, comments, saved views, imports, and where document numbers stand."""

from __future__ import annotations

from sqlalchemy import Boolean, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.kernel.db import Id, UnitRow, instant, text


class DictionaryOption(UnitRow):
    """One option of one list, as this unit has it: its own, or one of the product's own that it changed."""

    __tablename__ = "dictionary_option"
    __table_args__ = (UniqueConstraint("unit_id", "list", "key"),)
    list: Mapped[str] = text(40)
    key: Mapped[str] = text(40)
    zh: Mapped[str] = text(80)
    en: Mapped[str] = text(80)
    tone: Mapped[str] = text(10)
    place: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    retired: Mapped[bool] = mapped_column(Boolean, nullable=False, default=False, server_default="0")


class RecordComment(UnitRow):
    """What somebody said about a record."""

    __tablename__ = "record_comment"
    __table_args__ = (Index(None, "kind", "record_id"),)
    kind: Mapped[str] = text(40)
    record_id: Mapped[int] = mapped_column(Id, nullable=False)
    at: Mapped[float | None] = instant()
    user_id: Mapped[int | None] = mapped_column(Id)
    text: Mapped[str] = mapped_column(Text, nullable=False, default="", server_default="")


class SavedView(UnitRow):
    """Filters, order and words of a list under a name; shared with the unit or one's own."""

    __tablename__ = "saved_view"
    __table_args__ = (Index(None, "unit_id", "kind"),)
    kind: Mapped[str] = text(40)
    user_id: Mapped[int] = mapped_column(Id, nullable=False)
    name: Mapped[str] = text(60)
    query: Mapped[str] = mapped_column(Text, nullable=False, default="", server_default="")
    shared: Mapped[bool] = mapped_column(Boolean, nullable=False, default=False, server_default="0")


class DocumentNumber(UnitRow):
    """How far the numbers of one kind have come in one period."""

    __tablename__ = "document_number"
    __table_args__ = (UniqueConstraint("unit_id", "kind", "period"),)
    kind: Mapped[str] = text(40)
    period: Mapped[str] = text(10)
    last: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")


class ImportJob(UnitRow):
    """One import of a file: how it is read, how far it is and what became of its rows. The file itself lies beside the database."""

    __tablename__ = "import_job"
    __table_args__ = (Index(None, "unit_id", "user_id", "kind"), Index(None, "state"))
    kind: Mapped[str] = text(40)
    user_id: Mapped[int] = mapped_column(Id, nullable=False)
    name: Mapped[str] = text(120)
    state: Mapped[str] = text(20)
    made_at: Mapped[float | None] = instant()
    ended_at: Mapped[float | None] = instant()
    rows: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    done: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    made: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    changed: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    same: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    rejected: Mapped[int] = mapped_column(Integer, nullable=False, default=0, server_default="0")
    reading: Mapped[str] = mapped_column(Text, nullable=False, default="", server_default="")
    wrong: Mapped[str] = mapped_column(Text, nullable=False, default="", server_default="")


class ImportedRecord(UnitRow):
    """A record that an import made or changed, kept as long as the import can be undone; `before` is JSON of what it changed, "" if made."""

    __tablename__ = "imported_record"
    __table_args__ = (Index(None, "job_id"),)
    job_id: Mapped[int] = mapped_column(Id, nullable=False)
    record_id: Mapped[int] = mapped_column(Id, nullable=False)
    version: Mapped[int] = mapped_column(Integer, nullable=False, default=1, server_default="1")
    before: Mapped[str] = mapped_column(Text, nullable=False, default="", server_default="")
