"""Evaluate an expression over a whole table at once: the same as `evaluate.py` row by row."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import pandas as pd

from redcap_dagster.logic.columns import (
    Column,
    choice_column,
    condition_column,
    number_column,
    repeat,
    text_constant,
)
from redcap_dagster.logic.comparison_arrays import compare_columns
from redcap_dagster.logic.functions import find_function
from redcap_dagster.logic.kinds import kind_of
from redcap_dagster.logic.number_arrays import (
    Booleans,
    Floats,
    divide,
    finite,
    power,
    remainder,
)
from redcap_dagster.logic.options import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.logic.setting import Setting, prepare
from redcap_dagster.logic.study_frame import StudyFrame
from redcap_dagster.logic.table_functions import call_function
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


class TableValues:
    """What an expression gives on every row of a table, in the table's order.

    Three readings of the same values: a value can be asked for as condition, number and text.
    """

    def __init__(self, column: Column, kind: Kind, index: pd.Index) -> None:
        self._column = column
        self._index = index
        self.kind = kind

    def __repr__(self) -> str:
        return f"TableValues({len(self._index)} rows, {self.kind.value})"

    @property
    def is_true(self) -> "pd.Series[bool]":
        """As conditions: neither blank nor 0. dtype bool."""
        truth = np.broadcast_to(self._column.truth, len(self._index))
        return pd.Series(truth, index=self._index, dtype=bool)

    @property
    def number(self) -> "pd.Series[float]":
        """As numbers: null where blank or not a number. dtype Float64."""
        number = np.broadcast_to(self._column.number, len(self._index))
        is_blank = np.isnan(number)
        masked = pd.arrays.FloatingArray(np.where(is_blank, 0.0, number), is_blank)
        return pd.Series(masked, index=self._index)

    @property
    def text(self) -> "pd.Series[str]":
        """As texts: "" where blank. dtype object or string, as pandas reads Arrow texts."""
        text = repeat(self._column.text, len(self._index))
        return pd.Series(text.to_pandas(), dtype="str").set_axis(self._index)


def evaluate_table(
    expression: Expression,
    study: StudyFrame,
    *,
    instrument: str | None = None,
    as_of: date | datetime | None = None,
    options: LogicOptions = DEFAULT_OPTIONS,
) -> TableValues:
    """Evaluate an expression on every row of a table.

    Args:
        expression: What `parse_logic` returned.
        study: The rows. References to other events and instances look at all of them, so all
            rows of a record must be there.
        instrument: Instrument that the logic belongs to, for `[instrument-name]`.
        as_of: What `today` and `now` mean.
        options: What the documentation leaves open.

    Returns:
        One value for each row; it reads as condition, number and text.

    Raises:
        ConfigError: The table lacks a column that says where a row belongs.
        LogicNameError: A field, event, function or column that is not there.
        LogicTypeError: Arguments that a function does not take.
        LogicUnsupportedError: A construct that is not supported, named.

    Examples:
        >>> import pandas as pd
        >>> from redcap_dagster.logic import StudyFrame, parse_logic
        >>> study = StudyFrame(pd.DataFrame({"weight": ["80", ""], "height": ["200", "180"]}))
        >>> bmi = evaluate_table(parse_logic("[weight] / ([height]/100)^2"), study)
        >>> bmi.number.tolist()
        [20.0, <NA>]
    """
    setting = Setting(study.shape, instrument, as_of, options)
    prepared = prepare(expression, setting)
    column = _TableEvaluator(study, setting, prepared).column(prepared.root)
    index = study.table.index if isinstance(study.table, pd.DataFrame) else None
    rows = pd.RangeIndex(len(study)) if index is None else index
    return TableValues(column, kind_of(prepared.root), rows)


class _TableEvaluator:
    """Evaluates nodes to columns. A reference is looked up once, however often it is written."""

    def __init__(self, study: StudyFrame, setting: Setting, expression: Expression) -> None:
        self._study = study
        self._setting = setting
        self._expression = expression
        self._references: dict[Reference, Column] = {}

    def column(self, node: Node) -> Column:
        """The values of a node."""
        if isinstance(node, Text):
            return text_constant(node.value)
        if isinstance(node, Number):
            return number_column(finite(np.array([float(node.text)])))
        if isinstance(node, Reference):
            return self._reference(node)
        if isinstance(node, Call):
            return self._call(node)
        if kind_of(node) is Kind.NUMBER:
            return number_column(self._number(node))
        return condition_column(self._truth(node))

    def _reference(self, node: Reference) -> Column:
        if node not in self._references:
            found = self._study.column(node, self._expression, self._setting)
            self._references[node] = found
        return self._references[node]

    def _call(self, node: Call) -> Column:
        arguments = [self.column(argument) for argument in node.arguments]
        function = find_function(node.name)
        if node.name == "if" or function is None:
            condition, yes, no = arguments
            return choice_column(condition.truth, yes, no)
        return call_function(function, arguments, self._setting)

    def _number(self, node: Node) -> Floats:
        if isinstance(node, Arithmetic):
            result = self.column(node.first).number
            for sign, operand in node.rest:
                result = self._operate(sign, result, self.column(operand).number)
            return result
        if isinstance(node, Power):
            return power(self.column(node.base).number, self.column(node.exponent).number)
        if isinstance(node, Sign) and node.operator == "-":
            return -self.column(node.operand).number
        return self.column(node.operand if isinstance(node, Sign) else node).number

    def _operate(self, sign: str, left: Floats, right: Floats) -> Floats:
        if sign == "/":
            return divide(left, right)
        if sign == "%":
            return remainder(left, right, self._setting.options)
        with np.errstate(over="ignore"):
            if sign == "*":
                return finite(left * right)
            return finite(left + right if sign == "+" else left - right)

    def _truth(self, node: Node) -> Booleans:
        if isinstance(node, Truth):
            return np.array([node.value])
        if isinstance(node, Not):
            return ~self.column(node.operand).truth
        if isinstance(node, Junction):
            join = np.logical_and if node.operator == "and" else np.logical_or
            return _join_all(join, [self.column(operand).truth for operand in node.operands])
        if isinstance(node, Comparison):
            return compare_columns(
                node.operator,
                self.column(node.left),
                self.column(node.right),
                self._setting.options,
                are_texts=kind_of(node.left) is kind_of(node.right) is Kind.TEXT,
            )
        return self.column(node).truth


def _join_all(join: np.ufunc, truths: Sequence[Booleans]) -> Booleans:
    result = truths[0]
    for truth in truths[1:]:
        result = join(result, truth)
    return result
