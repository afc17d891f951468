"""pandera checks of bounds that move: with the day, or with another field of the same row."""

import operator
from collections.abc import Callable, Iterator
from datetime import date, datetime

import pandas as pd
import pandera.pandas as pa

from redcap_dagster.errors import LogicError
from redcap_dagster.logic import Reference
from redcap_dagster.project import DictionaryField, ValueKind
from redcap_dagster.quality.bounds import Limit, read_limit
from redcap_dagster.tables import TableColumn, TableSpec

RANGE = "range"

_OPERATORS: tuple[Callable[..., "pd.Series[bool]"], ...] = (operator.ge, operator.le)
_FAMILIES: dict[ValueKind, str] = {
    "integer": "number",
    "decimal": "number",
    "decimal_comma": "number",
    "date": "date",
    "datetime": "date",
    "datetime_seconds": "date",
    "time": "time",
    "time_seconds": "time",
    "minutes_seconds": "time",
}
_LAST_MOMENT = pd.Timedelta(hours=23, minutes=59, seconds=59)


def clock_check(word: str, kind: ValueKind, side: int, as_of: date | datetime | None) -> pa.Check:
    """A check against `today` or `now`, which is when the check runs unless `as_of` is given.

    Args:
        word: `today` or `now`.
        kind: Kind of the column's values. A date, or a moment bounded by `today`, is compared by
            whole days.
        side: 0 for a lower bound, 1 for an upper one.
        as_of: What the word means; None for the moment of the check.
    """
    compare = _OPERATORS[side]

    def is_within(values: "pd.Series[pd.Timestamp]") -> "pd.Series[bool]":
        bound = pd.Timestamp(datetime.now() if as_of is None else as_of)  # noqa: DTZ005 - as REDCap
        if _FAMILIES[kind] == "time":
            return compare(values, bound - bound.normalize())
        if kind == "date" or word == "today":
            bound = bound.normalize() + (_LAST_MOMENT if side == 1 else pd.Timedelta(0))
        return compare(values, bound)

    return pa.Check(is_within, name=RANGE)


def field_bound_checks(spec: TableSpec) -> Iterator[pa.Check]:
    """Checks over whole rows, `range:<field>`, for bounds that are fields of the same table."""
    for column in spec.columns:
        if column.role == "value" and column.field is not None and column.kind is not None:
            for side in (0, 1):
                other = _bound_of(column.field, column.kind, spec, side)
                if other is not None:
                    by_days = "date" in {column.kind, other.kind}
                    yield _field_bound_check(column.name, other.name, side, by_days=by_days)


def _bound_of(
    field: DictionaryField, kind: ValueKind, spec: TableSpec, side: int
) -> TableColumn | None:
    try:
        limit = read_limit(field, kind, side)
    except (LogicError, ValueError):
        return None  # listed as uncompiled with the rules of its column
    return bound_field(limit, kind, spec)


def bound_field(limit: Limit | None, kind: ValueKind, spec: TableSpec) -> TableColumn | None:
    """The column of the same row that is a bound; None where it is anything else."""
    root = None if limit is None or limit.expression is None else limit.expression.root
    if not isinstance(root, Reference) or root.event or root.instance or root.code:
        return None
    column = spec.columns_by_name.get(root.name)
    if column is None or column.role != "value" or column.kind is None:
        return None
    is_comparable = _FAMILIES.get(column.kind) == _FAMILIES.get(kind)
    return column if is_comparable else None


def _field_bound_check(name: str, other: str, side: int, *, by_days: bool) -> pa.Check:
    compare = _OPERATORS[side]

    def is_within(rows: pd.DataFrame) -> "pd.Series[bool]":
        values, bounds = rows[name], rows[other]
        if by_days:  # a date and a moment: the whole day is within
            values, bounds = values.dt.normalize(), bounds.dt.normalize()
        # A blank bound bounds nothing.
        known = values.notna() & bounds.notna()
        within: pd.Series[bool] = (~known) | compare(values, bounds).fillna(value=True)
        return within.astype(bool)

    return pa.Check(is_within, name=f"{RANGE}:{name}")
