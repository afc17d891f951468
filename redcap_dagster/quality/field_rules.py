"""The rules that look at one field at a time: A, B, C, D, F, G, H, I and the limits of entry.

Each is a function of the field's cells that says where it finds something. `docs/quality.md`
defines them.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic import Expression, references
from redcap_dagster.project import TEXT_VALIDATIONS, DictionaryField, ValueKind, text_validation
from redcap_dagster.quality.bounds import Bound, Limit
from redcap_dagster.quality.catalogue import (
    ENTRY_LIMITS,
    FORBIDDEN_CODE,
    HIDDEN_FIELDS_WITH_VALUES,
    INCORRECT_CALCULATIONS,
    INVALID_CHOICES,
    INVALID_DATA_TYPE,
    MISSING_DATA_CODES,
    MISSING_REQUIRED_VALUES,
    MISSING_VALUES,
    OUT_OF_RANGE,
)
from redcap_dagster.quality.cells import FieldCells, to_mask, typed_values
from redcap_dagster.quality.findings import Mask, blank_to_null
from redcap_dagster.quality.options import QualityOptions

Places: TypeAlias = Iterator[tuple[str, Mask]]
"""What is wrong, in words, and where."""

Floats: TypeAlias = npt.NDArray[np.float64]

_NUMBERS = ("integer", "decimal", "decimal_comma")
_TIMES = ("time", "time_seconds", "minutes_seconds")
_CHOICE_TYPES = ("radio", "dropdown", "yesno", "truefalse")
_TYPED_BY_KIND = ("slider", "yesno", "truefalse")
_DATE_LENGTH = len("2024-03-01")
_WHOLE_DAY: dict[ValueKind, tuple[str, str]] = {
    "datetime": (" 00:00", " 23:59"),
    "datetime_seconds": (" 00:00:00", " 23:59:59"),
}
_BOUND_KINDS: dict[ValueKind, tuple[ValueKind, ...]] = {
    "date": ("date",),
    "datetime": ("datetime", "datetime_seconds"),
    "datetime_seconds": ("datetime_seconds", "datetime"),
    "time": ("time", "time_seconds"),
    "time_seconds": ("time_seconds", "time"),
    "minutes_seconds": ("minutes_seconds", "time_seconds"),
}
"""How the field that a bound refers to may be written: with seconds or without."""


def missing_values(cells: FieldCells, options: QualityOptions) -> Places:
    """Rule A."""
    skipped = {"checkbox", "calc"} | (set() if options.includes_file_fields else {"file"})
    if cells.plan.field.field_type not in skipped:
        yield from _blank(cells, options)


def missing_required_values(cells: FieldCells, options: QualityOptions) -> Places:
    """Rule B."""
    is_asked = options.requires_a_tick or not cells.is_checkbox
    if cells.plan.field.is_required and is_asked:
        yield from _blank(cells, options)


def _blank(cells: FieldCells, options: QualityOptions) -> Places:
    if not cells.plan.branching_is_readable:
        return
    blank = ~cells.filled
    if not options.includes_unopened_forms:
        blank &= cells.form.opened
    if blank.any() and cells.shown is not None:
        blank &= cells.shown
    yield "Blank value", blank


def invalid_data_type(cells: FieldCells, options: QualityOptions) -> Places:
    """Rule C."""
    field = cells.plan.field
    is_text = field.field_type == "text" and field.validation in TEXT_VALIDATIONS
    if not is_text and field.field_type not in _TYPED_BY_KIND:
        return
    if cells.cast.misfits is not None:
        yield "Validation error", to_mask(cells.cast.misfits)
    pattern = _pattern_to_match(field, options) if is_text else ""
    if pattern:
        text = cells.text
        fits = pc.match_substring_regex(text, rf"^\s*(?:{pattern})\s*$")
        wrong = pc.invert(fits).fill_null(False)
        if cells.cast.misfits is not None:
            wrong = pc.and_not(wrong, cells.cast.misfits)
        yield "Validation error", to_mask(wrong)


def _pattern_to_match(field: DictionaryField, options: QualityOptions) -> str:
    """The pattern of a validation that casting does not judge."""
    validation = text_validation(field)
    if validation.kind == "text" or (validation.decimals is not None and options.exact_decimals):
        return validation.pattern
    return ""


def out_of_range(cells: FieldCells, as_of: date | datetime) -> Places:
    """Rule D. Raises `LogicError` where a bound cannot be evaluated."""
    plan = cells.plan
    if (plan.lower is None and plan.upper is None) or cells.raw.null_count == len(cells):
        return
    is_beyond = np.zeros(len(cells), dtype=np.bool_)
    for side, limit in enumerate((plan.lower, plan.upper)):
        if limit is not None:
            is_beyond |= _beyond(cells.typed, limit, cells, as_of, side)
    yield "Out of range", is_beyond


def _beyond(
    values: pa.Array, limit: Limit, cells: FieldCells, as_of: date | datetime, side: int
) -> Mask:
    kind = cells.plan.kind
    compare = (pc.less, pc.greater)[side]
    if limit.expression is None:
        bound = _constant(limit, kind, as_of, side)
        values = _comparable(values, bound)
        extreme = (pc.min, pc.max)[side](values)
        if not compare(extreme, bound).as_py():  # most columns have no value out of range
            return np.zeros(len(values), dtype=np.bool_)
    else:
        bound = _bound_on_each_row(limit, cells, side)
        values = _comparable(values, bound)
    return to_mask(compare(values, bound).fill_null(False))


def _comparable(values: pa.Array, bound: pa.Array | pa.Scalar) -> pa.Array:
    """Values as what a bound can be held against: whole numbers as floats where the bound is one.

    Arrow does that itself, but ends with the first value of more digits than a float has.
    """
    is_float = pa.types.is_integer(values.type) and pa.types.is_floating(bound.type)
    return values.cast(pa.float64(), safe=False) if is_float else values


def _constant(limit: Limit, kind: ValueKind, as_of: date | datetime, side: int) -> pa.Scalar:
    if limit.constant is not None:
        return _scalar(limit.constant, kind)
    moment = as_of if isinstance(as_of, datetime) else datetime(as_of.year, as_of.month, as_of.day)  # noqa: DTZ001 - REDCap knows no time zones
    if kind == "date":
        return pa.scalar(moment.date())
    if kind in _TIMES:
        clock = pd.Timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
        return _scalar(clock, kind)
    if limit.word == "today":  # a date bounds a moment by its whole day
        text = moment.strftime("%Y-%m-%d") + _WHOLE_DAY["datetime_seconds"][side]
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    return pa.scalar(moment, pa.timestamp("ms"))


def _scalar(bound: Bound, kind: ValueKind) -> pa.Scalar:
    if isinstance(bound, pd.Timestamp):
        return pa.scalar(bound.date()) if kind == "date" else pa.scalar(bound, pa.timestamp("ms"))
    if isinstance(bound, pd.Timedelta):
        return pa.scalar(int(bound.total_seconds() * 1000), pa.int32()).cast(pa.time32("ms"))
    return pa.scalar(bound)


def _bound_on_each_row(limit: Limit, cells: FieldCells, side: int) -> pa.Array:
    """The bound in each row; null, so no bound, where the field it refers to is blank or coded."""
    if limit.expression is None:
        raise AssertionError  # asked for such limits only
    form, kind = cells.form, cells.plan.kind
    found = form.rows.evaluate(limit.expression, form.plan.name)
    if kind in _NUMBERS:
        number = found.number.to_numpy(dtype=np.float64, na_value=np.nan)
        bound = pa.array(number, from_pandas=True)
    else:
        text = pa.array(found.text, pa.string())
        if kind in _WHOLE_DAY:
            is_date = pc.equal(pc.utf8_length(text), _DATE_LENGTH)
            whole = pc.binary_join_element_wise(text, _WHOLE_DAY[kind][side], "")
            text = pc.if_else(is_date, whole, text)
        elif kind == "date":
            text = pc.utf8_slice_codeunits(text, 0, _DATE_LENGTH)
        text = blank_to_null(text)
        bound = pc.coalesce(*(typed_values(text, form_of) for form_of in _BOUND_KINDS[kind]))
    bound = pc.if_else(pa.array(_refers_to_code(limit.expression, cells)), None, bound)
    return bound if form.numbers is None else bound.take(pa.array(form.numbers))


def _refers_to_code(expression: Expression, cells: FieldCells) -> Mask:
    """The rows of the slice where a field of a bound holds a missing data code."""
    form = cells.form
    is_coded = np.zeros(len(form.rows), dtype=np.bool_)
    for reference in references(expression):
        codes = cells.plan.bound_codes.get(reference.name)
        if codes:
            alone = Expression(reference, expression.source)
            text = pa.array(form.rows.evaluate(alone, form.plan.name).text, pa.string())
            is_coded |= to_mask(pc.is_in(text, value_set=pa.array(codes, pa.string())))
    return is_coded


def hidden_fields_with_values(cells: FieldCells, options: QualityOptions) -> Places:
    """Rule F. Raises `LogicError` where branching logic cannot be evaluated."""
    is_calculated = cells.plan.field.field_type == "calc"
    if cells.plan.shown is None or (is_calculated and not options.hidden_calculations):
        return
    if cells.shown is not None and cells.has_value.any():
        yield "Hidden field holds a value", cells.has_value & ~cells.shown


def invalid_choices(cells: FieldCells) -> Places:
    """Rule G."""
    field = cells.plan.field
    if field.field_type not in _CHOICE_TYPES or cells.raw.null_count == len(cells):
        return
    codes = pa.array([choice.code for choice in field.choices], pa.string())
    is_choice = pc.is_in(cells.text, value_set=codes)
    yield "Invalid choice", to_mask(pc.and_not(cells.text.is_valid(), is_choice))


def incorrect_calculations(cells: FieldCells, options: QualityOptions) -> Places:
    """Rule H. Raises `LogicError` where the calculation cannot be evaluated."""
    form, plan = cells.form, cells.plan
    if plan.calculation is None:
        return
    found = form.rows.evaluate(plan.calculation, form.plan.name)
    if plan.kind in _NUMBERS:
        number = found.number.to_numpy(dtype=np.float64, na_value=np.nan)
        expected = np.asarray(
            number if form.numbers is None else number[form.numbers], dtype=np.float64
        )
        is_expected = ~np.isnan(expected)
        stored: Floats = cells.typed.to_numpy(zero_copy_only=False).astype(np.float64)
        same = _same_numbers(expected, stored, options.calculation_tolerance)
    else:
        text = pa.array(found.text, pa.string())
        text = text if form.numbers is None else text.take(pa.array(form.numbers))
        is_expected = to_mask(pc.not_equal(text, ""))
        same = to_mask(pc.equal(text, cells.text).fill_null(False))
    yield "Incorrect value", is_expected & cells.has_value & ~same
    yield "Value stored, blank expected", ~is_expected & cells.has_value
    not_stored = is_expected & ~cells.filled
    if not options.includes_unopened_forms:
        not_stored &= form.opened
    if not_stored.any() and plan.branching_is_readable:
        shown = cells.shown
        yield "Blank stored, value expected", not_stored if shown is None else not_stored & shown


def _same_numbers(expected: Floats, stored: Floats, tolerance: float) -> Mask:
    with np.errstate(invalid="ignore"):
        scale = np.maximum(np.abs(expected), np.abs(stored))
        same: Mask = np.abs(expected - stored) <= tolerance * np.maximum(scale, 1.0)
    return same


def missing_data_codes(cells: FieldCells) -> Places:
    """Rule I."""
    if cells.coded is not None:
        is_forbidden = cells.plan.limits.forbids_missing_codes
        yield FORBIDDEN_CODE if is_forbidden else "Missing data code", cells.coded


def entry_limits(cells: FieldCells) -> Places:
    """What action tags enforce on entry, and nobody on import."""
    limits = cells.plan.limits
    if limits.exclusive_codes and cells.is_checkbox:
        exclusive = np.zeros(len(cells), dtype=np.bool_)
        others = np.zeros(len(cells), dtype=np.int64)
        for code, tick in zip(cells.plan.choice_codes, cells.ticks, strict=True):
            others += tick
            if code in limits.exclusive_codes:
                exclusive |= tick
        yield "None of the above is ticked beside another choice", exclusive & (others > 1)
    if limits.most_ticks is not None and cells.is_checkbox:
        ticked = np.sum(cells.ticks, axis=0) if cells.ticks else np.zeros(len(cells))
        yield f"More than {limits.most_ticks} choices are ticked", ticked > limits.most_ticks
    if cells.is_checkbox:
        return
    if limits.most_letters is not None:
        letters = pc.greater(pc.utf8_length(cells.text), limits.most_letters)
        yield f"Longer than {limits.most_letters} letters", _facts(letters)
    if limits.most_words is not None:
        words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(cells.text)))
        many = pc.greater(words, limits.most_words)
        yield f"Longer than {limits.most_words} words", _facts(many)


def _facts(values: pa.Array) -> Mask:
    return to_mask(values.fill_null(False))


FieldRule: TypeAlias = Callable[[FieldCells, QualityOptions, date | datetime], Places]

FIELD_RULES: dict[str, FieldRule] = {
    MISSING_VALUES: lambda cells, options, _: missing_values(cells, options),
    MISSING_REQUIRED_VALUES: lambda cells, options, _: missing_required_values(cells, options),
    INVALID_DATA_TYPE: lambda cells, options, _: invalid_data_type(cells, options),
    OUT_OF_RANGE: lambda cells, _, as_of: out_of_range(cells, as_of),
    HIDDEN_FIELDS_WITH_VALUES: lambda cells, options, _: hidden_fields_with_values(cells, options),
    INVALID_CHOICES: lambda cells, _, __: invalid_choices(cells),
    INCORRECT_CALCULATIONS: lambda cells, options, _: incorrect_calculations(cells, options),
    MISSING_DATA_CODES: lambda cells, _, __: missing_data_codes(cells),
    ENTRY_LIMITS: lambda cells, _, __: entry_limits(cells),
}
"""The rules of one field, by name."""
