"""Parses the columns of a chunk: its blanks, missing data codes and values.

Columns that are read alike are laid end to end and parsed together: in a wide study a column has
a few hundred cells a chunk, and calling Arrow costs more than reading them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import ValueKind
from redcap_dagster.tables.arrow_types import TEXT
from redcap_dagster.tables.cast import cast_plain, cast_text
from redcap_dagster.tables.names import companion_name
from redcap_dagster.tables.spec import TableSpec

_CELLS_TOGETHER = 65_536
"""Cells that are parsed together: the calls no longer matter, and the CPU's cache still holds
them."""

_NO_TEXT = pa.scalar(None, TEXT)


@dataclass(frozen=True, slots=True)
class Reading:
    """How an export column is read.

    Attributes:
        kind: What its text should hold.
        missing_codes: Codes that are taken out of it.
    """

    kind: ValueKind = "text"
    missing_codes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False, slots=True)
class ParsedColumn:
    """An export column of a chunk, one value per row of the chunk in each array.

    Attributes:
        text: As exported; null where blank.
        values: Typed; null where the text is blank, a missing data code, or does not fit.
        codes: Missing data codes; null elsewhere. None when there is none.
        misfits: True where the text does not fit, false elsewhere. None when all of it fits.
    """

    text: pa.Array
    values: pa.Array
    codes: pa.Array | None = None
    misfits: pa.Array | None = None


_AS_TEXT = Reading()


def plan_readings(specs: Iterable[TableSpec]) -> dict[str, Reading]:
    """How each export column is read that feeds one of the tables."""
    readings: dict[str, Reading] = {}
    known: dict[Reading, Reading] = {}  # one object for all that are alike: found faster
    for spec in specs:
        for column in spec.columns:
            if column.kind is None:
                continue
            if column.source is not None:
                has_companion = companion_name(column.name) in spec.columns_by_name
                codes = column.missing_codes if has_companion else ()
                reading = Reading(column.kind, codes)
                readings[column.source.name] = known.setdefault(reading, reading)
            for source in column.choice_sources:
                reading = Reading(column.kind)
                readings[source.name] = known.setdefault(reading, reading)
    return readings


def parse_columns(chunk: pa.Table, readings: Mapping[str, Reading]) -> dict[str, ParsedColumn]:
    """Parse every column of a chunk; one without a reading stays text.

    Args:
        chunk: All columns text; "" or null is blank.
        readings: How columns are read, by name.
    """
    alike: dict[Reading, list[str]] = defaultdict(list)
    for name in chunk.column_names:
        alike[readings.get(name, _AS_TEXT)].append(name)
    columns = dict(zip(chunk.column_names, chunk.columns, strict=True))
    most = max(1, _CELLS_TOGETHER // max(1, chunk.num_rows))
    parsed: dict[str, ParsedColumn] = {}
    for reading, names in alike.items():
        for start in range(0, len(names), most):
            together = names[start : start + most]
            found = _parse_together([columns[name] for name in together], reading)
            parsed.update(zip(together, found, strict=True))
    return {name: parsed[name] for name in columns}


def _parse_together(columns: Sequence[pa.ChunkedArray], reading: Reading) -> Iterator[ParsedColumn]:
    """Parse columns of equal length that are read alike."""
    rows = len(columns[0])
    texts = _blank_to_null(_end_to_end(columns))
    uncoded, codes = _take_out(texts, reading.missing_codes)
    values = cast_plain(uncoded, reading.kind)
    for place in range(len(columns)):
        start = place * rows
        text = texts.slice(start, rows)
        coded = None if codes is None else codes.slice(start, rows)
        if values is not None:
            yield ParsedColumn(text, values.slice(start, rows), coded)
            continue
        # One of them has something unusual: the others need not be slower for it.
        cast = cast_text(uncoded.slice(start, rows), reading.kind)
        yield ParsedColumn(text, cast.values, coded, cast.misfits)


def _end_to_end(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    pieces = [
        piece if piece.type == TEXT else piece.cast(TEXT)
        for column in columns
        for piece in column.chunks
    ]
    return pa.concat_arrays(pieces) if pieces else pa.array([], TEXT)


def _blank_to_null(text: pa.Array) -> pa.Array:
    """The same text, "" made null: only the bits that say so are new."""
    if len(text) == 0:
        return pa.array([], TEXT)
    _, offsets, values = text.buffers()
    ends = np.frombuffer(offsets, np.int32)[: text.offset + len(text) + 1]
    is_filled = ends[1:] != ends[:-1]
    if text.null_count:
        is_filled[text.offset :] &= pc.is_valid(text).to_numpy(zero_copy_only=False)
    bits = pa.py_buffer(np.packbits(is_filled, bitorder="little"))
    return pa.StringArray.from_buffers(len(text), offsets, values, bits, -1, text.offset)


def _take_out(text: pa.Array, codes: Sequence[str]) -> tuple[pa.Array, pa.Array | None]:
    """The text without the codes, and the codes alone; None when there is none."""
    if not codes:
        return text, None
    is_code = pc.is_in(text, value_set=pa.array(codes, TEXT))
    if not is_code.true_count:
        return text, None
    return pc.if_else(is_code, _NO_TEXT, text), pc.if_else(is_code, text, _NO_TEXT)
