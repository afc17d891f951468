"""The text functions, one text at a time. Numbers that are blank are None."""

import math

_TRIMMED = " \t\n\r\0\x0b"


def contains(text: str, part: str) -> bool:
    """Whether a text holds another, capitals or not. Nothing holds a blank."""
    return part != "" and part.lower() in text.lower()


def starts_with(text: str, part: str) -> bool:
    """Whether a text starts with another, capitals or not. Nothing starts with a blank."""
    return part != "" and text.lower().startswith(part.lower())


def ends_with(text: str, part: str) -> bool:
    """Whether a text ends with another, capitals or not. Nothing ends with a blank."""
    return part != "" and text.lower().endswith(part.lower())


def find(part: str, text: str, *, is_case_sensitive: bool) -> float:
    """Place of a part in a text, from 1; 0 if it is not there or blank."""
    if part == "":
        return 0.0
    if is_case_sensitive:
        return float(text.find(part) + 1)
    return float(text.lower().find(part.lower()) + 1)


def left(text: str, count: float | None) -> str:
    """The first characters of a text."""
    return "" if count is None else text[: _whole(count)]


def right(text: str, count: float | None) -> str:
    """The last characters of a text."""
    size = 0 if count is None else _whole(count)
    return text[-size:] if size else ""


def mid(text: str, start: float | None, count: float | None) -> str:
    """Characters from a place on, the first being 1."""
    if start is None or count is None:
        return ""
    first = max(_whole(start), 1) - 1
    return text[first : first + _whole(count)]


def trim(text: str) -> str:
    """A text without the blanks around it."""
    return text.strip(_TRIMMED)


def concat_ws(separator: str, *parts: str) -> str:
    """Parts joined by a separator; blank parts are left out."""
    return separator.join(part for part in parts if part)


def replace_text(text: str, old: str, new: str) -> str:
    """A text with every `old` replaced; unchanged where `old` is blank."""
    return text.replace(old, new) if old else text


def _whole(number: float) -> int:
    return max(0, math.trunc(number))
