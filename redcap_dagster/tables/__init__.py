"""Typed tables from a flat export: one per instrument, and not one cell lost.

`plan_tables` says what the tables look like, `split_chunk` fills them from one chunk of an export,
`ExtractWriter` writes an extract and publishes it in one step, `read_published` reads it, and
`to_pandas` hands a table to pandas.
"""

from redcap_dagster.tables.cast import CastColumn, cast_text, misfit_rule
from redcap_dagster.tables.conservation import CellCount, CellLedger
from redcap_dagster.tables.flat_tables import (
    as_records,
    plan_missing_reasons_table,
    plan_records_table,
    plan_rejected_values_table,
)
from redcap_dagster.tables.folder_shelf import point_link
from redcap_dagster.tables.frames import to_pandas
from redcap_dagster.tables.gather import gather_chunks
from redcap_dagster.tables.layout import plan_tables
from redcap_dagster.tables.location import (
    Location,
    open_parquet,
    read_side_by_side,
    to_location,
    writing_to,
)
from redcap_dagster.tables.manifest import (
    DEIDENTIFICATION_FACT,
    MANIFEST_NAME,
    PublishedExtract,
    PublishedTable,
    how_deidentified,
    read_manifest,
)
from redcap_dagster.tables.names import (
    MISSING_REASONS,
    NOT_COMPLETED,
    QUALITY_FINDINGS,
    RECORDS,
    REJECTED_VALUES,
    companion_name,
    is_instrument_table,
    label_name,
    table_name,
)
from redcap_dagster.tables.options import (
    DEFAULT_TABLE_OPTIONS,
    CheckboxStyle,
    ChoiceStyle,
    TableOptions,
)
from redcap_dagster.tables.parquet import file_sha256
from redcap_dagster.tables.publish import ExtractWriter
from redcap_dagster.tables.screen import TableScreen
from redcap_dagster.tables.shelf import (
    current_extract,
    find_changed_files,
    find_changed_manifest,
    find_extract,
    find_extracts,
    find_shelves,
    find_strange_files,
    has_extract,
    open_shelf,
    published_path,
    read_published,
    read_table,
    verify_extract,
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
from redcap_dagster.tables.split import ChunkSplitter, SplitChunk, split_chunk
from redcap_dagster.tables.staging import folder_lock, keep_out_of_git

__all__ = [
    "DEFAULT_TABLE_OPTIONS",
    "DEIDENTIFICATION_FACT",
    "MANIFEST_NAME",
    "MISSING_REASONS",
    "NOT_COMPLETED",
    "QUALITY_FINDINGS",
    "RECORDS",
    "REJECTED_VALUES",
    "CastColumn",
    "CellCount",
    "CellLedger",
    "CheckboxStyle",
    "ChoiceStyle",
    "ChunkSplitter",
    "ColumnRole",
    "ExtractWriter",
    "Location",
    "Placement",
    "PublishedExtract",
    "PublishedTable",
    "RowKind",
    "SplitChunk",
    "TableColumn",
    "TableOptions",
    "TableScreen",
    "TableSpec",
    "TableStructure",
    "as_records",
    "cast_text",
    "companion_name",
    "current_extract",
    "file_sha256",
    "find_changed_files",
    "find_changed_manifest",
    "find_extract",
    "find_extracts",
    "find_shelves",
    "find_strange_files",
    "folder_lock",
    "format_layout",
    "gather_chunks",
    "has_extract",
    "how_deidentified",
    "is_instrument_table",
    "keep_out_of_git",
    "label_name",
    "misfit_rule",
    "open_parquet",
    "open_shelf",
    "plan_missing_reasons_table",
    "plan_records_table",
    "plan_rejected_values_table",
    "plan_tables",
    "point_link",
    "published_path",
    "read_manifest",
    "read_published",
    "read_side_by_side",
    "read_table",
    "split_chunk",
    "table_name",
    "to_location",
    "to_pandas",
    "verify_extract",
    "writing_to",
]
