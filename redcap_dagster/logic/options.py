"""What REDCap's documentation leaves open, as options with a default each."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicOptions:
    """How logic is evaluated where no source settles it (docs/logic.md, open questions).

    The defaults are what a server most likely does. Servers, versions and the data entry form in
    the browser differ here, so a study that depends on one of these points should settle it on
    its own server.

    Attributes:
        missing_codes: The project's missing data codes; None takes them from the study's design.
            Older servers do not tell them.
        numeric_text_equality: Whether `05` and `5.0` equal `5` where both sides are stored or
            quoted text. The browser compares them as text.
        blank_orders_as_zero: Whether a blank counts as 0 for `<`, `<=`, `>` and `>=` against a
            number. By default every such comparison of a blank is false.
        mixed_date_order: Whether a date can be ordered against a date with time (midnight). By
            default such a comparison is false.
        tolerance: Relative difference up to which two numbers are equal, for the noise of binary
            fractions. Two whole numbers are equal only if they are the same.
        percent_is_mod: Whether `a % b` means `mod(a, b)`. By default `%` is refused by name.
        negative_ties: `round` of an exact half below zero: away from zero, or up.
        directed_rounding: `roundup` and `rounddown` of a negative: up and down on the number line
            (`roundup(-1.5)` is -1), or away from and towards zero (it is -2).
        mod_sign: Whether the result of `mod` has the sign of the dividend or of the divisor.
        sum_of_blanks: What `sum` gives when every argument is blank.
        stdev: Whether `stdev` divides by n - 1 (sample) or by n (population).
        find_is_case_sensitive: Whether `find` tells capitals from small letters.
    """

    missing_codes: frozenset[str] | None = None
    numeric_text_equality: bool = True
    blank_orders_as_zero: bool = False
    mixed_date_order: bool = False
    tolerance: float = 1e-9
    percent_is_mod: bool = False
    negative_ties: Literal["away_from_zero", "up"] = "away_from_zero"
    directed_rounding: Literal["number_line", "magnitude"] = "number_line"
    mod_sign: Literal["dividend", "divisor"] = "dividend"
    sum_of_blanks: Literal["blank", "zero"] = "blank"
    stdev: Literal["sample", "population"] = "sample"
    find_is_case_sensitive: bool = False


DEFAULT_OPTIONS = LogicOptions()
