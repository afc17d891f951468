"""REDCap's text validation types, and how the raw export of a field is to be read.

Names and formats are those of REDCap's stock types; the patterns are our own, written from what
live servers accepted (`docs/sources.md`). Sites can add types of their own: an unknown name means
any text.
"""

from dataclasses import dataclass
from typing import Literal

from redcap_dagster.project.model import DictionaryField

ValueKind = Literal[
    "text",
    "integer",
    "decimal",
    "decimal_comma",
    "date",
    "datetime",
    "datetime_seconds",
    "time",
    "time_seconds",
    "minutes_seconds",
    "boolean",
    "choice",
    "file",
    "none",
]
"""What a raw value is.

`decimal` has a point and `decimal_comma` a comma as decimal sign. `minutes_seconds` is a duration
`MM:SS`. `boolean` is `0` or `1`: yesno, truefalse, and each column of a checkbox. `choice` is a
code of the field's own choices. `file` is a file name. `none` has no export column (descriptive).
Dates are year first whatever the field's display order.
"""


@dataclass(frozen=True, slots=True)
class TextValidation:
    """One text validation type.

    Attributes:
        kind: What the value is.
        decimals: Exact number of decimals asked for, or None.
        pattern: What the whole raw text must match, trimmed; "" for any text. Understood alike by
            Python's `re` and by RE2, not anchored. A match is necessary, not sufficient: a date
            must also exist.
    """

    kind: ValueKind
    decimals: int | None = None
    pattern: str = ""


PLAIN_TEXT = TextValidation("text")
"""No validation, or one that is not among REDCap's stock types."""

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR_MINUTE = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
_EXPONENT = r"([eE][-+]?[0-9]+)?"
_CANADA_FIRST = "[A-CEGHJ-NPR-TVXYa-ceghj-npr-tvxy]"
_CANADA = "[A-CEGHJ-NPR-TV-Za-ceghj-npr-tv-z]"


def _dates(stem: str, kind: ValueKind, pattern: str) -> dict[str, TextValidation]:
    validation = TextValidation(kind, pattern=pattern)
    return dict.fromkeys((f"{stem}_ymd", f"{stem}_mdy", f"{stem}_dmy"), validation)


def _fixed_decimals(suffix: str, kind: ValueKind, sign: str) -> dict[str, TextValidation]:
    return {
        f"number_{count}dp{suffix}": TextValidation(
            kind, count, rf"[-+]?[0-9]+{sign}[0-9]{{{count}}}"
        )
        for count in range(1, 5)
    }


TEXT_VALIDATIONS: dict[str, TextValidation] = {
    **_dates("date", "date", _DATE),
    **_dates("datetime", "datetime", f"{_DATE} {_HOUR_MINUTE}"),
    **_dates("datetime_seconds", "datetime_seconds", f"{_DATE} {_HOUR_MINUTE}:[0-5][0-9]"),
    "time": TextValidation("time", pattern=_HOUR_MINUTE),
    "time_hh_mm_ss": TextValidation("time_seconds", pattern=f"{_HOUR_MINUTE}:[0-5][0-9]"),
    "time_mm_ss": TextValidation("minutes_seconds", pattern="[0-5][0-9]:[0-5][0-9]"),
    "integer": TextValidation("integer", pattern="[-+]?[0-9]+"),
    "number": TextValidation("decimal", pattern=rf"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"),
    **_fixed_decimals("", "decimal", r"\."),
    "number_comma_decimal": TextValidation(
        "decimal_comma", pattern=rf"[-+]?([0-9]+,?[0-9]*|,[0-9]+){_EXPONENT}"
    ),
    **_fixed_decimals("_comma_decimal", "decimal_comma", ","),
    "alpha_only": TextValidation("text", pattern="[A-Za-z]+"),
    "email": TextValidation("text", pattern=r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"),
    # Ten digits of North America, an extension, and anything that is no digit between them.
    "phone": TextValidation(
        "text",
        pattern=r"[^0-9]*(1[^0-9]*)?[2-9]([^0-9]*[0-9]){2}[^0-9]*[2-9]([^0-9]*[0-9]){6,12}[^0-9]*",
    ),
    "phone_australia": TextValidation("text", pattern=r"\(?0[2-8]\)?\s?[0-9]{4}\s?[0-9]{4}"),
    "phone_uk": TextValidation("text", pattern=r"(\+44\s?|0)[0-9\s()]{9,13}"),
    "phone_france": TextValidation("text", pattern=r"(\+33\s?|0)[1-9]([\s.-]?[0-9]{2}){4}"),
    "zipcode": TextValidation("text", pattern="[0-9]{5}(-[0-9]{4})?"),
    "postalcode_australia": TextValidation("text", pattern="[0-9]{4}"),
    "postalcode_canada": TextValidation(
        "text", pattern=rf"{_CANADA_FIRST}[0-9]{_CANADA}\s?[0-9]{_CANADA}[0-9]"
    ),
    "postalcode_french": TextValidation("text", pattern="(0?[1-9]|[1-8][0-9]|9[0-8])[0-9]{3}"),
    "postalcode_germany": TextValidation("text", pattern="(0[1-9]|[1-9][0-9])[0-9]{3}"),
    "postalcode_uk": TextValidation(
        "text", pattern=r"[A-Za-z]{1,2}[0-9][A-Za-z0-9]?\s?[0-9][A-Za-z]{2}"
    ),
    "ssn": TextValidation("text", pattern="[0-9]{3}-[0-9]{2}-[0-9]{4}"),
    "mrn_7d": TextValidation("text", pattern="[0-9]{7}"),
    "mrn_10d": TextValidation("text", pattern="[0-9]{10}"),
    "mrn_generic": TextValidation("text", pattern="[A-Za-z0-9_-]+"),
    "vmrn": TextValidation("text", pattern="[0-9]{4,9}"),
}
"""Every stock text validation type by its name in the data dictionary."""

_KIND_BY_FIELD_TYPE: dict[str, ValueKind] = {
    "notes": "text",
    "calc": "decimal",
    "dropdown": "choice",
    "radio": "choice",
    "checkbox": "boolean",
    "yesno": "boolean",
    "truefalse": "boolean",
    "file": "file",
    "slider": "integer",
    "descriptive": "none",
    # The codes of an sql field are the result of a query, and not in the dictionary.
    "sql": "text",
}


def text_validation(field: DictionaryField) -> TextValidation:
    """The validation of a text field; `PLAIN_TEXT` for every other type of field.

    Other types use the same dictionary column for other things: `number` of a slider shows its
    value, `autocomplete` belongs to a dropdown.
    """
    if field.field_type != "text":
        return PLAIN_TEXT
    return TEXT_VALIDATIONS.get(field.validation, PLAIN_TEXT)


def value_kind(field: DictionaryField) -> ValueKind:
    """What the raw export of a field holds, and so how it is to be typed.

    The record id is text whatever its validation (`00001`, `12-3`): that is for the caller, who
    knows which field it is.
    """
    if field.field_type == "text":
        return text_validation(field).kind
    return _KIND_BY_FIELD_TYPE[field.field_type]
