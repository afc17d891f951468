"""Dates, datetimes and times of day: from text, differences, parts. One at a time; None is blank.

Seconds are counted from 1970-01-01 00:00 without time zone, as REDCap stores dates.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from redcap_dagster.logic.numbers import BLANKS_AROUND

UNIT_SECONDS = {
    "y": 365.2425 * 86_400,
    "M": 30.44 * 86_400,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
}
"""Seconds in each unit of `datediff`. Case matters: `M` is a month, `m` a minute."""

DATE_PATTERN = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

_MOMENT = re.compile(
    rf"(?P<date>{DATE_PATTERN})"
    r"(?:[ T](?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?)?"
)
_CLOCK = re.compile(r"(?P<first>[0-9]{1,2}):(?P<second>[0-5][0-9])(?::(?P<third>[0-5][0-9]))?")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - REDCap's dates have no time zone
_LAST_HOUR = 23
_LAST_MINUTE = 59


class MomentKind(IntEnum):
    """What a text that orders in time is; texts of one kind can be ordered."""

    NONE = 0
    DATE = 1
    DATETIME = 2
    CLOCK_SHORT = 3
    CLOCK_LONG = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, or a time of day, in seconds."""

    kind: MomentKind
    seconds: float


NO_MOMENT = Moment(MomentKind.NONE, 0.0)


def parse_moment(text: str) -> Moment:
    """Read a year-first date or datetime, or a time of day; `NO_MOMENT` for anything else."""
    trimmed = text.strip(BLANKS_AROUND)
    found = _MOMENT.fullmatch(trimmed)
    if found is None:
        return _parse_clock(trimmed)
    try:
        day = date.fromisoformat(found["date"])
    except ValueError:  # such as 30 February
        return NO_MOMENT
    days = float((day - _EPOCH.date()).days)
    if found["hour"] is None:
        return Moment(MomentKind.DATE, days * UNIT_SECONDS["d"])
    clock = int(found["hour"]) * 3600 + int(found["minute"]) * 60 + int(found["second"] or 0)
    return Moment(MomentKind.DATETIME, days * UNIT_SECONDS["d"] + clock)


def _parse_clock(text: str) -> Moment:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return NO_MOMENT
    first, second = int(found["first"]), int(found["second"])
    if found["third"] is None:
        # HH:MM, or MM:SS of a duration: both order the same way.
        if first > _LAST_MINUTE:
            return NO_MOMENT
        return Moment(MomentKind.CLOCK_SHORT, first * 60.0 + second)
    if first > _LAST_HOUR:
        return NO_MOMENT
    return Moment(MomentKind.CLOCK_LONG, first * 3600.0 + second * 60 + int(found["third"]))


def parse_seconds(text: str) -> float | None:
    """Seconds of a date or datetime; None for anything else, times of day among it."""
    moment = parse_moment(text)
    return moment.seconds if moment.kind in {MomentKind.DATE, MomentKind.DATETIME} else None


def date_difference(
    first: float | None, second: float | None, unit: str, *, is_signed: bool
) -> float | None:
    """`datediff`: second minus first in a unit, not rounded; absolute unless signed."""
    if first is None or second is None:
        return None
    difference = (second - first) / UNIT_SECONDS[unit]
    return difference if is_signed else abs(difference)


def age_in_years(birth: float | None, day: float | None) -> float | None:
    """`age_at_date`: completed calendar years; blank before birth. The time of day is ignored."""
    if birth is None or day is None:
        return None
    born, then = _datetime(birth).date(), _datetime(day).date()
    if then < born:
        return None
    return float(then.year - born.year - ((then.month, then.day) < (born.month, born.day)))


def date_part(seconds: float | None, part: str) -> float | None:
    """`year`, `month`, `day` or `dayoftheweek` (Monday is 1) of a date."""
    if seconds is None:
        return None
    moment = _datetime(seconds)
    if part == "dayoftheweek":
        return float(moment.isoweekday())
    return float({"year": moment.year, "month": moment.month, "day": moment.day}[part])


def shifted_date(seconds: float | None, offset: float | None, unit: str, length: int) -> str:
    """`@CALCDATE`: a date plus an offset, as text.

    Args:
        seconds: The date to start from.
        offset: How many units to add.
        unit: Unit of `datediff`.
        length: Characters to keep: 10 for a date, 16 and 19 for datetimes.
    """
    if seconds is None or offset is None:
        return ""
    try:
        moment = _datetime(seconds) + timedelta(seconds=round(offset * UNIT_SECONDS[unit]))
    except OverflowError:
        return ""
    return moment.isoformat(sep=" ", timespec="seconds")[:length]


def _datetime(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
