"""From the text of an export column to values of its kind, a column at a time.

What does not fit is never guessed at: it is null among the values and marked as a misfit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import TEXT_VALIDATIONS, ValueKind
from redcap_dagster.tables.arrow_types import ARROW_TYPES, TIME, TIMESTAMP


@dataclass(frozen=True, slots=True)
class CastColumn:
    """A column after its text was parsed.

    Attributes:
        values: Typed; null where the text is blank or does not fit.
        misfits: True where a text does not fit and false elsewhere, or None when every one fits.
    """

    values: pa.Array
    misfits: pa.Array | None = None


@dataclass(frozen=True, slots=True)
class _Parser:
    """How one kind of text is read.

    Attributes:
        rule: What a text that does not fit breaks, in the words of `rejected_values`.
        pattern: What the whole text must match. It alone decides, but for the size of a number.
        convert: Text that matches, or null → values. A text too large for the type becomes null.
    """

    rule: str
    pattern: str
    convert: Callable[[pa.Array], pa.Array]


def cast_text(text: pa.Array, kind: ValueKind) -> CastColumn:
    """Parse a column of text as values of one kind.

    Args:
        text: Text as exported; null where blank.
        kind: What the text should hold. Text, choices and file names are left exactly as they
            are; every other kind is read without the blanks around it, which REDCap keeps.

    Source:
        `docs/sources.md`: formats of a raw export, text validation types.
    """
    parser = _PARSERS.get(kind)
    if parser is None:
        return CastColumn(text)
    if text.null_count == len(text):
        return CastColumn(pa.nulls(len(text), ARROW_TYPES[kind]))
    fits = pc.match_substring_regex(text, parser.pattern)
    if not _all(fits):
        text = pc.utf8_trim_whitespace(text)
        fits = pc.match_substring_regex(text, parser.pattern)
    values = parser.convert(text if _all(fits) else pc.if_else(fits, text, _NO_TEXT))
    if values.null_count == text.null_count:
        return CastColumn(values)
    return CastColumn(values, pc.and_(pc.is_null(values), pc.is_valid(text)))


def misfit_rule(kind: ValueKind) -> str:
    """Name of the rule that a text breaks when it does not fit a kind of value."""
    return _PARSERS[kind].rule


_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())
_MOST_DIGITS_ALWAYS_INT64 = 18


def _all(fits: pa.Array) -> bool:
    """Whether every text matched; blank ones (null) do not count."""
    return bool(pc.all(fits, min_count=0).as_py())


def _to_integer(text: pa.Array) -> pa.Array:
    is_long = pc.greater(pc.binary_length(text), _MOST_DIGITS_ALWAYS_INT64)
    if pc.any(is_long, min_count=0).as_py():
        text = pc.if_else(_within_int64(text), text, _NO_TEXT)
    return pc.cast(pc.ascii_ltrim(text, "+"), pa.int64())


def _within_int64(text: pa.Array) -> pa.Array:
    digits = pc.ascii_ltrim(pc.ascii_ltrim(text, "+-"), "0")
    length = pc.binary_length(digits)
    limit = pc.if_else(pc.starts_with(text, "-"), "9223372036854775808", "9223372036854775807")
    # Texts of one length compare as the numbers they are.
    return pc.or_(pc.less(length, 19), pc.and_(pc.equal(length, 19), pc.less_equal(digits, limit)))


def _to_decimal(text: pa.Array) -> pa.Array:
    values = pc.cast(text, pa.float64())
    # A number too large for the type has become infinite.
    return pc.if_else(pc.is_finite(values), values, _NO_NUMBER)


def _to_decimal_with_comma(text: pa.Array) -> pa.Array:
    return _to_decimal(pc.replace_substring(text, ",", "."))


def _to_date(text: pa.Array) -> pa.Array:
    return pc.cast(text, pa.date32())


def _to_timestamp(text: pa.Array) -> pa.Array:
    # Hours may have been typed with one digit; Arrow reads only two.
    return pc.cast(pc.replace_substring_regex(text, r" ([0-9]:)", r" 0\1"), TIMESTAMP)


def _to_time(text: pa.Array) -> pa.Array:
    # Arrow reads no times, but it reads timestamps.
    return pc.cast(_to_timestamp(pc.binary_join_element_wise("1970-01-01", text, " ")), TIME)


def _to_minutes_and_seconds(text: pa.Array) -> pa.Array:
    return _to_time(pc.binary_join_element_wise("00", text, ":"))


def _to_boolean(text: pa.Array) -> pa.Array:
    return pc.equal(text, "1")


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


_FOURTH_YEAR = "(?:0[48]|[2468][048]|[13579][26])"
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = f"(?:[0-9]{{2}}{_FOURTH_YEAR}|{_FOURTH_YEAR}00)"
_EXISTING_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = TEXT_VALIDATIONS["time"].pattern
_TIME_SECONDS = TEXT_VALIDATIONS["time_hh_mm_ss"].pattern

_PARSERS: dict[ValueKind, _Parser] = {
    "integer": _Parser("integer", _whole(TEXT_VALIDATIONS["integer"].pattern), _to_integer),
    "decimal": _Parser("number", _whole(TEXT_VALIDATIONS["number"].pattern), _to_decimal),
    "decimal_comma": _Parser(
        "number",
        _whole(TEXT_VALIDATIONS["number_comma_decimal"].pattern),
        _to_decimal_with_comma,
    ),
    "date": _Parser("date", _whole(_EXISTING_DATE), _to_date),
    "datetime": _Parser("datetime", _whole(f"{_EXISTING_DATE} {_TIME}"), _to_timestamp),
    "datetime_seconds": _Parser(
        "datetime", _whole(f"{_EXISTING_DATE} {_TIME_SECONDS}"), _to_timestamp
    ),
    "time": _Parser("time", _whole(_TIME), _to_time),
    "time_seconds": _Parser("time", _whole(_TIME_SECONDS), _to_time),
    "minutes_seconds": _Parser(
        "time", _whole(TEXT_VALIDATIONS["time_mm_ss"].pattern), _to_minutes_and_seconds
    ),
    "boolean": _Parser("boolean", _whole("[01]"), _to_boolean),
}
