"""Answers of a server are small, tables are split by the column: gather them before splitting."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

_CELLS = 2_000_000
"""Cells that are split at once: about 20 MB of text. More costs memory and saves nothing."""


def gather_chunks(chunks: Iterable[pa.Table], cells: int = _CELLS) -> Iterator[pa.Table]:
    """Put the chunks of an export together to pieces that are worth splitting.

    Splitting costs a few microseconds for each column of a piece, whatever its rows: pieces of
    answers with 20 rows take ten times as long as pieces of thousands.

    Args:
        chunks: Arrow tables of text, as `split_chunk` takes them.
        cells: A piece is yielded as soon as it has this many cells.

    Yields:
        The same rows in the same order. Chunks of other columns begin a new piece.
    """
    held: list[pa.Table] = []
    held_cells = 0
    for chunk in chunks:
        if held and not chunk.schema.equals(held[0].schema):
            yield pa.concat_tables(held).combine_chunks()
            held, held_cells = [], 0
        held.append(chunk)
        held_cells += chunk.num_rows * chunk.num_columns
        if held_cells >= cells:
            yield pa.concat_tables(held).combine_chunks()
            held, held_cells = [], 0
    if held:
        yield pa.concat_tables(held).combine_chunks()
