"""Judging a typed table by its schema: counts come out, values do not.

pandera's `schema.validate` gathers every failing value into its exception, and the exception's
text shows them. Here each check is called by itself, and only how many rows fail is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.engines.pandas_engine import Engine

from redcap_dagster.errors import ConfigError

COLUMN_PRESENT = "column_present"
DTYPE = "dtype"
NOT_NULL = "not_null"
UNIQUE_KEY = "unique_key"


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """How many rows of a table break one rule in one column.

    Attributes:
        column: Name of the column; None for a rule about whole rows.
        rule: Name of the rule: `column_present`, `dtype`, `not_null`, `unique_key`, or the name
            of a check of the schema.
        row_count: Rows that break it; at least one, unless a column is missing or mistyped in a
            table without rows.
    """

    column: str | None
    rule: str
    row_count: int


def validate_table(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> tuple[RuleFailure, ...]:
    """Count the rows that break each rule of a schema.

    A column that is missing or of another dtype breaks that rule in every row, and is not judged
    further. A whole table can be judged in pieces and the counts merged with `merge_failures`; a
    key that repeats across pieces is then not seen.

    Args:
        schema: What `build_schema` returned, or a schema made from it by adding columns and
            checks.
        frame: A typed table, or some of its rows.

    Returns:
        One failure per column and broken rule, in the schema's order, rules of whole rows last.
        Empty when the frame is valid.

    Raises:
        ConfigError: The schema uses a part of pandera that is not supported here.
    """
    _refuse_unsupported(schema)
    failures = [
        failure
        for name, column in schema.columns.items()
        for failure in _judge_column(name, column, frame)
    ]
    return merge_failures([failures, _judge_rows(schema, frame)])


def merge_failures(pieces: Iterable[Iterable[RuleFailure]]) -> tuple[RuleFailure, ...]:
    """Add up the failures of the pieces of one table, by column and rule, in order of sight."""
    row_counts: defaultdict[tuple[str | None, str], int] = defaultdict(int)
    for piece in pieces:
        for failure in piece:
            row_counts[failure.column, failure.rule] += failure.row_count
    return tuple(
        RuleFailure(column, rule, row_count) for (column, rule), row_count in row_counts.items()
    )


def _refuse_unsupported(schema: pa.DataFrameSchema) -> None:
    used = {
        "coerce": schema.coerce or any(column.coerce for column in schema.columns.values()),
        "dtype": schema.dtype is not None,
        "index": schema.index is not None,
        "ordered": schema.ordered,
        "parsers": schema.parsers or any(column.parsers for column in schema.columns.values()),
        "regex": any(column.regex for column in schema.columns.values()),
        "strict": schema.strict,
    }
    unsupported = [name for name, is_used in used.items() if is_used]
    if unsupported:
        raise ConfigError(
            f"The schema {schema.name} uses {', '.join(unsupported)}, which validate_table does "
            "not support. Validate with the schema itself, or leave it out."
        )


def _judge_column(name: str, column: pa.Column, frame: pd.DataFrame) -> Iterator[RuleFailure]:
    if name not in frame.columns:
        if column.required:
            yield RuleFailure(name, COLUMN_PRESENT, len(frame))
        return
    series = frame[name]
    expected: Any = column.dtype  # None where a user gave none: pandera's annotation forgets it
    if expected is not None and not expected.check(Engine.dtype(series.dtype)):
        yield RuleFailure(name, DTYPE, len(frame))
        return
    if not column.nullable:
        yield from _failure(name, NOT_NULL, int(series.isna().sum()))
    if column.unique:
        yield from _failure(name, UNIQUE_KEY, int(series.duplicated(keep=False).sum()))
    for check in column.checks:
        yield from _failure(name, _rule_name(check), _count_failing_rows(check, series))


def _judge_rows(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> Iterator[RuleFailure]:
    key = schema.unique
    if key and all(name in frame.columns for name in key):
        duplicated = frame.duplicated(subset=key, keep=False)
        yield from _failure(None, UNIQUE_KEY, int(duplicated.sum()))
    for check in schema.checks:
        yield from _failure(None, _rule_name(check), _count_failing_rows(check, frame))


def _failure(column: str | None, rule: str, row_count: int) -> Iterator[RuleFailure]:
    if row_count:
        yield RuleFailure(column, rule, row_count)


def _rule_name(check: pa.Check) -> str:
    return check.name or "unnamed"


def _count_failing_rows(check: pa.Check, checked: pd.Series | pd.DataFrame) -> int:
    """Rows that a check says no to; all of them where it answers for the whole at once."""
    result = check(checked)
    if result.check_passed:
        return 0
    output = result.check_output
    if isinstance(output, pd.DataFrame):
        output = output.all(axis="columns")
    if not isinstance(output, pd.Series):
        return len(checked)
    return int((~output).sum())
