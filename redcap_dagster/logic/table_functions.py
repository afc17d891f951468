"""The functions over a table. Text functions work on each distinct text once."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from redcap_dagster.logic.columns import (
    Column,
    condition_column,
    number_column,
    repeat,
    text_column,
)
from redcap_dagster.logic.functions import Function, Parameter
from redcap_dagster.logic.moment_arrays import (
    ages_in_years,
    date_differences,
    date_parts,
    shifted_dates,
)
from redcap_dagster.logic.number_arrays import (
    Floats,
    finite,
    logarithm,
    remainder,
    round_directed,
    round_half,
)
from redcap_dagster.logic.row_functions import ROW_FUNCTIONS
from redcap_dagster.logic.setting import Setting
from redcap_dagster.logic.text_kernels import call_kernel
from redcap_dagster.logic.tree import Kind

NumberFunction = Callable[..., Floats]


def _sqrt(_setting: Setting, numbers: Floats) -> Floats:
    return np.sqrt(np.where(numbers < 0, np.nan, numbers))


def _exponential(_setting: Setting, numbers: Floats) -> Floats:
    return finite(np.exp(numbers))


def _count(arguments: Sequence[Floats]) -> Floats:
    return _total([(~np.isnan(numbers)).astype(np.float64) for numbers in arguments])


def _total(arguments: Sequence[Floats]) -> Floats:
    total = np.zeros(1)
    for numbers in arguments:
        total = total + np.where(np.isnan(numbers), 0.0, numbers)
    return total


def _min(_setting: Setting, *arguments: Floats) -> Floats:
    result = arguments[0]
    for numbers in arguments[1:]:
        result = np.fmin(result, numbers)
    return result


def _max(_setting: Setting, *arguments: Floats) -> Floats:
    result = arguments[0]
    for numbers in arguments[1:]:
        result = np.fmax(result, numbers)
    return result


def _sum(setting: Setting, *arguments: Floats) -> Floats:
    if setting.options.sum_of_blanks == "zero":
        return finite(_total(arguments))
    return finite(np.where(_count(arguments) == 0, np.nan, _total(arguments)))


def _mean(_setting: Setting, *arguments: Floats) -> Floats:
    return finite(_total(arguments) / _count(arguments))


def _median(_setting: Setting, *arguments: Floats) -> Floats:
    ordered = np.sort(np.stack(np.broadcast_arrays(*arguments)), axis=0)
    count = _count(arguments).astype(np.int64)
    count = np.broadcast_to(count, ordered.shape[1:])
    columns = np.arange(ordered.shape[1])
    # Blanks sort to the end; where there are only blanks, the first is one.
    upper = ordered[np.minimum(count // 2, len(ordered) - 1), columns]
    lower = ordered[np.maximum((count - 1) // 2, 0), columns]
    middle = np.where(count % 2 == 1, lower, finite((lower + upper) / 2))
    return np.where(count == 0, np.nan, middle)


def _stdev(setting: Setting, *arguments: Floats) -> Floats:
    count = _count(arguments)
    divisor = count - (1 if setting.options.stdev == "sample" else 0)
    mean = _total(arguments) / count
    squares = _total([(numbers - mean) * (numbers - mean) for numbers in arguments])
    return finite(np.sqrt(squares / np.where(divisor <= 0, np.nan, divisor)))


NUMBER_FUNCTIONS: dict[str, NumberFunction] = {
    "round": lambda setting, number, decimals: round_half(number, decimals, setting.options),
    "roundup": lambda setting, *numbers: round_directed(*numbers, up=True, options=setting.options),
    "rounddown": lambda setting, *numbers: round_directed(
        *numbers, up=False, options=setting.options
    ),
    "sqrt": _sqrt,
    "abs": lambda _setting, numbers: np.abs(numbers),
    "exponential": _exponential,
    "log": lambda _setting, *numbers: logarithm(*numbers),
    "mod": lambda setting, dividend, divisor: remainder(dividend, divisor, setting.options),
    "min": _min,
    "max": _max,
    "mean": _mean,
    "median": _median,
    "sum": _sum,
    "stdev": _stdev,
    "age_at_date": lambda _setting, birth, day: ages_in_years(birth, day),
    "year": lambda _setting, day: date_parts(day, "year"),
    "month": lambda _setting, day: date_parts(day, "month"),
    "day": lambda _setting, day: date_parts(day, "day"),
    "dayoftheweek": lambda _setting, day: date_parts(day, "dayoftheweek"),
}
"""How functions of numbers and dates only are computed over arrays."""


def call_function(function: Function, arguments: Sequence[Column], setting: Setting) -> Column:
    """Call a function other than `if` over columns.

    Args:
        function: The function.
        arguments: Its arguments, as `prepare` left them.
        setting: The circumstances.
    """
    if function.name == "datediff":
        first, second, unit, is_signed = arguments
        return number_column(
            date_differences(
                first.moments.dates,
                second.moments.dates,
                unit.text[0].as_py(),
                is_signed=bool(is_signed.truth[0]),
            )
        )
    if function.name == "@calcdate":
        day, offset, unit, length = arguments
        return text_column(
            shifted_dates(
                day.moments.dates, offset.number, unit.text[0].as_py(), int(length.number[0])
            )
        )
    if function.name == "isnumber":
        return condition_column(~np.isnan(arguments[0].number))
    if function.name in NUMBER_FUNCTIONS:
        arrays = [
            column.moments.dates if function.parameter(place) is Parameter.DATE else column.number
            for place, column in enumerate(arguments)
        ]
        with np.errstate(all="ignore"):
            return number_column(NUMBER_FUNCTIONS[function.name](setting, *arrays))
    made = call_kernel(function.name, arguments)
    return _call_on_each(function, arguments, setting) if made is None else made


def _call_on_each(function: Function, arguments: Sequence[Column], setting: Setting) -> Column:
    """Call the row function on each distinct combination of few, or on each row."""
    views = [_values(function.parameter(place), item) for place, item in enumerate(arguments)]
    compute = ROW_FUNCTIONS[function.name]
    results = _apply(lambda *values: compute(setting, *values), views)
    if function.result is Kind.TEXT:
        return text_column(_gather(results, pa.large_string()))
    if function.result is Kind.NUMBER:
        return number_column(_gather(results, pa.float64()).to_numpy(zero_copy_only=False))
    truth = _gather(results, pa.bool_()).to_numpy(zero_copy_only=False)
    return condition_column(truth)


_Results = tuple[list[Any], pa.Array | None]


def _gather(results: _Results, kind: pa.DataType) -> pa.Array:
    distinct, places = results
    made = pa.array(distinct, kind)
    return made if places is None else made.take(places)


def _values(parameter: Parameter, column: Column) -> pa.Array:
    if parameter is Parameter.NUMBER:
        return pa.array(column.number, from_pandas=True)
    return column.text


def _apply(function: Callable[..., Any], views: Sequence[pa.Array]) -> _Results:
    varying = [view for view in views if len(view) != 1]
    if len(varying) == 1:
        encoded = varying[0].dictionary_encode(null_encoding="encode")
        distinct = [encoded.dictionary if view is varying[0] else view for view in views]
        return _call_along(function, distinct, len(encoded.dictionary)), encoded.indices
    return _call_along(function, views, len(varying[0]) if varying else 1), None


def _call_along(function: Callable[..., Any], views: Sequence[pa.Array], size: int) -> list[Any]:
    columns = [repeat(view, size).to_pylist() for view in views]
    return [function(*values) for values in zip(*columns, strict=True)]
