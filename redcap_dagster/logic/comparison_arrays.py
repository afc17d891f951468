"""How two columns compare: as `comparison.py` does it for two values."""

import operator
from collections.abc import Callable

import numpy as np

from redcap_dagster.logic.columns import Column, texts_equal
from redcap_dagster.logic.moments import MomentKind
from redcap_dagster.logic.number_arrays import Booleans, Floats, are_close
from redcap_dagster.logic.options import LogicOptions
from redcap_dagster.logic.tree import ComparisonOperator

_ORDER: dict[str, Callable[[Floats, Floats], Booleans]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def compare_columns(
    sign: ComparisonOperator,
    left: Column,
    right: Column,
    options: LogicOptions,
    *,
    are_texts: bool,
) -> Booleans:
    """Compare two columns as REDCap does.

    Args:
        sign: The operator.
        left: Left side.
        right: Right side.
        options: What the documentation leaves open.
        are_texts: Whether both sides are stored or quoted text, not computed.
    """
    if sign in {"=", "<>"}:
        equal = _equal(left, right, options, are_texts=are_texts)
        return equal if sign == "=" else ~equal
    return _ordered(sign, left, right, options, are_texts=are_texts)


def _equal(left: Column, right: Column, options: LogicOptions, *, are_texts: bool) -> Booleans:
    if are_texts and not options.numeric_text_equality:
        return texts_equal(left.text, right.text)
    if _is_single_text(right):
        if right.blank[0]:
            return left.blank
        return texts_equal(left.text, right.text) if are_texts else left.blank & right.blank
    are_numbers = ~(np.isnan(left.number) | np.isnan(right.number))
    close = are_close(left.number, right.number, options.tolerance)
    if are_numbers.all():
        return close
    # A computed value is a number or blank, so only blanks can be the same text.
    same = texts_equal(left.text, right.text) if are_texts else left.blank & right.blank
    return np.where(are_numbers, close, same)


def _is_single_text(column: Column) -> bool:
    """Whether a column is one value that is no number: then numbers need not be looked at."""
    return column.number.size == 1 and bool(np.isnan(column.number[0]))


def _ordered(
    sign: ComparisonOperator,
    left: Column,
    right: Column,
    options: LogicOptions,
    *,
    are_texts: bool,
) -> Booleans:
    first, second = left.number, right.number
    are_numbers = ~(np.isnan(first) | np.isnan(second))
    if options.blank_orders_as_zero:
        has_number = ~(np.isnan(first) & np.isnan(second))
        first = np.where(left.blank, 0.0, first)
        second = np.where(right.blank, 0.0, second)
        are_numbers = has_number & ~(np.isnan(first) | np.isnan(second))
    close = are_close(first, second, options.tolerance)
    with np.errstate(invalid="ignore"):
        ordered = np.where(close, sign in {"<=", ">="}, _ORDER[sign](first, second)) & are_numbers
    if are_numbers.all() or not are_texts:
        return ordered
    return ordered | (~are_numbers & _moments_ordered(sign, left, right, options))


def _moments_ordered(
    sign: ComparisonOperator, left: Column, right: Column, options: LogicOptions
) -> Booleans:
    # The right side is often a single literal: where that is no date, the left is not read.
    if not right.moments.kinds.any() or not left.moments.kinds.any():
        return np.zeros(1, dtype=np.bool_)
    first, second = left.moments.kinds, right.moments.kinds
    if options.mixed_date_order:
        first = np.where(first == MomentKind.DATE, MomentKind.DATETIME, first)
        second = np.where(second == MomentKind.DATE, MomentKind.DATETIME, second)
    are_alike = (first == second) & (first != MomentKind.NONE)
    with np.errstate(invalid="ignore"):
        ordered: Booleans = _ORDER[sign](left.moments.seconds, right.moments.seconds)
    both: Booleans = are_alike & ordered
    return both
