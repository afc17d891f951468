"""Dates and times over arrays: as `moments.py` does it. NaN is blank."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic.moments import (
    DATE_PATTERN,
    UNIT_SECONDS,
    MomentKind,
    parse_moment,
    shifted_date,
)
from redcap_dagster.logic.number_arrays import Floats
from redcap_dagster.logic.numbers import BLANKS_AROUND

_STRICT_DATE = f"^{DATE_PATTERN}$"
_STRICT_DATETIME = f"^{DATE_PATTERN}[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Moments:
    """Points in time or times of day.

    Attributes:
        kinds: `MomentKind` of each, as int8; 0 where it is none.
        seconds: Seconds of each; NaN where it is none.
    """

    kinds: npt.NDArray[np.int8]
    seconds: Floats

    @property
    def dates(self) -> Floats:
        """Seconds of dates and datetimes; NaN for times of day."""
        return np.where(self.kinds <= MomentKind.DATETIME, self.seconds, np.nan)

    def take(self, index: npt.NDArray[np.int64]) -> "Moments":
        """The moments at places; none where the place is negative."""
        is_there = index >= 0
        return Moments(
            np.where(is_there, self.kinds[index], 0).astype(np.int8),
            np.where(is_there, self.seconds[index], np.nan),
        )


def parse_moments(texts: pa.Array) -> Moments:
    """Read year-first dates, datetimes and times of day. Each distinct text is read once."""
    encoded = texts.dictionary_encode()
    places = encoded.indices.to_numpy()
    distinct = encoded.dictionary
    read = _parse_many(distinct) if len(distinct) >= _MANY else None
    found = _parse_each(distinct) if read is None else read
    return Moments(found.kinds[places], found.seconds[places])


def _parse_each(texts: pa.Array) -> Moments:
    moments = [parse_moment(text) for text in texts.to_pylist()]
    kinds = np.array([moment.kind for moment in moments], dtype=np.int8)
    seconds = np.array([moment.seconds for moment in moments], dtype=np.float64)
    return Moments(kinds, np.where(kinds == 0, np.nan, seconds))


def _parse_many(texts: pa.Array) -> Moments | None:
    """Read common forms all at once, the rest one by one; None if a date does not exist."""
    trimmed = pc.utf8_trim(texts, characters=BLANKS_AROUND)
    is_date = pc.match_substring_regex(trimmed, pattern=_STRICT_DATE)
    is_datetime = pc.match_substring_regex(trimmed, pattern=_STRICT_DATETIME)
    is_common = pc.and_not(
        pc.or_(is_date, is_datetime), pc.starts_with(trimmed, pattern="0000")
    ).to_numpy(zero_copy_only=False)
    try:
        stamps = pc.cast(trimmed.filter(pa.array(is_common)), pa.timestamp("s"))
    except pa.ArrowInvalid:
        return None
    kinds = np.zeros(len(texts), dtype=np.int8)
    seconds = np.full(len(texts), np.nan)
    was_date = is_date.to_numpy(zero_copy_only=False)[is_common]
    kinds[is_common] = np.where(was_date, MomentKind.DATE, MomentKind.DATETIME)
    seconds[is_common] = stamps.cast(pa.int64()).to_numpy(zero_copy_only=False)
    rest = _parse_each(texts.filter(pa.array(~is_common)))
    kinds[~is_common] = rest.kinds
    seconds[~is_common] = rest.seconds
    return Moments(kinds, seconds)


def date_differences(first: Floats, second: Floats, unit: str, *, is_signed: bool) -> Floats:
    """`datediff` over arrays of seconds."""
    differences = (second - first) / UNIT_SECONDS[unit]
    return differences if is_signed else np.abs(differences)


def ages_in_years(birth: Floats, day: Floats) -> Floats:
    """`age_at_date` over arrays of seconds."""
    born, then = _calendar(birth), _calendar(day)
    is_later = (born.month > then.month) | ((born.month == then.month) & (born.day > then.day))
    is_born = np.floor(birth / UNIT_SECONDS["d"]) <= np.floor(day / UNIT_SECONDS["d"])
    return np.where(is_born, then.year - born.year - is_later, np.nan)


def date_parts(seconds: Floats, part: str) -> Floats:
    """`year`, `month`, `day` or `dayoftheweek` over an array of seconds."""
    if part == "dayoftheweek":
        # 1970-01-01 was a Thursday.
        weekday: Floats = (np.floor(seconds / UNIT_SECONDS["d"]) + 3) % 7 + 1
        return weekday
    parts: Floats = getattr(_calendar(seconds), part)
    return parts


def shifted_dates(seconds: Floats, offset: Floats, unit: str, length: int) -> pa.Array:
    """`@CALCDATE` over arrays of seconds and offsets; "" is blank."""
    pairs = np.stack(np.broadcast_arrays(seconds, offset))
    distinct, places = np.unique(pairs, axis=1, return_inverse=True)
    texts = [
        shifted_date(_present(second), _present(count), unit, length)
        for second, count in distinct.T
    ]
    return pa.array(texts, pa.large_string()).take(pa.array(places.reshape(-1)))


def _present(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


@dataclass(frozen=True, slots=True)
class _Calendar:
    year: Floats
    month: Floats
    day: Floats


def _calendar(seconds: Floats) -> _Calendar:
    is_blank = np.isnan(seconds)
    days = np.floor(np.where(is_blank, 0, seconds) / UNIT_SECONDS["d"]).astype("datetime64[D]")
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    parts = (
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
    )
    year, month, day = (np.where(is_blank, np.nan, part) for part in parts)
    return _Calendar(year, month, day)
