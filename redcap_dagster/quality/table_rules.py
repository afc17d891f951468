"""The rules that need all rows of a table at once: E, the key, the secondary unique field.

They read finished tables a column at a time, so that memory does not grow with the columns.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import RedcapProject
from redcap_dagster.quality.catalogue import OUTLIERS, SECONDARY_UNIQUE_FIELD, UNIQUE_KEY
from redcap_dagster.quality.findings import FindingKind, Found, Mask, RowKeys, RowNumbers
from redcap_dagster.quality.options import QualityOptions
from redcap_dagster.quality.plan import InstrumentPlan
from redcap_dagster.tables import TableSpec

TableReader: TypeAlias = Callable[[str, Sequence[str]], pa.Table]
"""Reads columns of a finished table, by the table's name."""

_FEWEST_VALUES = 3
_MEDIAN_DEVIATIONS_PER_SIGMA = 1.4826


def find_in_table(
    plan: InstrumentPlan, project: RedcapProject, options: QualityOptions, read: TableReader
) -> Iterator[Found]:
    """What is wrong in a finished instrument table; row numbers are those of the table."""
    if options.runs(UNIQUE_KEY):
        yield _find_shared_keys(plan.spec, read)
    secondary = project.info.secondary_unique_field
    if options.runs(SECONDARY_UNIQUE_FIELD) and secondary in plan.fields_by_name:
        yield _find_shared_values(plan.spec, secondary, read)
    if options.runs(OUTLIERS):
        for item in plan.fields:
            if options.judges_outliers_of(item.field):
                rows = find_outliers(
                    read(plan.spec.name, [item.field.name]).column(0),
                    multiplier=options.outlier_multiplier,
                    method=options.outlier_method,
                )
                yield Found(FindingKind(OUTLIERS, plan.name, item.field.name, "Outlier"), rows)


def _find_shared_keys(spec: TableSpec, read: TableReader) -> Found:
    keys = read(spec.name, spec.key_columns)
    distinct = keys.group_by(list(spec.key_columns), use_threads=False).aggregate([]).num_rows
    rows = np.array([], dtype=np.int64)
    if distinct < keys.num_rows:
        is_shared = keys.to_pandas().duplicated(keep=False)
        rows = np.flatnonzero(is_shared.to_numpy()).astype(np.int64)
    return Found(FindingKind(UNIQUE_KEY, spec.instrument, None, "Several rows have this key"), rows)


def _find_shared_values(spec: TableSpec, field: str, read: TableReader) -> Found:
    """Rows whose value of the secondary unique field another record holds too."""
    frame = read(spec.name, [spec.key_columns[0], field]).to_pandas()
    frame.columns = ["record", "value"]
    records = frame.dropna().groupby("value")["record"].nunique()
    is_shared = frame["value"].isin(records.index[records > 1])
    kind = FindingKind(
        SECONDARY_UNIQUE_FIELD, spec.instrument, field, "Another record holds this value too"
    )
    return Found(kind, np.flatnonzero(is_shared.to_numpy()).astype(np.int64))


def find_outliers(
    values: pa.ChunkedArray, *, multiplier: float, method: Literal["mean", "median"]
) -> RowNumbers:
    """Numbers of the rows whose value is far from the others.

    Args:
        values: Numbers; null is blank or a missing data code.
        multiplier: How many deviations from the middle are far.
        method: The mean and the sample's standard deviation, or the median and the median
            deviation from it (times 1.4826, which makes it the former for normal values).

    Returns:
        None where there are fewer than three values, or they do not deviate.
    """
    numbers: npt.NDArray[np.float64] = (
        values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    )
    known = numbers[~np.isnan(numbers)]
    none = np.array([], dtype=np.int64)
    if len(known) < _FEWEST_VALUES:
        return none
    if method == "mean":
        middle, spread = float(known.mean()), float(known.std(ddof=1))
    else:
        middle = float(np.median(known))
        spread = float(np.median(np.abs(known - middle))) * _MEDIAN_DEVIATIONS_PER_SIGMA
    if spread == 0:
        return none
    with np.errstate(invalid="ignore"):
        is_far: Mask = np.abs(numbers - middle) > multiplier * spread
    return np.flatnonzero(is_far).astype(np.int64)


def table_row_keys(spec: TableSpec, read: TableReader) -> RowKeys:
    """What the rows of an instrument table were in the export."""
    names = [*spec.key_columns, "redcap_data_access_group"]
    table = read(spec.name, names)
    columns = {name: table.column(name).combine_chunks() for name in names}
    nothing = pa.nulls(table.num_rows, pa.string())
    events = columns.get("redcap_event_name", nothing)
    return RowKeys(
        columns[spec.key_columns[0]],
        events,
        _where_placed(spec, events, "repeating_form", pa.repeat(spec.instrument, len(table))),
        pc.coalesce(
            _where_placed(
                spec, events, "repeating_form", _as_text(columns.get("redcap_form_instance"))
            ),
            _where_placed(
                spec, events, "repeating_event", _as_text(columns.get("redcap_event_instance"))
            ),
        ),
        columns["redcap_data_access_group"],
    )


def _as_text(numbers: pa.Array | None) -> pa.Array | None:
    return None if numbers is None else pc.cast(numbers, pa.string())


def _where_placed(
    spec: TableSpec, events: pa.Array, row_kind: str, texts: pa.Array | None
) -> pa.Array:
    """Texts in the rows of one kind; null in others."""
    nothing = pa.nulls(len(events), pa.string())
    placed = [item.event for item in spec.placements if item.row_kind == row_kind]
    if texts is None or not placed:
        return nothing
    if placed == [None]:
        return texts
    is_placed = pc.is_in(events, value_set=pa.array(placed, pa.string()))
    return pc.if_else(is_placed, texts, pa.scalar(None, pa.string()))
