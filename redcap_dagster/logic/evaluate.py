"""The meaning of logic: evaluate an expression on one row. Slow and obvious.

`vectorised.py` computes the same over a whole table, and is held equal to this by property tests.
"""

from collections.abc import Sequence
from datetime import date, datetime

from redcap_dagster.logic.comparison import compare
from redcap_dagster.logic.functions import Parameter, find_function
from redcap_dagster.logic.kinds import kind_of
from redcap_dagster.logic.moments import parse_seconds
from redcap_dagster.logic.numbers import finite, power, remainder
from redcap_dagster.logic.options import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.logic.row_functions import ROW_FUNCTIONS
from redcap_dagster.logic.row_references import RecordView, Row
from redcap_dagster.logic.setting import Setting, prepare
from redcap_dagster.logic.shape import StudyShape
from redcap_dagster.logic.tree import (
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Junction,
    Kind,
    Node,
    Not,
    Number,
    Power,
    Reference,
    Sign,
    Text,
    Truth,
)
from redcap_dagster.logic.values import Value
from redcap_dagster.project import RedcapProject


def evaluate_row(
    expression: Expression,
    row: Row,
    *,
    record_rows: Sequence[Row] = (),
    project: RedcapProject | None = None,
    instrument: str | None = None,
    as_of: date | datetime | None = None,
    options: LogicOptions = DEFAULT_OPTIONS,
) -> Value:
    """Evaluate an expression on one row of a flat raw export.

    Args:
        expression: What `parse_logic` returned.
        row: Column name → text as REDCap sends it, checkboxes as `race___2`. An absent column is
            blank.
        record_rows: Every row of the same record, `row` among them, in any order, for references
            to other events and instances. Left out: `row` alone.
        project: The study's design. Without it every name is a column of `row`, and events,
            instances and smart variables are refused.
        instrument: Instrument that the logic belongs to, for `[instrument-name]`.
        as_of: What `today` and `now` mean.
        options: What the documentation leaves open.

    Returns:
        The value; it reads as text, as number (None is blank) and as condition.

    Raises:
        LogicNameError: A field, event or function that is not there.
        LogicTypeError: Arguments that a function does not take.
        LogicUnsupportedError: A construct that is not supported, named.

    Examples:
        >>> from redcap_dagster.logic import parse_logic
        >>> evaluate_row(parse_logic("[weight] / ([height]/100)^2"),
        ...              {"weight": "80", "height": "200"}).number
        20.0
        >>> evaluate_row(parse_logic("[race(2)]='1'"), {"race___2": "1"}).is_true
        True
    """
    setting = Setting(StudyShape(project), instrument, as_of, options)
    prepared = prepare(expression, setting)
    view = RecordView(row, record_rows or (row,), setting)
    return _RowEvaluator(view).value(prepared.root)


class _RowEvaluator:
    """Evaluates nodes on the row of a view."""

    def __init__(self, view: RecordView) -> None:
        self._view = view
        self._options = view.setting.options

    def value(self, node: Node) -> Value:
        """The value of a node."""
        if isinstance(node, Text):
            return Value.of_text(node.value)
        if isinstance(node, Number):
            return Value.of_number(finite(float(node.text)))
        if isinstance(node, Reference):
            has_comma = self._view.setting.shape.has_comma(node.name)
            return Value.of_text(self._view.text_of(node), has_comma=has_comma)
        if isinstance(node, Call):
            return self._call(node)
        if kind_of(node) is Kind.NUMBER:
            return Value.of_number(self._number(node))
        return Value.of_condition(self._truth(node))

    def _number(self, node: Node) -> float | None:
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        if isinstance(node, Power):
            base, exponent = self.value(node.base).number, self.value(node.exponent).number
            return None if base is None or exponent is None else power(base, exponent)
        if isinstance(node, Sign):
            number = self.value(node.operand).number
            return number if number is None or node.operator == "+" else -number
        return self.value(node).number

    def _arithmetic(self, node: Arithmetic) -> float | None:
        result = self.value(node.first).number
        for sign, operand in node.rest:
            number = self.value(operand).number
            if result is None or number is None:
                return None
            result = self._operate(sign, result, number)
        return result

    def _operate(self, sign: str, left: float, right: float) -> float | None:
        if sign == "+":
            return finite(left + right)
        if sign == "-":
            return finite(left - right)
        if sign == "*":
            return finite(left * right)
        if sign == "%":
            return remainder(left, right, self._options)
        return None if right == 0 else finite(left / right)

    def _truth(self, node: Node) -> bool:
        if isinstance(node, Truth):
            return node.value
        if isinstance(node, Comparison):
            left, right = self.value(node.left), self.value(node.right)
            return compare(node.operator, left, right, self._options)
        if isinstance(node, Not):
            return not self.value(node.operand).is_true
        if isinstance(node, Junction):
            truths = [self.value(operand).is_true for operand in node.operands]
            return all(truths) if node.operator == "and" else any(truths)
        return self.value(node).is_true

    def _call(self, node: Call) -> Value:
        if node.name == "if":
            condition, yes, no = node.arguments
            chosen = self.value(yes if self.value(condition).is_true else no)
            return Value(kind_of(node), chosen.text, chosen.number)
        arguments = [self._argument(node, place) for place in range(len(node.arguments))]
        result = ROW_FUNCTIONS[node.name](self._view.setting, *arguments)
        kind = kind_of(node)
        if kind is Kind.TEXT:
            return Value.of_text(result)
        return Value.of_number(result) if kind is Kind.NUMBER else Value.of_condition(result)

    def _argument(self, node: Call, place: int) -> object:
        value = self.value(node.arguments[place])
        function = find_function(node.name)
        parameter = None if function is None else function.parameter(place)
        if parameter is Parameter.NUMBER:
            return value.number
        if parameter is Parameter.DATE:
            return parse_seconds(value.text)
        return value.is_true if parameter is Parameter.SWITCH else value.text
