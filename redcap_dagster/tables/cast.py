"""From the text of an export column to values of its kind, a column at a time.

What does not fit is never guessed at: it is null among the values and marked as a misfit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import TEXT_VALIDATIONS, ValueKind
from redcap_dagster.tables.arrow_types import ARROW_TYPES, BOOLEAN, INTEGER, TIME, TIMESTAMP


@dataclass(frozen=True, repr=False, slots=True)
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
        convert_plain: Text → values, or None where a text is not written in the plainest way,
            even if it fits. Only there for speed: matching a pattern costs more than the rest.
    """

    rule: str
    pattern: str
    convert: Callable[[pa.Array], pa.Array]
    convert_plain: Callable[[pa.Array], pa.Array | None]


def cast_text(text: pa.Array, kind: ValueKind) -> CastColumn:
    """Parse a column of text as values of one kind.

    Args:
        text: Text as exported; null where blank.
        kind: What the text should hold. Text, choices and file names are left exactly as they
            are; every other kind is read without the blanks around it, which REDCap keeps.

    Source:
        `docs/sources.md`: formats of a raw export, text validation types.
    """
    values = cast_plain(text, kind)
    return _cast_by_pattern(text, _PARSERS[kind]) if values is None else CastColumn(values)


def cast_plain(text: pa.Array, kind: ValueKind) -> pa.Array | None:
    """The same values, or None where a text does not fit or is written in an unusual way."""
    parser = _PARSERS.get(kind)
    if parser is None:
        return text
    if text.null_count == len(text):
        return pa.nulls(len(text), ARROW_TYPES[kind])
    return parser.convert_plain(text)


def _cast_by_pattern(text: pa.Array, parser: _Parser) -> CastColumn:
    text = pc.utf8_trim_whitespace(text)
    fits = pc.match_substring_regex(text, parser.pattern)
    values = parser.convert(pc.if_else(fits, text, _NO_TEXT))
    if values.null_count == text.null_count:
        return CastColumn(values)
    return CastColumn(values, pc.and_(pc.is_null(values), pc.is_valid(text)))


def misfit_rule(kind: ValueKind) -> str:
    """Name of the rule that a text breaks when it does not fit a kind of value."""
    return _PARSERS[kind].rule


_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())
_MOST_DIGITS_ALWAYS_INT64 = 18
_FIRST_DAY = pa.scalar(date(1, 1, 1))
_FIRST_MOMENT = pa.scalar(datetime(1, 1, 1), TIMESTAMP)  # noqa: DTZ001 - REDCap has no zones


def _all(facts: pa.Array) -> bool:
    """Whether every fact is true; null ones do not count."""
    return bool(pc.all(facts, min_count=0).as_py())


def _cast_or_none(text: pa.Array, arrow_type: pa.DataType) -> pa.Array | None:
    """The values, or None when Arrow reads one of the texts not at all."""
    try:
        return pc.cast(text, arrow_type)
    except pa.ArrowInvalid:
        return None


def _plain_integer(text: pa.Array) -> pa.Array | None:
    # Arrow also reads hexadecimal numbers; the sign and the digits come before all letters.
    return _cast_or_none(text, INTEGER) if _bytes(text).max(initial=0) <= ord("9") else None


def _plain_decimal(text: pa.Array) -> pa.Array | None:
    values = _cast_or_none(text, pa.float64())
    # Arrow reads `nan`, `inf`, and numbers too large for the type, as numbers that are none.
    return values if values is not None and _all(pc.is_finite(values)) else None


def _plain_date(text: pa.Array) -> pa.Array | None:
    values = _cast_or_none(text, pa.date32())
    # Arrow knows a year 0000; neither Python nor the calendar does.
    return values if values is not None and _all(pc.greater_equal(values, _FIRST_DAY)) else None


def _plain_timestamp(length: int) -> Callable[[pa.Array], pa.Array | None]:
    """Of the ways Arrow reads, the one of this length, with a blank between date and time."""

    def convert(text: pa.Array) -> pa.Array | None:
        if not np.isin(_lengths(text), (0, length)).all():
            return None
        if (_bytes(text).reshape(-1, length)[:, len("2023-09-02")] != ord(" ")).any():
            return None
        values = _cast_or_none(text, TIMESTAMP)
        if values is not None and _all(pc.greater_equal(values, _FIRST_MOMENT)):
            return values
        return None

    return convert


def _plain_boolean(text: pa.Array) -> pa.Array | None:
    # Arrow also reads `true` and `false`.
    return _cast_or_none(text, BOOLEAN) if _lengths(text).max() <= 1 else None


def _bytes(text: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all texts one after the other; there is a text."""
    starts = _starts(text)
    _, _, content = text.buffers()
    return np.frombuffer(content or b"", np.uint8)[starts[0] : starts[-1]]


def _lengths(text: pa.Array) -> npt.NDArray[np.int32]:
    """Bytes of each text; blanks that were made null have none."""
    return np.diff(_starts(text))


def _starts(text: pa.Array) -> npt.NDArray[np.int32]:
    _, offsets, _ = text.buffers()
    return np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]


def _never_plain(_: pa.Array) -> pa.Array | None:
    """Kinds that are too rare to be worth a second way."""
    return None


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
    "integer": _Parser(
        "integer", _whole(TEXT_VALIDATIONS["integer"].pattern), _to_integer, _plain_integer
    ),
    "decimal": _Parser(
        "number", _whole(TEXT_VALIDATIONS["number"].pattern), _to_decimal, _plain_decimal
    ),
    "decimal_comma": _Parser(
        "number",
        _whole(TEXT_VALIDATIONS["number_comma_decimal"].pattern),
        _to_decimal_with_comma,
        _never_plain,
    ),
    "date": _Parser("date", _whole(_EXISTING_DATE), _to_date, _plain_date),
    "datetime": _Parser(
        "datetime",
        _whole(f"{_EXISTING_DATE} {_TIME}"),
        _to_timestamp,
        _plain_timestamp(len("2023-09-02 01:03")),
    ),
    "datetime_seconds": _Parser(
        "datetime",
        _whole(f"{_EXISTING_DATE} {_TIME_SECONDS}"),
        _to_timestamp,
        _plain_timestamp(len("2023-09-02 01:03:01")),
    ),
    "time": _Parser("time", _whole(_TIME), _to_time, _never_plain),
    "time_seconds": _Parser("time", _whole(_TIME_SECONDS), _to_time, _never_plain),
    "minutes_seconds": _Parser(
        "time",
        _whole(TEXT_VALIDATIONS["time_mm_ss"].pattern),
        _to_minutes_and_seconds,
        _never_plain,
    ),
    "boolean": _Parser("boolean", _whole("[01]"), _to_boolean, _plain_boolean),
}
