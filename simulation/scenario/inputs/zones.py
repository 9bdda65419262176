"""Time zones: local times, also on days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo


def parse_zone(value: object) -> str:
    """Return the name of a time zone that this machine knows.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        if isinstance(value, str):
            return ZoneInfo(value).key
    except (ValueError, OSError, KeyError):  # unknown names raise a KeyError
        pass
    raise ValueError("must be a time zone, such as Europe/Paris or UTC")


def as_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; a date without a zone stays as it is.

    Python subtracts two moments of one zone as a wall clock would, without the changes of its clocks.
    """
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def local_moment(day: date, time_s: float, zone: tzinfo) -> datetime:
    """Return the moment of a local time, the first one where the clocks show it twice.

    Raises:
        ValueError: The clocks skip this time on that day.
    """
    local = datetime.combine(day, time(), zone) + timedelta(seconds=time_s)
    back = local.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):
        raise ValueError(
            f"{local:%Y-%m-%d %H:%M} does not exist in {zone}: the clocks go forward then"
        )
    return local


def exists_twice(moment: datetime) -> bool:
    """Return whether the clocks of a moment's zone show its local time twice."""
    first, second = (moment.replace(fold=fold) for fold in (0, 1))
    return first.utcoffset() != second.utcoffset()
