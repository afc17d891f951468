"""Numbers: from text, to text, rounding. One number at a time; None is blank.

`number_arrays.py` does the same over arrays, with the same steps in the same order.
"""

import math
import re
from decimal import Decimal

from redcap_dagster.logic.options import LogicOptions

NUMBER_PATTERN = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
INTEGER_PATTERN = r"[-+]?[0-9]+"
BLANKS_AROUND = " \t\r\n"
"""What may stand around a stored number: a real export holds ` -100`."""

WHOLE_LIMIT = 2.0**53
"""From here on every double is a whole number, and not every whole number is a double."""

NOISE = 4 * 2.0**-52
"""Relative distance at which a scaled number counts as the whole or half it should be."""

MOST_NOISE = 0.01
"""Largest such distance: a large number keeps few decimals, and they count."""

SIGNIFICANT_DIGITS = 15
"""Digits of a computed number that are shown: what a binary fraction keeps for sure."""

SCALES = tuple(float(f"1e{decimals}") for decimals in range(-15, 16))
"""Powers of ten for -15 to 15 decimals; beyond that a double has none left."""

_NUMBER = re.compile(NUMBER_PATTERN)
_INTEGER = re.compile(INTEGER_PATTERN)


def parse_number(text: str, *, has_comma: bool = False) -> float | None:
    """Read a stored text as a number; None if it is blank or not one.

    Args:
        text: Stored text; blanks around it do not count.
        has_comma: Whether the field's decimal sign is a comma.
    """
    trimmed = text.strip(BLANKS_AROUND)
    if has_comma:
        trimmed = trimmed.replace(",", ".")
    if not _NUMBER.fullmatch(trimmed):
        return None
    return finite(float(trimmed))


def is_integer_text(text: str) -> bool:
    """Whether a text is a whole number in digits, with an optional sign."""
    return _INTEGER.fullmatch(text.strip(BLANKS_AROUND)) is not None


def finite(number: float) -> float | None:
    """A number, or None where a calculation left the range of numbers."""
    return number if math.isfinite(number) else None


def number_to_text(number: float | None) -> str:
    """Write a number as REDCap stores it: no trailing zeros, `.` as decimal sign, "" for blank."""
    if number is None:
        return ""
    if number == math.floor(number) and abs(number) < WHOLE_LIMIT:
        return str(int(number))
    text = f"{number:.{SIGNIFICANT_DIGITS}g}"
    return f"{Decimal(text):f}" if "e-" in text else text


def are_close(left: float, right: float, tolerance: float) -> bool:
    """Whether two numbers are equal up to the noise of binary fractions."""
    if left == right:
        return True
    if left == math.floor(left) and right == math.floor(right):
        return False
    return abs(left - right) <= tolerance * max(abs(left), abs(right))


def round_half(number: float, decimals: float, options: LogicOptions) -> float:
    """Round to the nearest; exact halves go up, below zero as the option says."""
    scale = _scale(decimals)
    scaled = number * scale
    if abs(scaled) >= WHOLE_LIMIT:
        return number
    whole = math.floor(scaled)
    noise = _noise(scaled)
    # An exact half goes up; below zero "away from zero" is down, so the bar is above the half.
    goes_down = scaled < 0 and options.negative_ties == "away_from_zero"
    bar = 0.5 + noise if goes_down else 0.5 - noise
    return (whole + (scaled - whole >= bar)) / scale


def round_directed(number: float, decimals: float, *, up: bool, options: LogicOptions) -> float:
    """`roundup` and `rounddown`; negatives as the option says."""
    scale = _scale(decimals)
    scaled = number * scale
    if abs(scaled) >= WHOLE_LIMIT:
        return number
    nearest = math.floor(scaled + 0.5)
    if abs(scaled - nearest) <= _noise(scaled):
        return nearest / scale
    goes_up = up if options.directed_rounding == "number_line" or scaled > 0 else not up
    return (math.ceil(scaled) if goes_up else math.floor(scaled)) / scale


def remainder(dividend: float, divisor: float, options: LogicOptions) -> float | None:
    """`mod`; blank for a divisor of 0."""
    if divisor == 0:
        return None
    rest = math.fmod(dividend, divisor)
    if options.mod_sign == "divisor" and rest != 0 and (rest < 0) != (divisor < 0):
        return rest + divisor
    return rest


def power(base: float, exponent: float) -> float | None:
    """`base ^ exponent`; blank where the result is no real, finite number."""
    if base < 0 and exponent != math.floor(exponent):
        return None
    try:
        return finite(math.pow(base, exponent))
    except (OverflowError, ValueError):
        return None


def _noise(scaled: float) -> float:
    return min(NOISE * abs(scaled), MOST_NOISE)


def _scale(decimals: float) -> float:
    return SCALES[max(-15, min(15, math.trunc(decimals))) + 15]
