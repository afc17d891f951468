"""Typed tables from a flat export: one per instrument, and not one cell lost.

`plan_tables` says what the tables look like.
"""

from redcap_dagster.tables.layout import (
    NOT_COMPLETED,
    STUDY_TABLE_NAMES,
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

__all__ = [
    "NOT_COMPLETED",
    "STUDY_TABLE_NAMES",
    "ColumnRole",
    "Placement",
    "RowKind",
    "TableColumn",
    "TableSpec",
    "TableStructure",
    "format_layout",
    "plan_records_table",
    "plan_rejected_values_table",
    "plan_tables",
    "table_name",
]
