"""A column of values: texts that may also be numbers, each view made when it is asked for.

A column of length 1 stands for the same value on every row.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic.moment_arrays import Moments, parse_moments
from redcap_dagster.logic.number_arrays import Booleans, Floats, numbers_to_text, parse_numbers

Index = npt.NDArray[np.int64]

_BLANK = pa.scalar("", pa.large_string())
_UNTICKED = pa.scalar("0", pa.large_string())


class Column:
    """Values on many rows, with a text and a number for each.

    Args:
        text: Makes the texts: `large_string` without nulls, "" for blank.
        number: Makes the numbers: NaN where a value is blank or not a number.
        blank: Makes the mask of blanks, where that is cheaper than from the texts.
        moments: Makes the dates and times, where that is cheaper than from the texts.
    """

    def __init__(
        self,
        *,
        text: Callable[[], pa.Array],
        number: Callable[[], Floats],
        blank: Callable[[], Booleans] | None = None,
        moments: Callable[[], Moments] | None = None,
    ) -> None:
        self._make_text = text
        self._make_number = number
        self._make_blank = blank
        self._make_moments = moments

    @cached_property
    def text(self) -> pa.Array:
        """As texts."""
        return self._make_text()

    @cached_property
    def number(self) -> Floats:
        """As numbers."""
        return self._make_number()

    @cached_property
    def blank(self) -> Booleans:
        """Where there is no value."""
        return texts_equal(self.text, _BLANK) if self._make_blank is None else self._make_blank()

    @cached_property
    def truth(self) -> Booleans:
        """As conditions: not blank and not 0."""
        is_no_number = np.isnan(self.number)
        is_not_zero: Booleans = self.number != 0
        if not is_no_number.any():
            return is_not_zero
        return np.where(is_no_number, ~self.blank, is_not_zero)

    @cached_property
    def moments(self) -> Moments:
        """As dates and times."""
        return parse_moments(self.text) if self._make_moments is None else self._make_moments()


def text_column(text: pa.Array, *, has_comma: bool = False) -> Column:
    """Stored or quoted texts; `has_comma` where their decimal sign is a comma."""
    return Column(text=lambda: text, number=lambda: parse_numbers(text, has_comma=has_comma))


def number_column(number: Floats) -> Column:
    """Numbers, computed or stored in a typed table."""
    return Column(
        text=lambda: numbers_to_text(number),
        number=lambda: number,
        blank=lambda: np.isnan(number),
    )


def condition_column(truth: Booleans) -> Column:
    """Conditions: 1 if true, 0 if false."""
    return number_column(truth.astype(np.float64))


def choice_column(condition: Booleans, yes: Column, no: Column) -> Column:
    """Values of one column where a condition holds, else of another."""

    def text() -> pa.Array:
        size = np.broadcast_shapes(condition.shape, (len(yes.text),), (len(no.text),))[0]
        mask = pa.array(np.broadcast_to(condition, (size,)))
        return pc.if_else(mask, repeat(yes.text, size), repeat(no.text, size))

    return Column(
        text=text,
        number=lambda: np.where(condition, yes.number, no.number),
        blank=lambda: np.where(condition, yes.blank, no.blank),
    )


def taken_column(source: Column, index: Index) -> Column:
    """Values of a column at other places; blank where the place is negative."""

    def number() -> Floats:
        if not len(source.number):
            return np.full(len(index), np.nan)
        return np.where(index >= 0, source.number[index], np.nan)

    return Column(
        text=lambda: source.text.take(pa.array(index, mask=index < 0)).fill_null(""),
        number=number,
        moments=lambda: source.moments.take(index),
    )


def checkbox_column(source: Column) -> Column:
    """Ticks of one choice: a blank counts as not ticked."""
    return Column(
        text=lambda: pc.if_else(pa.array(source.blank), _UNTICKED, source.text),
        number=lambda: np.where(source.blank, 0.0, source.number),
        blank=lambda: np.zeros_like(source.blank),
    )


def text_constant(text: str) -> Column:
    """One text, the same on every row."""
    return text_column(pa.array([text], pa.large_string()))


def repeat(values: pa.Array, size: int) -> pa.Array:
    """Values in full length, where they are a single one."""
    return values.take(pa.array(np.zeros(size, np.int64))) if len(values) == 1 else values


def texts_equal(left: pa.Array, right: pa.Array) -> Booleans:
    """Where two texts are the same; either can be a single one."""
    first, second = (
        item[0] if isinstance(item, pa.Array) and len(item) == 1 else item for item in (left, right)
    )
    result = pc.equal(first, second)
    if isinstance(result, pa.Scalar):
        return np.array([result.as_py()], dtype=np.bool_)
    same: Booleans = result.to_numpy(zero_copy_only=False)
    return same
