"""Tables are split by the column, so small answers of a server are gathered before splitting."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

_ROWS = 6_000
_CELLS = 2_000_000
"""A piece with either is worth splitting: 2,000,000 cells are about 20 MB of text."""


def gather_chunks(
    chunks: Iterable[pa.Table], cells: int = _CELLS, rows: int = _ROWS
) -> Iterator[pa.Table]:
    """Put the chunks of an export together to pieces that are worth splitting.

    Splitting costs a few microseconds for each column of a piece, whatever its rows: pieces of
    answers with 20 rows take many times as long as pieces of thousands. Gathering copies nothing.

    Args:
        chunks: Arrow tables of text, as `split_chunk` takes them.
        cells: A piece is yielded as soon as it has this many cells,
        rows: or this many rows.

    Yields:
        The same rows in the same order. Chunks of other columns begin a new piece.
    """
    held: list[pa.Table] = []
    for chunk in chunks:
        if held and not chunk.schema.equals(held[0].schema):
            yield pa.concat_tables(held)
            held = []
        held.append(chunk)
        held_rows = sum(item.num_rows for item in held)
        if held_rows >= rows or held_rows * chunk.num_columns >= cells:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
