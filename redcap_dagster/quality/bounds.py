"""Bounds of a field as the data dictionary writes them, read as values of the typed column."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from redcap_dagster.logic import Expression, parse_logic
from redcap_dagster.project import TEXT_VALIDATIONS, DictionaryField, ValueKind

Bound = int | float | pd.Timestamp | pd.Timedelta

_DYNAMIC = re.compile(r"today|now|.*\[.*", re.IGNORECASE | re.DOTALL)
_TIME_FORMATS = {"date": "", "datetime": " %H:%M", "datetime_seconds": " %H:%M:%S"}
_DATE_ORDERS = {"dmy": "%d-%m-%Y", "mdy": "%m-%d-%Y"}
_DURATION_UNITS = {
    "time": ("hours", "minutes"),
    "time_seconds": ("hours", "minutes", "seconds"),
    "minutes_seconds": ("minutes", "seconds"),
}
_SLIDER_DEFAULTS = ("0", "100")
_CLOCK_WORDS = ("today", "now")
_NUMBERS = ("integer", "decimal", "decimal_comma")
_NUMBER = re.compile(TEXT_VALIDATIONS["number"].pattern)
_WHOLE_NUMBER = re.compile(TEXT_VALIDATIONS["integer"].pattern)
_TWO_DIGITS = re.compile("[0-9]{1,2}")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound of a field: exactly one of its attributes is set.

    Attributes:
        constant: A value that does not move.
        word: `today` or `now`.
        expression: Logic that gives the bound on each row, such as `[baseline_arm_1][dob]`.
    """

    constant: Bound | None = None
    word: str = ""
    expression: Expression | None = None


def read_limits(field: DictionaryField, kind: ValueKind) -> tuple[Limit | None, Limit | None]:
    """Read both bounds of a field; None where it has none.

    Raises:
        LogicError: A bound that refers to fields cannot be read.
        ValueError: A bound is no value of the field's kind, or the kind has no order.
    """
    return read_limit(field, kind, 0), read_limit(field, kind, 1)


def read_limit(field: DictionaryField, kind: ValueKind, side: int) -> Limit | None:
    """Read the lower (0) or upper (1) bound of a field, as `read_limits` reads both."""
    text = written_bounds(field)[side]
    # The sixth to tenth columns mean other things for other types of field.
    if not text or field.field_type not in {"text", "slider"}:
        return None
    if not is_dynamic(text):
        return Limit(constant=parse_bound(text, kind, field.validation))
    if kind not in {*_TIME_FORMATS, *_DURATION_UNITS, *_NUMBERS}:
        raise ValueError(f"values of kind {kind} have no order")
    if text.lower() in _CLOCK_WORDS:
        if kind in _NUMBERS:  # what is left of a date that became a number
            raise ValueError("no day bounds a number")
        return Limit(word=text.lower())
    return Limit(expression=parse_logic(text))


def written_bounds(field: DictionaryField) -> tuple[str, str]:
    """Lower and upper bound as written, "" for none. A slider goes from 0 to 100 by default."""
    if field.field_type == "slider":
        return field.minimum or _SLIDER_DEFAULTS[0], field.maximum or _SLIDER_DEFAULTS[1]
    return field.minimum, field.maximum


def is_dynamic(text: str) -> bool:
    """Whether a bound depends on the day or on other fields: `today`, `now`, `[field]`."""
    return _DYNAMIC.fullmatch(text) is not None


def parse_bound(text: str, kind: ValueKind, validation: str) -> Bound:
    """Read a constant bound.

    Dates are year first, as REDCap stores them; a date that is not is read in the order of its
    validation type (`date_dmy`). Hours may have one digit. A whole number that no 64 bits hold is
    read as the nearest float, which bounds the same values.

    Args:
        text: The bound as written, not "".
        kind: Kind of the field's values.
        validation: Text validation type of the field, for the order of dates.

    Raises:
        ValueError: The text is no value of this kind, or the kind has no order.
    """
    if kind in _TIME_FORMATS:
        return pd.Timestamp(_parse_date(text, _TIME_FORMATS[kind], validation))
    if kind in _DURATION_UNITS:
        return _parse_duration(text, _DURATION_UNITS[kind])
    if kind == "integer":
        return _parse_whole_number(text.strip())
    if kind == "decimal":
        return _parse_number(text.strip())
    if kind == "decimal_comma":
        return _parse_number(text.strip().replace(",", "."))
    raise ValueError(f"values of kind {kind} have no order")


def _parse_number(text: str) -> float:
    # Python alone would also take nan, inf and 1_0.
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise ValueError("it is no number, or too large for any")
    return number


def _parse_whole_number(text: str) -> int | float:
    number = _parse_number(text)
    if not number.is_integer():
        return number
    whole = int(text) if _WHOLE_NUMBER.fullmatch(text) else int(number)
    return whole if whole in _INT64 else number


def _parse_duration(text: str, units: tuple[str, ...]) -> pd.Timedelta:
    parts = text.strip().split(":")
    if not all(_TWO_DIGITS.fullmatch(part) for part in parts):
        raise ValueError("it is no time")
    return pd.Timedelta(timedelta(**dict(zip(units, map(int, parts), strict=True))))


def _parse_date(text: str, time_format: str, validation: str) -> datetime:
    year_first = re.match(r"\d{4}-", text) is not None
    order = (
        "%Y-%m-%d" if year_first else _DATE_ORDERS.get(validation.rpartition("_")[2], "%Y-%m-%d")
    )
    # REDCap knows no time zones: a bound is compared with values as they were written.
    return datetime.strptime(text, order + time_format)  # noqa: DTZ007
