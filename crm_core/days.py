"""Local days: at which date an instant counts in a business unit, and from when to when a date lasts there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

QUARTER_S = 900


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; raises ValueError for none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error


def day_of(at: float, zone: str) -> str:
    """The local date of an instant, as 2026-11-22."""
    return _day_of_quarter(int(at // QUARTER_S), zone)


@lru_cache(maxsize=256)
def _day_of_quarter(quarter: int, zone: str) -> str:
    """Days begin at quarters of an hour, in every zone since 1972."""
    return datetime.fromtimestamp(quarter * QUARTER_S, zone_of(zone)).date().isoformat()


def span_of(day: str, zone: str) -> tuple[float, float]:
    """From when to when (half open, UTC seconds) a local date lasts; 23 or 25 hours where clocks change."""
    first = date.fromisoformat(day)
    tz = zone_of(zone)
    start = datetime(first.year, first.month, first.day, tzinfo=tz)
    after = first + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=tz)
    return start.astimezone(UTC).timestamp(), end.astimezone(UTC).timestamp()
