"""One Parquet file, appended to by chunks and the same bytes however the rows were chunked."""

import hashlib
import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redcap_dagster.errors import TableError
from redcap_dagster.tables.background import WriteQueue
from redcap_dagster.tables.location import Location
from redcap_dagster.tables.spec import KEY_COLUMNS_FACT

_READ_BYTES = 1 << 20
_BYTES_OF_ONE_PAGE = 1_000_000
"""A column of a row group below this has one page, wherever its pieces begin: pages hold a MiB."""

_TALL_GROUP = 4_096
"""Rows below which a row group is packed by snappy: zstd prepares itself for each page anew, and
would take half the time that a table of 5,000 columns needs, to save a tenth of the bytes."""

_BYTES_OF_A_NUMBER = 8
_BYTES_OF_A_LENGTH = 4


class ParquetSink:
    """Writes a table to a file only its owner may read, a row group at a time.

    Rows are held back until a row group is full, so memory is bounded by one row group, and equal
    rows in equal order make equal bytes (with one version of pyarrow).

    Args:
        path: The file, which must not be there.
        schema: What every appended table must have.
        rows_per_group: Rows of each row group but the last.
        queue: Writes full row groups; nothing may wait there when the sink is closed.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, rows_per_group: int, queue: WriteQueue
    ) -> None:
        self.path = path
        self.schema = schema
        self.row_count = 0
        self._rows_per_group = rows_per_group
        self._queue = queue
        self._held: list[pa.Table] = []
        self._held_rows = 0
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._footers: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd" if rows_per_group >= _TALL_GROUP else "snappy",
            write_statistics=_columns_to_filter_by(schema),
            metadata_collector=self._footers,
        )

    @property
    def written_rows(self) -> int:
        """Rows of the file, by its own footer. It must be closed."""
        return sum(footer.num_rows for footer in self._footers)

    @property
    def held_cells(self) -> int:
        """Cells that are held back."""
        return self._held_rows * len(self.schema)

    def append(self, table: pa.Table) -> None:
        """Add rows.

        Raises:
            TableError: The table has other columns or types than the file.
        """
        if not table.schema.equals(self.schema):
            raise TableError(
                f"Rows for {self.path.name} do not have the table's columns and types."
            )
        self.row_count += table.num_rows
        self._held.append(table)
        self._held_rows += table.num_rows
        if self._held_rows >= self._rows_per_group:
            self._write_full_groups()

    def write_group(self, rows: pa.Table) -> None:
        """Write a row group at once; one at a time, in order."""
        self._writer.write_table(_in_one_piece(rows))

    def close(self) -> None:
        """Write what is held back and see the file safely on disk; again does nothing."""
        if self._held_rows:
            self.write_group(pa.concat_tables(self._held))
        self._held, self._held_rows = [], 0
        self._writer.close()
        _sync(self.path)

    def reopened(self, row_count: int) -> "ParquetSink":
        """The same file, once closed, to append to after its first rows; the others are gone."""
        closed = self.path.rename(self.path.with_suffix(".closed"))
        sink = ParquetSink(self.path, self.schema, self._rows_per_group, self._queue)
        with pq.ParquetFile(closed) as file:
            for batch in file.iter_batches():
                rows = pa.Table.from_batches([batch])
                sink.append(rows.slice(0, max(row_count - sink.row_count, 0)))
        self._queue.finish()
        closed.unlink()
        return sink

    def abandon(self) -> None:
        """Let go of the file, whose content is no longer wanted."""
        self._held = []
        # A full disk is no matter now, nor is a write that failed: the file will be removed.
        with suppress(OSError, RuntimeError):
            self._writer.close()
        self._writer.is_open = False  # or it tries once more when it is collected, and prints that

    def _write_full_groups(self) -> None:
        rows = pa.concat_tables(self._held)
        start = 0
        while rows.num_rows - start >= self._rows_per_group:
            group = rows.slice(start, self._rows_per_group)
            cells = group.num_rows * group.num_columns
            self._queue.put(cells, partial(self.write_group, group))
            start += self._rows_per_group
        self._held = [rows.slice(start)]
        self._held_rows = rows.num_rows - start


def _in_one_piece(rows: pa.Table) -> pa.Table:
    """The same rows, such that the pages of a column do not depend on where its pieces begin."""
    for place in range(rows.num_columns):
        column = rows.column(place)
        if column.num_chunks > 1 and _may_have_pages(column):
            rows = rows.set_column(place, rows.schema.field(place), column.combine_chunks())
    return rows


def _may_have_pages(column: pa.ChunkedArray) -> bool:
    """Whether a column may be too large for one page."""
    if pa.types.is_nested(column.type):
        return True
    if not pa.types.is_string(column.type):
        return bool(len(column) * _BYTES_OF_A_NUMBER >= _BYTES_OF_ONE_PAGE)
    # Not `nbytes`, which takes longer than putting the pieces together.
    texts = sum(_text_bytes(piece) for piece in column.chunks)
    return bool(texts + len(column) * _BYTES_OF_A_LENGTH >= _BYTES_OF_ONE_PAGE)


def _text_bytes(texts: pa.StringArray) -> int:
    offsets = texts.buffers()[1]
    if offsets is None:
        return 0
    ends = memoryview(offsets).cast("i")
    return int(ends[texts.offset + len(texts)] - ends[texts.offset])


def _columns_to_filter_by(schema: pa.Schema) -> list[str]:
    """The key, and columns of numbers, dates and times: queries skip row groups by their extremes.

    Those of the other texts would cost a fifth of the writing, and help nobody.
    """
    keys = json.loads((schema.metadata or {}).get(KEY_COLUMNS_FACT.encode(), b"[]"))
    return [item.name for item in schema if item.name in keys or not pa.types.is_string(item.type)]


def file_sha256(path: Location) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(path: Path) -> None:
    """See the names in a folder safely on disk."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
