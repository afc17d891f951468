"""The functions on one row.

Arguments come as the function's parameters say: a number that is blank is None, a date is seconds.
"""

import math
from collections.abc import Callable
from typing import Any

from redcap_dagster.logic import texts
from redcap_dagster.logic.moments import (
    age_in_years,
    date_difference,
    date_part,
    shifted_date,
)
from redcap_dagster.logic.numbers import (
    finite,
    is_integer_text,
    remainder,
    round_directed,
    round_half,
)
from redcap_dagster.logic.setting import Setting

Numbers = tuple[float | None, ...]


def _round(setting: Setting, number: float | None, decimals: float | None) -> float | None:
    if number is None or decimals is None:
        return None
    return round_half(number, decimals, setting.options)


def _round_up(setting: Setting, number: float | None, decimals: float | None) -> float | None:
    if number is None or decimals is None:
        return None
    return round_directed(number, decimals, up=True, options=setting.options)


def _round_down(setting: Setting, number: float | None, decimals: float | None) -> float | None:
    if number is None or decimals is None:
        return None
    return round_directed(number, decimals, up=False, options=setting.options)


def _sqrt(_setting: Setting, number: float | None) -> float | None:
    return None if number is None or number < 0 else math.sqrt(number)


def _abs(_setting: Setting, number: float | None) -> float | None:
    return None if number is None else abs(number)


def _exponential(_setting: Setting, number: float | None) -> float | None:
    if number is None:
        return None
    try:
        return finite(math.exp(number))
    except OverflowError:
        return None


def _log(_setting: Setting, number: float | None, *base: float | None) -> float | None:
    if number is None or number <= 0:
        return None
    if not base:
        return math.log(number)
    if base[0] is None or base[0] <= 0 or base[0] == 1:
        return None
    return math.log(number) / math.log(base[0])


def _mod(setting: Setting, dividend: float | None, divisor: float | None) -> float | None:
    if dividend is None or divisor is None:
        return None
    return remainder(dividend, divisor, setting.options)


def _present(numbers: Numbers) -> list[float]:
    return [number for number in numbers if number is not None]


def _min(_setting: Setting, *numbers: float | None) -> float | None:
    return min(_present(numbers), default=None)


def _max(_setting: Setting, *numbers: float | None) -> float | None:
    return max(_present(numbers), default=None)


def _total(numbers: list[float]) -> float:
    # From the left, without the correction of the built-in sum: arrays are added up the same way.
    total = 0.0
    for number in numbers:
        total += number
    return total


def _sum(setting: Setting, *numbers: float | None) -> float | None:
    present = _present(numbers)
    if not present:
        return 0.0 if setting.options.sum_of_blanks == "zero" else None
    return finite(_total(present))


def _mean(_setting: Setting, *numbers: float | None) -> float | None:
    present = _present(numbers)
    return finite(_total(present) / len(present)) if present else None


def _median(_setting: Setting, *numbers: float | None) -> float | None:
    present = sorted(_present(numbers))
    if not present:
        return None
    middle = len(present) // 2
    if len(present) % 2:
        return present[middle]
    return finite((present[middle - 1] + present[middle]) / 2)


def _stdev(setting: Setting, *numbers: float | None) -> float | None:
    present = _present(numbers)
    divisor = len(present) - (1 if setting.options.stdev == "sample" else 0)
    if divisor <= 0:
        return None
    mean = _total(present) / len(present)
    squares = _total([(number - mean) * (number - mean) for number in present])
    return finite(math.sqrt(squares / divisor)) if math.isfinite(squares) else None


def _datediff(
    _setting: Setting, first: float | None, second: float | None, unit: str, is_signed: bool
) -> float | None:
    return date_difference(first, second, unit, is_signed=is_signed)


def _codes(setting: Setting) -> frozenset[str]:
    return setting.missing_codes or frozenset()


def _has_missing_code(setting: Setting, text: str, listed: str) -> bool:
    wanted = {code.strip() for code in listed.split(",")}
    return text in _codes(setting) and text in wanted


ROW_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "round": _round,
    "roundup": _round_up,
    "rounddown": _round_down,
    "sqrt": _sqrt,
    "abs": _abs,
    "exponential": _exponential,
    "log": _log,
    "mod": _mod,
    "min": _min,
    "max": _max,
    "mean": _mean,
    "median": _median,
    "sum": _sum,
    "stdev": _stdev,
    "datediff": _datediff,
    "age_at_date": lambda _setting, birth, day: age_in_years(birth, day),
    "year": lambda _setting, day: date_part(day, "year"),
    "month": lambda _setting, day: date_part(day, "month"),
    "day": lambda _setting, day: date_part(day, "day"),
    "dayoftheweek": lambda _setting, day: date_part(day, "dayoftheweek"),
    "isnumber": lambda _setting, number: number is not None,
    "isinteger": lambda _setting, text: is_integer_text(text),
    "isblankormissingcode": lambda setting, text: text == "" or text in _codes(setting),
    "isblanknotmissingcode": lambda _setting, text: text == "",
    "ismissingcode": lambda setting, text: text in _codes(setting),
    "hasmissingcode": _has_missing_code,
    "contains": lambda _setting, text, part: texts.contains(text, part),
    "not_contain": lambda _setting, text, part: not texts.contains(text, part),
    "starts_with": lambda _setting, text, part: texts.starts_with(text, part),
    "ends_with": lambda _setting, text, part: texts.ends_with(text, part),
    "find": lambda setting, part, text: texts.find(
        part, text, is_case_sensitive=setting.options.find_is_case_sensitive
    ),
    "left": lambda _setting, text, count: texts.left(text, count),
    "right": lambda _setting, text, count: texts.right(text, count),
    "mid": lambda _setting, text, start, count: texts.mid(text, start, count),
    "length": lambda _setting, text: float(len(text)),
    "trim": lambda _setting, text: texts.trim(text),
    "upper": lambda _setting, text: text.upper(),
    "lower": lambda _setting, text: text.lower(),
    "concat": lambda _setting, *parts: "".join(parts),
    "concat_ws": lambda _setting, separator, *parts: texts.concat_ws(separator, *parts),
    "replace_text": lambda _setting, text, old, new: texts.replace_text(text, old, new),
    "@calcdate": lambda _setting, day, offset, unit, length: shifted_date(
        day, offset, unit, int(length)
    ),
}
"""How each function but `if` is computed: the setting first, then its arguments."""
