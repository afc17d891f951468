"""Bytes that are no UTF-8: found to the cell, counted by column. Old imports left them.

They become U+FFFD, and nothing beside them changes (docs/sources.md#encoding).
"""

import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import csv

_FIRST, _LAST = "\udc80", "\udcff"

logger = logging.getLogger(__name__)


def is_broken(text: str) -> bool:
    """Whether a text that was decoded with `surrogateescape` holds bytes that are no UTF-8."""
    return not text.isascii() and any(_FIRST <= character <= _LAST for character in text)


def mend(text: str) -> str:
    """A text decoded with `surrogateescape`, its broken bytes replaced by U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def count_broken_cells(body: bytes, delimiter: str = ",") -> Counter[str]:
    """How many cells of a csv hold bytes that are no UTF-8, by column.

    Args:
        body: The whole csv, its first line the header.
        delimiter: The character between cells.

    Returns:
        Column name to cells; empty when the body is UTF-8, or is no csv of one width, which is
        judged elsewhere.
    """
    if is_utf8(body):
        return Counter()
    found = Counter(
        {name: sum(map(_is_no_utf8, cells)) for name, cells in _columns(body, delimiter)}
    )
    return +found


def mend_rows(value: Any, found: Counter[str], name: str = "") -> Any:
    """A JSON value with its broken texts mended; counts them under the name that holds them."""
    if isinstance(value, str):
        if not is_broken(value):
            return value
        found[name] += 1
        return mend(value)
    if isinstance(value, list):
        return [mend_rows(item, found, name) for item in value]
    if isinstance(value, dict):
        return {mend(key): mend_rows(item, found, mend(key)) for key, item in value.items()}
    return value


def is_utf8(body: bytes) -> bool:
    """Whether a body is UTF-8 throughout."""
    if body.isascii():  # without a copy
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def warn_of_broken(content: str, found: Mapping[str, int]) -> None:
    """Log how many cells were mended, by field: never what they hold."""
    logger.warning(
        "REDCap %s: bytes that are no UTF-8 were replaced by U+FFFD in %d cells: %s.",
        content,
        sum(found.values()),
        _by_field(found.items()),
    )


def _columns(body: bytes, delimiter: str) -> Iterator[tuple[str, list[bytes]]]:
    """Names and cells, the header's among them, of columns with bytes that are no UTF-8."""
    try:
        table = csv.read_csv(
            io.BytesIO(body),
            # The header is read as a row, so that no column is guessed to hold numbers; and all in
            # one block, as the type of a column is guessed from the first.
            read_options=csv.ReadOptions(
                autogenerate_column_names=True, use_threads=False, block_size=len(body) + 1
            ),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(null_values=[], true_values=[], false_values=[]),
        )
    except pa.ArrowInvalid:
        return  # its message quotes the line
    for column in table.columns:
        # Arrow guesses `binary` for texts that are no UTF-8.
        if pa.types.is_binary(column.type):
            cells = column.to_pylist()
            yield cells[0].decode("utf-8", "replace"), cells


def _is_no_utf8(cell: bytes) -> bool:
    return not is_utf8(cell)


def _by_field(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name or 'the text'} {count}" for name, count in counts)
