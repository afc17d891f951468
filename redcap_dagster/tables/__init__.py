"""Typed tables from a flat export: one per instrument, and not one cell lost.

`plan_tables` says what the tables look like, `split_chunk` fills them from one chunk of an export,
`to_pandas` hands one to pandas.
"""

from redcap_dagster.tables.cast import CastColumn, cast_text, misfit_rule
from redcap_dagster.tables.conservation import CellCount, CellLedger
from redcap_dagster.tables.frames import to_pandas
from redcap_dagster.tables.layout import (
    NOT_COMPLETED,
    STUDY_TABLE_NAMES,
    companion_name,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
    table_name,
)
from redcap_dagster.tables.spec import (
    ColumnRole,
    Placement,
    RowKind,
    TableColumn,
    TableSpec,
    TableStructure,
    format_layout,
)
from redcap_dagster.tables.split import SplitChunk, split_chunk

__all__ = [
    "NOT_COMPLETED",
    "STUDY_TABLE_NAMES",
    "CastColumn",
    "CellCount",
    "CellLedger",
    "ColumnRole",
    "Placement",
    "RowKind",
    "SplitChunk",
    "TableColumn",
    "TableSpec",
    "TableStructure",
    "cast_text",
    "companion_name",
    "format_layout",
    "misfit_rule",
    "plan_records_table",
    "plan_rejected_values_table",
    "plan_tables",
    "split_chunk",
    "table_name",
    "to_pandas",
]
