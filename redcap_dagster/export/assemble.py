"""Puts the answers of a block together to the rows that one flat export would have had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.export.row_keys import Keys, RowKeySpace
from redcap_dagster.project import ExportColumn


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an export with their keys. Its `repr` shows no value.

    Attributes:
        keys: Ascending, each once; records counted within the block.
        table: One row for each key, all columns text: "" is blank, null was not sent.
    """

    keys: Keys
    table: pa.Table = field(repr=False)

    def sorted(self) -> "Rows":
        """The same rows, ascending by their keys."""
        if np.all(self.keys[:-1] <= self.keys[1:]):
            return self
        order = np.argsort(self.keys, kind="stable")
        return Rows(self.keys[order], _take(self.table, order))

    def without_records(self, numbers: Keys, stride: int) -> "Rows":
        """The rows of the other records."""
        kept = ~np.isin(self.keys // stride, numbers)
        if kept.all():
            return self
        return Rows(self.keys[kept], self.table.filter(pa.array(kept)))


def put_side_by_side(
    pieces: Sequence[Rows], columns: Sequence[ExportColumn], space: RowKeySpace
) -> Rows:
    """Join rows of the same records and events, of different instruments, on their keys.

    A row of a repeating instrument comes with that instrument alone, and is blank in the columns
    of all others. Another row that an answer lacks is null there: it was not sent.

    Args:
        pieces: At least one; each holds the columns of the whole row.
        columns: The columns of the result; each is in one of the pieces.
        space: What the keys mean.
    """
    if len(pieces) == 1:
        return pieces[0]
    keys = pieces[0].keys
    if any(not np.array_equal(piece.keys, keys) for piece in pieces[1:]):
        keys = np.unique(np.concatenate([piece.keys for piece in pieces]))
        unsent = _unsent(pieces, columns)
        pieces = [_spread(piece, keys, space, unsent) for piece in pieces]
    arrays = {}
    for column in columns:
        holders = [item.table for item in pieces if column.name in item.table.column_names]
        array = holders[0].column(column.name)
        for other in holders[1:]:
            array = _first_not_blank(array, other.column(column.name))
        arrays[column.name] = array
    return Rows(keys, pa.table(arrays))


def stack(pieces: Sequence[Rows], columns: Sequence[ExportColumn]) -> Rows:
    """Put rows of different events, with different instruments, under each other in one order.

    The columns of an instrument that is not used in an event are blank there, as REDCap has them.

    Args:
        pieces: At least one; no key is in two of them.
        columns: The columns of the result.
    """
    names = [column.name for column in columns]
    if len(pieces) == 1 and pieces[0].table.column_names == names:
        return pieces[0]
    filled = [_fill(piece.table, names) for piece in pieces]
    keys = np.concatenate([piece.keys for piece in pieces])
    return Rows(keys, pa.concat_tables(filled)).sorted()


def blank_where_not_used(
    rows: Rows,
    columns: Sequence[ExportColumn],
    space: RowKeySpace,
    events_of: Mapping[str, tuple[str, ...]],
) -> Rows:
    """Blank in place of null where an instrument is not used in the row's event.

    So a cell does not depend on which events were asked for together.

    Args:
        rows: Rows of an export.
        columns: Their columns.
        space: What their keys mean.
        events_of: Unique names of the events that use each instrument.
    """
    table = rows.table
    for place, column in enumerate(columns):
        array = table.column(place)
        if column.is_optional and column.instrument is not None and array.null_count:
            is_used = pa.array(space.is_in_events(rows.keys, events_of[column.instrument]))
            kept = pc.if_else(pc.or_(is_used, pc.is_valid(array)), array, "")
            table = table.set_column(place, column.name, kept)
    return Rows(rows.keys, table)


def _unsent(pieces: Sequence[Rows], columns: Sequence[ExportColumn]) -> frozenset[str]:
    """Columns that the server may leave out, and that it never sent."""
    optional = {column.name for column in columns if column.is_optional}
    sent = {
        name
        for piece in pieces
        for name in optional.intersection(piece.table.column_names)
        if piece.table.column(name).null_count < piece.table.num_rows
    }
    return frozenset(optional - sent)


def _spread(piece: Rows, keys: Keys, space: RowKeySpace, unsent: frozenset[str]) -> Rows:
    """The rows at the places of more keys: those of other repeating instruments blank."""
    if np.array_equal(piece.keys, keys):
        return piece
    blank = {
        name: pa.array([None if name in unsent else ""], pa.string())
        for name in piece.table.column_names
    }
    table = _combined(pa.concat_tables([piece.table, pa.table(blank)]))
    place = np.searchsorted(piece.keys, keys)
    found = np.append(piece.keys, -1)[place] == keys
    place[~found] = len(piece.keys)
    unknown = ~found & ~space.is_of_instrument(keys)
    return Rows(keys, table.take(pa.array(place, mask=unknown)))


def _first_not_blank(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of the whole row: where one answer lacks the row, another has it."""
    lacks = pc.fill_null(pc.equal(first, ""), fill_value=True)
    if not pc.any(lacks, min_count=0).as_py():
        return first
    return pc.if_else(lacks, pc.coalesce(second, first), first)


def _fill(table: pa.Table, names: Sequence[str]) -> pa.Table:
    present = set(table.column_names)
    blank = pa.chunked_array([pa.repeat(pa.scalar("", pa.string()), table.num_rows)])
    return pa.table({name: table.column(name) if name in present else blank for name in names})


def _take(table: pa.Table, order: Keys) -> pa.Table:
    return _combined(table).take(pa.array(order))


def _combined(table: pa.Table) -> pa.Table:
    # Taking from a column in several pieces is many times slower.
    return table.combine_chunks()
