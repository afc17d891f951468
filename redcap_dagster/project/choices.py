"""The text in which REDCap lists choices: `code, label | code, label`."""

import re
from collections import Counter

from redcap_dagster.project.model import Choice, MissingDataCode

IMPLIED_CHOICES = {
    "yesno": (Choice("1", "Yes"), Choice("0", "No")),
    "truefalse": (Choice("1", "True"), Choice("0", "False")),
}
"""Choices of the field types whose choices are not written in the dictionary."""


def parse_choices(text: str) -> tuple[Choice, ...]:
    """Parse the choices of a dropdown, radio or checkbox field, in display order.

    Parts are divided by `|`, code and label by the first comma, blanks around both are dropped.
    Where no part has a comma at all, each part is code and label in one, as in old projects. A
    blank text has no choices, and a blank part (after a closing `|`) is none.

    Raises:
        ValueError: A part without a code among parts that have one, or a code used twice. The
            message is a clause that names the codes.
    """
    parts = [part.strip() for part in text.split("|")]
    parts = [part for part in parts if part]
    if not any("," in part for part in parts):
        choices = tuple(Choice(part, part) for part in parts)
    else:
        choices = tuple(_split_choice(part) for part in parts)
    used_twice = [code for code, uses in Counter(item.code for item in choices).items() if uses > 1]
    if used_twice:
        raise ValueError(f"uses a code for more than one choice ({', '.join(used_twice)})")
    return choices


def _split_choice(part: str) -> Choice:
    code, comma, label = part.partition(",")
    if not comma or not code.strip():
        raise ValueError(f"has a choice without a code ({part!r})")
    return Choice(code.strip(), label.strip())


def parse_missing_data_codes(text: str) -> tuple[MissingDataCode, ...]:
    """Parse a project's missing data codes, in their order.

    The API divides them by `|` and the project's settings page by line breaks; both are read. A
    part without a comma is code and label in one.
    """
    codes = []
    for part in re.split(r"[|\r\n]+", text):
        code, comma, label = part.partition(",")
        if code.strip():
            codes.append(MissingDataCode(code.strip(), label.strip() if comma else code.strip()))
    return tuple(codes)
