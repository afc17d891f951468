"""The study's calculated fields, computed as REDCap would store them.

Each function states the formula of the field of its name in `data_dictionary.csv`. A blank or a
text that is no number makes the result blank; trailing zeros are left out; ties are rounded up.
"""

from collections.abc import Callable
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation

Values = dict[str, str]
DAYS_PER_YEAR = Decimal("365.2425")


def _number(values: Values, field: str) -> Decimal | None:
    try:
        return Decimal(values.get(field, "").strip())
    except InvalidOperation:
        return None


def _rounded(value: Decimal, places: int) -> str:
    result = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{result:f}".rstrip("0").rstrip(".") if places else f"{result:f}"


def _ratio(values: Values, above: str, below: str, factor: int, places: int) -> str:
    top, bottom = _number(values, above), _number(values, below)
    if top is None or bottom is None or not bottom:
        return ""
    return _rounded(top / bottom * factor, places)


def _fev1_fvc_ratio(values: Values) -> str:
    return _ratio(values, "fev1_l", "fvc_l", 1, 2)


def _fev1_percent_predicted(values: Values) -> str:
    return _ratio(values, "fev1_l", "fev1_predicted_l", 100, 1)


def _bmi(values: Values) -> str:
    weight, height = _number(values, "weight_kg"), _number(values, "height_cm")
    if weight is None or height is None or not height:
        return ""
    metres = height / 100
    return _rounded(weight / (metres * metres), 1)


def _act_total(values: Values) -> str:
    answers = [_number(values, f"act_{number}") for number in range(1, 6)]
    if any(answer is None for answer in answers):
        return ""
    return _rounded(sum((answer for answer in answers if answer is not None), Decimal(0)), 0)


CALCULATIONS: dict[str, dict[str, Callable[[Values], str]]] = {
    "demographics": {"bmi": _bmi},
    "spirometry": {
        "fev1_fvc_ratio": _fev1_fvc_ratio,
        "fev1_percent_predicted": _fev1_percent_predicted,
    },
    "asthma_control_test": {"act_total": _act_total},
}
"""Instrument → field → its calculation. The age is apart: it looks at another instrument."""


def age(born: str, on: str) -> str:
    """`rounddown(datediff([date_of_birth], [consent_date], 'y'))`, with 365.2425 days a year."""
    if not born or not on:
        return ""
    days = (date.fromisoformat(on) - date.fromisoformat(born)).days
    return str((Decimal(days) / DAYS_PER_YEAR).quantize(Decimal(1), rounding=ROUND_DOWN))


def calculate(form: str, values: Values) -> None:
    """Fill in the calculated fields of one instrument, in place; a blank result is left out."""
    for field, formula in CALCULATIONS.get(form, {}).items():
        values.pop(field, None)
        result = formula(values)
        if result:
            values[field] = result
