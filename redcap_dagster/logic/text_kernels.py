"""Text functions in Arrow, where Arrow gives exactly what Python does.

That is so for pieces and joins of any text, and for capitals of plain ASCII. Everything else goes
text by text through `row_functions.py`, which says what the functions mean.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic.columns import Column, condition_column, number_column, text_column
from redcap_dagster.logic.numbers import WHOLE_LIMIT

Kernel = Callable[..., Column | None]


def call_kernel(name: str, arguments: Sequence[Column]) -> Column | None:
    """Call a text function over columns in Arrow; None where that would not be the same."""
    kernel = _KERNELS.get(name)
    return None if kernel is None else kernel(*arguments)


def _contains(text: Column, part: Column) -> Column | None:
    return _search(pc.match_substring, text, part)


def _not_contain(text: Column, part: Column) -> Column | None:
    found = _search(pc.match_substring, text, part)
    return None if found is None else condition_column(~found.truth)


def _starts_with(text: Column, part: Column) -> Column | None:
    return _search(pc.starts_with, text, part)


def _ends_with(text: Column, part: Column) -> Column | None:
    return _search(pc.ends_with, text, part)


def _search(match: Callable[..., pa.Array], text: Column, part: Column) -> Column | None:
    wanted = _single(part)
    if not wanted or not wanted.isascii() or not _is_ascii(text.text):
        return None
    found = match(pc.ascii_lower(text.text), pattern=wanted.lower())
    return condition_column(found.to_numpy(zero_copy_only=False))


def _upper(text: Column) -> Column | None:
    return text_column(pc.ascii_upper(text.text)) if _is_ascii(text.text) else None


def _lower(text: Column) -> Column | None:
    return text_column(pc.ascii_lower(text.text)) if _is_ascii(text.text) else None


def _left(text: Column, count: Column) -> Column | None:
    size = _single_count(count)
    if not size:
        return None
    return text_column(pc.utf8_slice_codeunits(text.text, start=0, stop=size))


def _right(text: Column, count: Column) -> Column | None:
    size = _single_count(count)
    if not size:
        return None
    return text_column(pc.utf8_slice_codeunits(text.text, start=-size))


def _mid(text: Column, start: Column, count: Column) -> Column | None:
    first, size = _single_count(start), _single_count(count)
    if not first or not size:
        return None
    stop = first - 1 + size
    return text_column(pc.utf8_slice_codeunits(text.text, start=first - 1, stop=stop))


def _length(text: Column) -> Column:
    return number_column(pc.utf8_length(text.text).to_numpy().astype(np.float64))


def _concat(*parts: Column) -> Column:
    nothing = pa.scalar("", pa.large_string())
    texts = [part.text[0] if len(part.text) == 1 else part.text for part in parts]
    joined = pc.binary_join_element_wise(*texts, nothing)
    if isinstance(joined, pa.Scalar):
        joined = pa.array([joined.as_py()], pa.large_string())
    return text_column(joined)


def _single(column: Column) -> str | None:
    """The one text that stands for every row; None where there are several."""
    if len(column.text) != 1:
        return None
    text: str = column.text[0].as_py()
    return text


def _single_count(column: Column) -> int | None:
    """The one count that stands for every row; None where there are several, or it is odd."""
    if column.number.size != 1 or not 0 < column.number[0] < WHOLE_LIMIT:
        return None
    return int(column.number[0])


def _is_ascii(text: pa.Array) -> bool:
    return pc.all(pc.string_is_ascii(text)).as_py() is not False


_KERNELS: dict[str, Kernel] = {
    "contains": _contains,
    "not_contain": _not_contain,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "upper": _upper,
    "lower": _lower,
    "left": _left,
    "right": _right,
    "mid": _mid,
    "length": _length,
    "concat": _concat,
}
