"""Typed tables as pandas frames, the same under pandas 2.2 and 3."""

import pandas as pd
import pyarrow as pa

from redcap_dagster.tables.choices import with_categories

_DTYPES: dict[pa.DataType, pd.api.extensions.ExtensionDtype] = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Turn a typed table into a frame whose integers stay integers where cells are null.

    Args:
        table: A typed table, or any with columns of the types that one can have.

    Returns:
        Columns and rows in the table's order, with a plain row number as index. `string`,
        `Int64`, `Float64` and `boolean` columns hold `pd.NA` where the cell is null. Dates and
        timestamps are `datetime64[s]`, and times, of day or as a duration, `timedelta64[s]`,
        both with `NaT`. Labels of choices are ordered categoricals with all categories of the
        field, and lists are arrays in an `object` column, with None where null.
    """
    table = with_categories(table)
    columns = [_seconds(column) for column in table.columns]
    seconds = pa.table(columns, names=table.column_names)
    frame: pd.DataFrame = seconds.to_pandas(types_mapper=_DTYPES.get)
    return frame


def _seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates, timestamps and times in the one unit that pandas gets of them."""
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"))
    if pa.types.is_time32(column.type):
        return column.cast(pa.time32("s")).cast(pa.int32()).cast(pa.int64()).cast(pa.duration("s"))
    return column
