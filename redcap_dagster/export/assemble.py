"""Puts the answers of a block together to the rows that one flat export would have had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.export.row_keys import Keys, RowKeySpace, are_among, each_once
from redcap_dagster.project import ExportColumn

_BLANK_AND_NULL = pa.array(["", None], pa.string())
"""Behind the cells of a column, for the rows that no answer has."""


_ZERO_IS_NOTHING = frozenset({"checkbox", "missing_code_checkbox", "form_status"})
_NOTHING = pa.array([""], pa.string())
_NOTHING_OF_ZEROS = pa.array(["", "0"], pa.string())
"""What stands in a row that has nothing of its own (docs/sources.md#rows)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an export with their keys. Its `repr` shows no value.

    Attributes:
        keys: Ascending, each once; records counted within the block.
        table: One row for each key, all columns text: "" is blank, null was not sent.
        instruments: What was asked for.
        events: Unique names of the events that were asked for; None for all.
        torn: Those of the keys whose rows are not whole: one answer has them, and another lacks
            them that was asked for them too.
    """

    keys: Keys
    table: pa.Table = field(repr=False)
    instruments: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None
    torn: Keys = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def sorted(self) -> "Rows":
        """The same rows, ascending by their keys."""
        if np.all(self.keys[:-1] <= self.keys[1:]):
            return self
        order = np.argsort(self.keys, kind="stable")
        table = self.table.combine_chunks().take(pa.array(order))
        return replace(self, keys=self.keys[order], table=table)

    def where(self, kept: npt.NDArray[np.bool_]) -> "Rows":
        """Some of the rows: those for which a fact is true."""
        if kept.all():
            return self
        keys = self.keys[kept]
        table = self.table.filter(pa.array(kept))
        return replace(self, keys=keys, table=table, torn=self.torn[are_among(self.torn, keys)])


def assemble(pieces: Sequence[Rows], columns: Sequence[ExportColumn], space: RowKeySpace) -> Rows:
    """Join rows of the same records on their keys, in the order of one export.

    A row of a repeating instrument comes with that instrument alone, and is blank in the columns
    of all others; so is every row in the columns of instruments that were not asked for in its
    event. Another row that an answer lacks is null there: it was not sent.

    Args:
        pieces: At least one; each holds the columns of the whole row.
        columns: The columns of the result; blank where no piece has one.
        space: What the keys mean.
    """
    names = [column.name for column in columns]
    if len(pieces) == 1 and pieces[0].table.column_names == names:
        return pieces[0]
    keys, torn = pieces[0].keys, pieces[0].torn
    if any(not np.array_equal(piece.keys, keys) for piece in pieces[1:]):
        keys = each_once(np.concatenate([piece.keys for piece in pieces]))
        torn = each_once(np.concatenate([_torn_by(piece, keys, space) for piece in pieces]))
    holders: dict[str, tuple[int, ...]] = {}
    cells: dict[str, list[pa.ChunkedArray]] = {}
    for number, piece in enumerate(pieces):
        for name, array in zip(piece.table.column_names, piece.table.columns, strict=True):
            holders[name] = (*holders.get(name, ()), number)
            cells.setdefault(name, []).append(array)
    places: dict[tuple[int, ...], _Places] = {}
    arrays = []
    for column in columns:
        held_by = holders.get(column.name, ())
        if held_by not in places:
            places[held_by] = _Places.of([pieces[number] for number in held_by], keys, space)
        arrays.append(places[held_by].gather(column, cells.get(column.name, [])))
    return Rows(keys, pa.Table.from_arrays(arrays, names), torn=torn)


def _torn_by(piece: Rows, keys: Keys, space: RowKeySpace) -> Keys:
    """Those of the keys whose rows an answer should have as well, and has not or not whole."""
    lacking = keys[~are_among(keys, piece.keys)]
    is_asked = space.is_asked(lacking, piece.events, piece.instruments)
    return np.concatenate([piece.torn, lacking[is_asked]])


@dataclass(frozen=True)
class _Places:
    """Where some pieces, one after the other, have each row of the result.

    Attributes:
        pieces: The pieces that hold a column.
        index: Place of each row in the pieces' rows; behind them stand a blank and a null.
        is_instance: Which of the rows that no piece has are of a repeating instrument.
        before: How many rows of the pieces come before each row of the result; one number more
            than rows. None unless the result has the pieces' rows in their order.
    """

    pieces: Sequence[Rows]
    index: Keys
    is_instance: npt.NDArray[np.bool_]
    before: Keys | None

    @classmethod
    def of(cls, pieces: Sequence[Rows], keys: Keys, space: RowKeySpace) -> "_Places":
        blank = sum(len(piece.keys) for piece in pieces)
        index = np.full(len(keys), blank, np.int64)
        start = blank
        for piece in reversed(pieces):
            start -= len(piece.keys)
            lacking = _in_events(piece, keys, space) & (index >= blank)
            index[lacking] = blank + 1
            index[np.searchsorted(keys, piece.keys)] = start + np.arange(len(piece.keys))
        is_instance = (index == blank + 1) & space.is_of_instrument(keys)
        index[is_instance] = blank
        before = None
        if len(pieces) == 1:
            before = np.concatenate([[0], np.cumsum(index < blank)])
        return cls(pieces, index, is_instance, before)

    def gather(self, column: ExportColumn, held: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
        """The cells of a column, for each row of the result.

        Args:
            column: The column.
            held: Its cells in each of the pieces.
        """
        if self._is_as_they_came:
            return held[0]
        if self.before is not None and held[0].num_chunks == 1 and not held[0].null_count:
            return pa.chunked_array([self._spread(held[0].chunk(0), self.before)])
        rows = sum(len(array) for array in held)
        index = self.index
        if column.is_optional and all(array.null_count == len(array) for array in held):
            # The server leaves the column out, for rows of other instruments as well.
            index = np.where(self.is_instance, rows + 1, index)
        cells = [chunk for array in held for chunk in array.chunks]
        return pa.chunked_array([pa.concat_arrays([*cells, _BLANK_AND_NULL]).take(pa.array(index))])

    def _spread(self, cells: pa.Array, before: Keys) -> pa.Array:
        """The cells with blank and null ones between them: no text is copied."""
        _, offsets, text = cells.buffers()
        ends = np.frombuffer(offsets, np.int32)[cells.offset :]
        return pa.StringArray.from_buffers(
            len(self.index),
            pa.py_buffer(ends[before]),
            pa.py_buffer(b"") if text is None else text,
            self._is_sent,
        )

    @cached_property
    def _is_as_they_came(self) -> bool:
        """Whether the rows are those of one piece, in its order."""
        return self.before is not None and len(self.index) == self.before[-1]

    @cached_property
    def _is_sent(self) -> pa.Buffer | None:
        """Bits of the rows that are not null; None when all are."""
        is_sent = self.index <= sum(len(piece.keys) for piece in self.pieces)
        return None if is_sent.all() else pa.py_buffer(np.packbits(is_sent, bitorder="little"))


def _in_events(piece: Rows, keys: Keys, space: RowKeySpace) -> npt.NDArray[np.bool_]:
    if piece.events is None:
        return np.ones(len(keys), bool)
    return space.is_in_events(keys, piece.events)


def without_unlisted_blanks(rows: Rows, columns: Sequence[ExportColumn], expected: Keys) -> Rows:
    """The rows without those that are not listed and hold nothing.

    An answer that was not asked for a repeating instrument has a row for each event in which a
    record has nothing but instances of it: blank, but for the `0` of checkboxes, and of form
    statuses on servers that do not know how to leave them blank. The list of rows, as a whole
    export, has none. A row that holds more has come since it was listed.

    Args:
        rows: Rows of an export.
        columns: Their columns.
        expected: Keys of the rows that are listed.
    """
    is_blank = ~are_among(rows.keys, expected)
    if not is_blank.any():
        return rows
    for column in columns:
        if column.instrument is not None and column.kind != "record_id":
            cells = pc.fill_null(rows.table.column(column.name), "")
            nothing = _NOTHING_OF_ZEROS if column.kind in _ZERO_IS_NOTHING else _NOTHING
            is_blank &= pc.is_in(cells, value_set=nothing).to_numpy()
    return rows.where(~is_blank)


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
    return replace(rows, table=table)
