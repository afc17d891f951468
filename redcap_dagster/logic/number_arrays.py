"""Numbers over arrays: as `numbers.py` does it, step for step. NaN is blank.

Every function leaves NaN where the result is no finite number.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic.numbers import (
    BLANKS_AROUND,
    MOST_NOISE,
    NOISE,
    NUMBER_PATTERN,
    SCALES,
    WHOLE_LIMIT,
    number_to_text,
)
from redcap_dagster.logic.options import LogicOptions

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_SCALES = np.array(SCALES)


def parse_numbers(texts: pa.Array, *, has_comma: bool = False) -> Floats:
    """Read stored texts as numbers. Each distinct text is read once.

    Args:
        texts: Texts without nulls.
        has_comma: Whether the decimal sign is a comma.
    """
    encoded = texts.dictionary_encode()
    distinct = pc.utf8_trim(encoded.dictionary, characters=BLANKS_AROUND)
    if has_comma:
        distinct = pc.replace_substring(distinct, pattern=",", replacement=".")
    is_number = pc.match_substring_regex(distinct, pattern=f"^({NUMBER_PATTERN})$")
    digits = pc.if_else(is_number, pc.utf8_ltrim(distinct, characters="+"), pa.scalar(None))
    numbers = pc.cast(pc.cast(digits, pa.large_string()), pa.float64())
    read = finite(numbers.fill_null(np.nan).to_numpy(zero_copy_only=False))
    found: Floats = read[encoded.indices.to_numpy()]
    return found


def numbers_to_text(numbers: Floats) -> pa.Array:
    """Write numbers as REDCap stores them, blanks as ""."""
    distinct, places = np.unique(numbers, return_inverse=True)
    texts = ["" if np.isnan(number) else number_to_text(float(number)) for number in distinct]
    return pa.array(texts, pa.large_string()).take(pa.array(places.reshape(-1)))


def finite(numbers: Floats) -> Floats:
    """NaN where a calculation left the range of numbers."""
    if np.isinf(numbers).any():
        return np.where(np.isinf(numbers), np.nan, numbers)
    return numbers


def are_close(left: Floats, right: Floats, tolerance: float) -> Booleans:
    """Where two numbers are equal up to the noise of binary fractions; false for NaN."""
    with _quiet():
        same: Booleans = left == right
        near: Booleans = np.abs(left - right) <= tolerance * np.maximum(np.abs(left), np.abs(right))
        if np.array_equal(near, same):
            return same
        are_whole: Booleans = (left == np.floor(left)) & (right == np.floor(right))
        return same | (near & ~are_whole)


def divide(left: Floats, right: Floats) -> Floats:
    """Quotients; NaN for a divisor of 0."""
    with _quiet():
        return finite(left / np.where(right == 0, np.nan, right))


def power(base: Floats, exponent: Floats) -> Floats:
    """Powers; NaN where they are no real, finite numbers."""
    with _quiet():
        # numpy knows short ways for a single exponent, such as 2.
        shared = float(exponent[0]) if exponent.size == 1 else exponent
        blank = np.isnan(base) | np.isnan(exponent)
        return finite(np.where(blank, np.nan, base**shared))


def round_half(numbers: Floats, decimals: Floats, options: LogicOptions) -> Floats:
    """Round to the nearest; exact halves go up, below zero as the option says."""
    with _quiet():
        scale = _scale(decimals)
        scaled = numbers * scale
        whole = np.floor(scaled)
        noise = np.minimum(NOISE * np.abs(scaled), MOST_NOISE)
        bar = 0.5 - noise
        if options.negative_ties == "away_from_zero":
            bar = 0.5 - np.copysign(noise, scaled)
        rounded = (whole + (scaled - whole >= bar)) / scale
        return _keep_wide(numbers, scaled, rounded)


def round_directed(numbers: Floats, decimals: Floats, *, up: bool, options: LogicOptions) -> Floats:
    """`roundup` and `rounddown`; negatives as the option says."""
    with _quiet():
        scale = _scale(decimals)
        scaled = numbers * scale
        nearest = np.floor(scaled + 0.5)
        noise = np.minimum(NOISE * np.abs(scaled), MOST_NOISE)
        is_whole = np.abs(scaled - nearest) <= noise
        if options.directed_rounding == "number_line":
            directed = np.ceil(scaled) if up else np.floor(scaled)
        else:
            directed = np.where((scaled > 0) == up, np.ceil(scaled), np.floor(scaled))
        rounded = np.where(is_whole, nearest, directed) / scale
        return _keep_wide(numbers, scaled, rounded)


def remainder(dividend: Floats, divisor: Floats, options: LogicOptions) -> Floats:
    """`mod`; NaN for a divisor of 0."""
    with _quiet():
        rest = np.fmod(dividend, np.where(divisor == 0, np.nan, divisor))
        if options.mod_sign == "divisor":
            return np.where((rest != 0) & ((rest < 0) != (divisor < 0)), rest + divisor, rest)
        return rest


def logarithm(numbers: Floats, base: Floats | None = None) -> Floats:
    """Logarithms, natural without a base; NaN for 0 and less."""
    with _quiet():
        result = np.log(np.where(numbers > 0, numbers, np.nan))
        if base is None:
            return result
        return finite(result / np.log(np.where((base > 0) & (base != 1), base, np.nan)))


def _scale(decimals: Floats) -> Floats:
    places = np.nan_to_num(np.clip(np.trunc(decimals), -15, 15)).astype(np.int64) + 15
    return np.where(np.isnan(decimals), np.nan, _SCALES[places])


def _keep_wide(numbers: Floats, scaled: Floats, rounded: Floats) -> Floats:
    """Rounded numbers, but as they were where they have no decimals left to round."""
    if np.fmax.reduce(np.abs(scaled), initial=0) < WHOLE_LIMIT:
        return rounded
    return np.where(np.abs(scaled) >= WHOLE_LIMIT, numbers, rounded)


def _quiet() -> np.errstate:
    return np.errstate(all="ignore")
