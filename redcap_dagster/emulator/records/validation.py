"""Whether a value may be imported into a column, and the words REDCap refuses it with.

Minimum and maximum are not looked at: a server stores what is outside of them.
"""

import re
from collections.abc import Mapping
from datetime import date

from redcap_dagster.emulator.design import STATUS_CHOICES, Field

BAD_FORMAT = (
    "The value you provided could not be validated because it does not follow the expected "
    "format. Please try again."
)
_NOT_A_NUMBER = "This value you provided is not a number. Please try again."
_NOT_AN_INTEGER = "This value you provided is not an integer. Please try again."
_NOT_A_TIME = (
    "The value entered must be a time value in the following format HH:MM within the range "
    "00:00-23:59 (e.g., 04:32 or 23:19)."
)
_NOT_AN_EMAIL = (
    "This field must be a valid email address (like joe@user.com). Please re-enter it now."
)
_NOT_A_ZIPCODE = (
    "This field must be a 5 or 9 digit U.S. ZIP Code (like 94043). Please re-enter it now."
)
_NOT_A_PHONE = (
    "This field must be a 10 digit U.S. phone number (like 415 555 1212). Please re-enter it now."
)
_CLOCK = r"([01]?\d|2[0-3]):[0-5]\d"
_CANADA = (
    r"[A-CEGHJ-NPR-TVXYa-ceghj-npr-tvxy]\d[A-CEGHJ-NPR-TV-Za-ceghj-npr-tv-z]\s?"
    r"\d[A-CEGHJ-NPR-TV-Za-ceghj-npr-tv-z]\d"
)

# Validation type → what a value looks like. Types that are not here take any text: a site can have
# types of its own.
_PATTERNS: Mapping[str, str] = {
    "time": _CLOCK,
    "time_hh_mm_ss": rf"{_CLOCK}:[0-5]\d",
    "time_mm_ss": r"[0-5]\d:[0-5]\d",
    "integer": r"[-+]?\d+",
    "number": r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?",
    "number_comma_decimal": r"[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d+)?",
    **{f"number_{places}dp": rf"[-+]?\d+\.\d{{{places}}}" for places in range(1, 5)},
    **{f"number_{places}dp_comma_decimal": rf"[-+]?\d+,\d{{{places}}}" for places in range(1, 5)},
    "alpha_only": r"[A-Za-z]+",
    "email": r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+",
    "phone_australia": r"\(?0[2-8]\)?\s?\d{4}\s?\d{4}",
    "phone_uk": r"(\+44\s?|0)[\d\s()]{9,13}",
    "phone_france": r"(\+33\s?|0)[1-9]([\s.-]?\d{2}){4}",
    "zipcode": r"\d{5}(-\d{4})?",
    "postalcode_australia": r"\d{4}",
    "postalcode_canada": _CANADA,
    "postalcode_french": r"(0?[1-9]|[1-8]\d|9[0-8])\d{3}",
    "postalcode_germany": r"(0[1-9]|[1-9]\d)\d{3}",
    "postalcode_uk": r"[A-Za-z]{1,2}\d[A-Za-z\d]?\s?\d[A-Za-z]{2}",
    "ssn": r"\d{3}-\d{2}-\d{4}",
    "mrn_7d": r"\d{7}",
    "mrn_10d": r"\d{10}",
    "mrn_generic": r"[A-Za-z0-9_-]+",
    "vmrn": r"\d{4,9}",
}
_PHONE = re.compile(r"1?[2-9]\d{2}[2-9]\d{6}\d{0,6}")
_WORDS: Mapping[str, str] = {
    "time": _NOT_A_TIME,
    "integer": _NOT_AN_INTEGER,
    "number": _NOT_A_NUMBER,
    "email": _NOT_AN_EMAIL,
    "zipcode": _NOT_A_ZIPCODE,
    "phone": _NOT_A_PHONE,
}
_COMPILED = {name: re.compile(pattern, re.ASCII) for name, pattern in _PATTERNS.items()}
_SLIDER = re.compile(r"-?\d+", re.ASCII)
_DATE = re.compile(r"(\d{1,4})[-/](\d{1,2})[-/](\d{1,4})(?: (\S+))?", re.ASCII)
_ORDERS = {"YMD": (0, 1, 2), "MDY": (2, 0, 1), "DMY": (2, 1, 0)}
_YEAR_DIGITS = 4
_TIMES = {
    "date": re.compile(""),
    "datetime": re.compile(_CLOCK, re.ASCII),
    "datetime_seconds": re.compile(rf"{_CLOCK}:[0-5]\d", re.ASCII),
}


class ValueRefusedError(Exception):
    """A value that may not be imported; the message is REDCap's."""


def checked_value(entry: Field, value: str, date_format: str) -> str:
    """Return a value as it is stored: dates year first, everything else as it came.

    Args:
        entry: The field, not a checkbox.
        value: The value, not blank and no missing data code.
        date_format: `YMD`, `MDY` or `DMY`.

    Raises:
        ValueRefusedError: The value does not fit the field.
    """
    if entry.field_type in {"radio", "dropdown", "yesno", "truefalse"}:
        if value not in {choice.code for choice in entry.value_choices}:
            raise ValueRefusedError(not_a_category(entry.name))
        return value
    if entry.field_type == "slider":
        return _matched(_SLIDER, value, _NOT_AN_INTEGER)
    if entry.field_type != "text":
        return value
    return _checked_text(entry.validation, value, date_format)


def checked_status(column: str, value: str) -> str:
    """Return a form status.

    Raises:
        ValueRefusedError: The value is none.
    """
    if value not in {choice.code for choice in STATUS_CHOICES}:
        raise ValueRefusedError(not_a_category(column))
    return value


def checked_tick(column: str, value: str) -> str:
    """Return whether a choice of a checkbox is ticked, as `0` or `1`.

    Raises:
        ValueRefusedError: The value is neither.
    """
    if value not in {"0", "1"}:
        raise ValueRefusedError(not_a_category(column))
    return value


def not_a_category(column: str) -> str:
    """Return REDCap's words for a code that is none of a field's choices."""
    return f"The value is not a valid category for {column}"


def _checked_text(validation: str, value: str, date_format: str) -> str:
    kind = validation.rpartition("_")[0]
    if kind in _TIMES:
        return _checked_date(kind, value, date_format)
    words = _WORDS.get(validation, BAD_FORMAT)
    if validation == "phone":
        digits = re.sub(r"\D", "", value)
        if not _PHONE.fullmatch(digits):
            raise ValueRefusedError(words)
        return value
    pattern = _COMPILED.get(validation)
    return value if pattern is None else _matched(pattern, value, words)


def _matched(pattern: re.Pattern[str], value: str, words: str) -> str:
    if not pattern.fullmatch(value.strip()):
        raise ValueRefusedError(words)
    return value


def _checked_date(kind: str, value: str, date_format: str) -> str:
    found = _DATE.fullmatch(value.strip())
    if found is None:
        raise ValueRefusedError(BAD_FORMAT)
    year, month, day = (found[position + 1] for position in _ORDERS[date_format])
    clock = found[4] or ""
    if len(year) != _YEAR_DIGITS or not _TIMES[kind].fullmatch(clock):
        raise ValueRefusedError(BAD_FORMAT)
    try:
        moment = date(int(year), int(month), int(day))
    except ValueError as error:
        raise ValueRefusedError(BAD_FORMAT) from error
    return f"{moment.isoformat()} {clock.rjust(len('00:00'), '0')}" if clock else moment.isoformat()
