"""Moves dates into the past, typed or as the text of an export."""

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import ValueKind
from redcap_dagster.tables import cast_text

_MILLISECONDS_A_DAY = 86_400_000
_FIRST_DAY = pa.scalar(date(1, 1, 1))
_FIRST_MOMENT = pa.scalar(datetime(1, 1, 1), pa.timestamp("ms"))  # noqa: DTZ001 - REDCap has no zones
_FORMATS: dict[ValueKind, str] = {
    "date": "%Y-%m-%d",
    "datetime": "%Y-%m-%d %H:%M",
    "datetime_seconds": "%Y-%m-%d %H:%M:%S",
}


def shift_moments(values: pa.Array, days: pa.Array) -> pa.Array:
    """Dates or timestamps, each so many days earlier.

    Args:
        values: `date32`, or timestamps in milliseconds.
        days: How many, for each value.

    Returns:
        The same type; null where the value or the number is null, and where a date would come
        before the year 1, which neither Python nor pandas knows.
    """
    if pa.types.is_date32(values.type):
        moved = pc.subtract(values.cast(pa.int32()), days.cast(pa.int32())).cast(pa.date32())
        first = _FIRST_DAY
    else:
        length = pc.multiply(days, _MILLISECONDS_A_DAY)
        moved = pc.subtract(values.cast(pa.int64()), length).cast(values.type)
        first = _FIRST_MOMENT
    return pc.if_else(pc.greater_equal(moved, first), moved, pa.scalar(None, moved.type))


def shift_text(text: pa.Array, kind: ValueKind, days: pa.Array) -> pa.Array:
    """The text of dates, each so many days earlier, as REDCap writes it.

    Returns:
        Null where the text is null, or is no date of its kind.
    """
    moved = shift_moments(cast_text(text, kind).values, days)
    if not pa.types.is_date32(moved.type):
        moved = moved.cast(pa.timestamp("s"))  # else the seconds are written with a fraction
    return pc.strftime(moved, format=_FORMATS[kind])
