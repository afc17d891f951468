"""From a column of a pandas frame or Arrow table to values of the logic language."""

from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError
from redcap_dagster.logic.columns import Column, number_column, text_column
from redcap_dagster.project import ValueKind

Table: TypeAlias = pd.DataFrame | pa.Table

_TIMESTAMP_FORMATS: dict[ValueKind, str] = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%d %H:%M"}


def column_names(table: Table) -> frozenset[str]:
    """Names of a table's columns."""
    if isinstance(table, pa.Table):
        return frozenset(table.column_names)
    return frozenset(map(str, table.columns))


def read_column(table: Table, name: str, kind: ValueKind) -> Column:
    """Read one column of a table.

    Texts are taken as they stand. Typed columns are welcome too: numbers and booleans are used
    as they are, dates are written as REDCap stores them; null is blank.

    Args:
        table: The table.
        name: Name of the column.
        kind: What the dictionary says about the field, for the format of dates and the decimal
            sign of texts.

    Raises:
        ConfigError: The column holds something that no REDCap field does.
    """
    if isinstance(table, pd.DataFrame) and table[name].dtype == np.float64:
        # Already what a calculation needs: nothing is copied.
        return number_column(table[name].to_numpy())
    if isinstance(table, pa.Table):
        stored = table.column(name).combine_chunks()
    else:
        stored = _from_pandas(table[name], name)
    if isinstance(stored, pa.ChunkedArray):
        stored = pa.concat_arrays(stored.chunks) if stored.num_chunks else pa.array([], stored.type)
    if pa.types.is_dictionary(stored.type):
        stored = stored.dictionary_decode()
    return _typed_column(stored, name, kind)


def _from_pandas(series: pd.Series, name: str) -> pa.Array:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # The cause would quote a value.
        raise ConfigError(
            f"Column {name} mixes values of different types: logic reads columns of text, or of "
            "one type."
        ) from None


def _typed_column(stored: pa.Array, name: str, kind: ValueKind) -> Column:
    types = pa.types
    if types.is_string(stored.type) or types.is_large_string(stored.type):
        return _texts(stored, kind)
    if types.is_null(stored.type):
        return _texts(stored, kind)
    if types.is_boolean(stored.type):
        return _numbers(stored.cast(pa.int8()))
    if types.is_integer(stored.type) or types.is_floating(stored.type):
        return _numbers(stored)
    if types.is_date(stored.type):
        return _texts(pc.strftime(stored, format="%Y-%m-%d"), kind)
    if types.is_timestamp(stored.type):
        whole = stored.cast(pa.timestamp("s"), safe=False)
        # Seconds are written without a fraction only for whole-second stamps.
        pattern = _TIMESTAMP_FORMATS.get(kind, "%Y-%m-%d %H:%M:%S")
        return _texts(pc.strftime(whole, format=pattern), kind)
    raise ConfigError(
        f"Column {name} is of type {stored.type}: logic reads text, numbers, booleans and dates."
    )


def _texts(stored: pa.Array, kind: ValueKind) -> Column:
    text = stored.cast(pa.large_string()).fill_null("")
    return text_column(text, has_comma=kind == "decimal_comma")


def _numbers(stored: pa.Array) -> Column:
    number = stored.cast(pa.float64(), safe=False).fill_null(np.nan)
    return number_column(number.to_numpy(zero_copy_only=False))
