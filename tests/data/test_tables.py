"""Every table says whose its rows are: the business unit, and the PBX for what a PBX told. Exceptions stand here, with their reason."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Float, Integer, String, Table
from sqlalchemy.orm import Mapper

import cti.storage
import recordings.storage
from config.tables import METADATA
from crm_core.kernel.db import Base

WITHOUT_UNIT = {"unit": "is the unit itself", "installation_fact": "is of the whole installation"}
WITHOUT_PBX = {
    "pbx": "is the PBX itself",
    "queue_agent": "hangs on a queue, which has one",
    "pause_reason": "is a word of the unit",
    "call_note": "hangs on a call, which has one",
    "call_link": "hangs on a call, which has one",
}
TABLES = {t.name: t for t in METADATA.sorted_tables}
TELEPHONY = {
    m.class_.__table__.name
    for m in Base.registry.mappers
    if m.class_.__module__ in (cti.storage.__name__, recordings.storage.__name__)
}


def test_the_exceptions_are_tables() -> None:
    assert set(WITHOUT_UNIT) <= set(TABLES) and set(WITHOUT_PBX) <= TELEPHONY


@pytest.mark.parametrize("name", sorted(set(TABLES) - set(WITHOUT_UNIT)))
def test_a_row_of_the_business_names_its_unit(name: str) -> None:
    column = TABLES[name].columns.get("unit_id")
    assert column is not None and not column.nullable


@pytest.mark.parametrize("name", sorted(TELEPHONY - set(WITHOUT_PBX)))
def test_a_row_of_telephony_names_its_pbx(name: str) -> None:
    column = TABLES[name].columns.get("pbx_id")
    assert column is not None and not column.nullable


def test_what_the_pbx_names_is_unique_only_with_pbx_and_epoch() -> None:
    keys = [tuple(c.name for c in u.columns) for u in TABLES["call"].constraints if type(u).__name__ == "UniqueConstraint"]
    assert keys == [("pbx_id", "epoch", "pbx_call_id")]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_identifiers_are_ours_and_have_64_bits(table: Table) -> None:
    for column in table.columns:
        if column.name == "id" or (column.name.endswith("_id") and not isinstance(column.type, String)):
            assert isinstance(column.type, BigInteger), column.name
            assert not column.autoincrement or column.autoincrement == "auto" or column.name != "id", column.name


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_instants_are_seconds_with_microseconds_and_durations_say_so(table: Table) -> None:
    for column in table.columns:
        if column.name.endswith("_at") or column.name == "at":
            assert isinstance(column.type, Float) and column.type.precision == 53, column.name
        if column.name.endswith("_s"):
            assert isinstance(column.type, Float | Integer), column.name


@pytest.mark.parametrize(
    "mapper", sorted(Base.registry.mappers, key=lambda m: str(m.class_.__name__)), ids=lambda m: str(m.class_.__name__)
)
def test_a_table_says_what_it_is(mapper: Mapper[object]) -> None:
    assert (mapper.class_.__doc__ or "").strip()


def test_facts_keep_the_day_and_zone_they_count_in() -> None:
    for name in ("call", "queue_entry", "offer", "segment", "seat_state"):
        assert {"day", "zone"} <= set(TABLES[name].columns.keys()), name
