"""The rows of a published table as a stream that a database reads, one row group at a time."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from redcap_dagster.destinations.plan import PlannedColumn, PlannedTable, value_type
from redcap_dagster.tables import Location, open_parquet

_CELLS_OF_A_BATCH = 2_000_000
_FEWEST_ROWS = 256


def read_schema(path: Location) -> pa.Schema:
    """The Arrow schema of a published file."""
    with open_parquet(path) as file:
        return file.schema_arrow


def stream_rows(
    path: Location,
    planned: PlannedTable,
    partition_key: str | None,
    only: Sequence[str] | None = None,
    *,
    without: Collection[tuple[Any, ...]] = (),
) -> pa.RecordBatchReader:
    """The rows of a published file, under the names that they have in the database.

    Args:
        path: The Parquet file, which stays open until the stream is read to its end.
        planned: The table they go to. Columns that the file does not have are left out.
        partition_key: What its column of partitions says.
        only: Names of the columns wanted; None for all.
        without: Keys of the rows that are left out.
    """
    has = read_schema(path)
    columns = [
        column
        for column in planned.columns
        if (column.source in has.names or not column.source)
        and (only is None or column.name in only)
    ]
    types = [value_type(has.field(item.source)) if item.source else pa.string() for item in columns]
    schema = pa.schema(
        [pa.field(item.name, kind) for item, kind in zip(columns, types, strict=True)]
    )
    batches = _iter_batches(path, columns, schema, partition_key)
    if without:
        batches = (_leave_out(batch, planned.key_columns, without) for batch in batches)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _leave_out(
    batch: pa.RecordBatch, key_columns: Sequence[str], without: Collection[tuple[Any, ...]]
) -> pa.RecordBatch:
    keys = zip(*(batch.column(name).to_pylist() for name in key_columns), strict=True)
    return batch.filter(pa.array([key not in without for key in keys], pa.bool_()))


def _iter_batches(
    path: Location, columns: Sequence[PlannedColumn], schema: pa.Schema, partition_key: str | None
) -> Iterator[pa.RecordBatch]:
    sources = [column.source for column in columns if column.source]
    size = max(_CELLS_OF_A_BATCH // max(len(sources), 1), _FEWEST_ROWS)
    with open_parquet(path) as file:
        for batch in file.iter_batches(size, columns=sources):
            arrays = [
                batch.column(item.source).cast(kind)
                if item.source
                else pa.repeat(pa.scalar(partition_key, pa.string()), batch.num_rows)
                for item, kind in zip(columns, schema.types, strict=True)
            ]
            yield pa.record_batch(arrays, schema=schema)
