"""REDCap's logic language: branching logic, calculations, filters, custom rules.

`parse_logic` makes an `Expression` from text, `check_logic` holds it against a study's design,
`evaluate_row` says what it means on one row, `evaluate_table` on every row of a `StudyFrame`.
`find_action_tags` and `parse_calculation` find the logic that stands in field annotations. What
the language is, and how each fact is known, stands in docs/logic.md.
"""

from redcap_dagster.logic.annotation import ActionTag, find_action_tags, split_arguments
from redcap_dagster.logic.calculation import parse_calculation, uses_today
from redcap_dagster.logic.check import check_logic
from redcap_dagster.logic.evaluate import evaluate_row
from redcap_dagster.logic.functions import FUNCTIONS
from redcap_dagster.logic.kinds import kind_of
from redcap_dagster.logic.options import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.logic.parser import parse_logic
from redcap_dagster.logic.study_frame import StudyFrame
from redcap_dagster.logic.tree import Expression, Kind, Reference, references
from redcap_dagster.logic.values import Value
from redcap_dagster.logic.vectorised import TableValues, evaluate_table

__all__ = [
    "DEFAULT_OPTIONS",
    "FUNCTIONS",
    "ActionTag",
    "Expression",
    "Kind",
    "LogicOptions",
    "Reference",
    "StudyFrame",
    "TableValues",
    "Value",
    "check_logic",
    "evaluate_row",
    "evaluate_table",
    "find_action_tags",
    "kind_of",
    "parse_calculation",
    "parse_logic",
    "references",
    "split_arguments",
    "uses_today",
]
