"""Bytes that are no UTF-8: found to the cell, counted by column. Old imports left them.

They become U+FFFD, and nothing beside them changes (docs/sources.md#encoding).
"""

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

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
        Column name to cells; empty when the body is UTF-8. A header's own broken bytes are
        counted under its mended name.
    """
    if is_utf8(body):
        return Counter()
    text = body.decode("utf-8", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [mend(name) for name in next(rows)]
    found: Counter[str] = Counter()
    # Lines are read as they are: whether they have the header's width is judged elsewhere.
    for row in rows:
        found.update(name for name, cell in zip(names, row, strict=False) if is_broken(cell))
    return found


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


def _by_field(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name or 'the text'} {count}" for name, count in counts)
