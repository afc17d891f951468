"""What a new extract takes over from the one before: rows about tables it does not write itself."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.tables.location import open_parquet
from redcap_dagster.tables.manifest import PublishedExtract
from redcap_dagster.tables.names import is_instrument_table, table_name


def older_cell_facts(
    previous: PublishedExtract,
    name: str,
    kept: Collection[str],
    schema: pa.Schema,
    *,
    keeps_whole_records: bool,
) -> pa.Table:
    """What a table such as `rejected_values` says of instruments whose tables are taken over.

    Args:
        previous: The extract before; it has the table.
        name: Name of the table: `rejected_values`, `missing_reasons` or `quality_findings`.
        kept: Names of the tables that are taken over.
        schema: Of the new extract's table.
        keeps_whole_records: Whether findings about whole records, of no instrument, are taken over
            too: the new extract has not judged these itself.

    Raises:
        TableError: An instrument's table is taken over, and the record id field had another name
            then, so the rows cannot stand together.
    """
    if not any(is_instrument_table(table) for table in kept):  # the study was extracted whole
        return schema.empty_table()
    with open_parquet(previous.file(name)) as file:
        rows = file.read()
    if rows.schema.names != schema.names:
        raise TableError(
            f"The record id field was {rows.schema.names[0]} in the last extract and is "
            f"{schema.names[0]} now, so tables of both cannot stand side by side. Extract the "
            "whole study again."
        )
    instruments = [
        item
        for item in rows["instrument"].unique().to_pylist()
        if item is not None and table_name(item) in kept
    ]
    is_kept = pc.is_in(rows["instrument"], value_set=pa.array(instruments, pa.string()))
    if keeps_whole_records:
        is_kept = pc.or_(is_kept, pc.is_null(rows["instrument"]))
    return rows.filter(is_kept).cast(schema)
