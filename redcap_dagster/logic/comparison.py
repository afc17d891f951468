"""How two values compare, one row at a time."""

import operator
from collections.abc import Callable

from redcap_dagster.logic.moments import NO_MOMENT, Moment, MomentKind, parse_moment
from redcap_dagster.logic.numbers import are_close
from redcap_dagster.logic.options import LogicOptions
from redcap_dagster.logic.tree import ComparisonOperator, Kind
from redcap_dagster.logic.values import Value

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def compare(sign: ComparisonOperator, left: Value, right: Value, options: LogicOptions) -> bool:
    """Compare two values as REDCap does.

    Numbers compare as numbers. Otherwise `=` and `<>` compare the exact text, so a blank differs
    from everything but a blank; the others are false, unless both are dates or both times.
    """
    if sign == "=":
        return _are_equal(left, right, options)
    if sign == "<>":
        return not _are_equal(left, right, options)
    return _is_ordered(sign, left, right, options)


def _are_equal(left: Value, right: Value, options: LogicOptions) -> bool:
    are_texts = left.kind is Kind.TEXT and right.kind is Kind.TEXT
    if left.number is None or right.number is None:
        return left.text == right.text
    if are_texts and not options.numeric_text_equality:
        return left.text == right.text
    return are_close(left.number, right.number, options.tolerance)


def _is_ordered(sign: ComparisonOperator, left: Value, right: Value, options: LogicOptions) -> bool:
    first, second = _order_number(left, options), _order_number(right, options)
    has_number = left.number is not None or right.number is not None
    if first is not None and second is not None and has_number:
        if are_close(first, second, options.tolerance):
            return sign in {"<=", ">="}
        return _ORDER[sign](first, second)
    moments = _order_moment(left, options), _order_moment(right, options)
    if NO_MOMENT in moments or moments[0].kind != moments[1].kind:
        return False
    return _ORDER[sign](moments[0].seconds, moments[1].seconds)


def _order_number(value: Value, options: LogicOptions) -> float | None:
    return 0.0 if value.is_blank and options.blank_orders_as_zero else value.number


def _order_moment(value: Value, options: LogicOptions) -> Moment:
    moment = parse_moment(value.text) if value.kind is Kind.TEXT else NO_MOMENT
    if options.mixed_date_order and moment.kind is MomentKind.DATE:
        return Moment(MomentKind.DATETIME, moment.seconds)
    return moment
