"""How REDCap makes names from labels and codes, and how it orders records."""

import re
from collections.abc import Container, Iterator
from itertools import chain, count

UNIQUE_NAME_LENGTH = 18
_DIGITS = re.compile(r"\d+")
_NOT_COLUMN = re.compile(r"[^a-z0-9_]")
_LETTERS = "bcdefghijklmnopqrstuvwxyz"


def checkbox_column(field_name: str, code: str) -> str:
    """Return the export column of one choice of a checkbox field (`meds`, `-2` → `meds____2`)."""
    return f"{field_name}___{_NOT_COLUMN.sub('_', code.lower())}"


def status_column(form_name: str) -> str:
    """Return the name of an instrument's form status field."""
    return f"{form_name}_complete"


def timestamp_column(form_name: str) -> str:
    """Return the name of a survey instrument's time stamp column."""
    return f"{form_name}_timestamp"


def unique_group_name(label: str, taken: Container[str] = ()) -> str:
    """Return the unique name REDCap gives a data access group (`dag-a` → `daga`).

    Lower case, blanks to `_`, everything else dropped, cut to 18 characters; a letter is added
    when the name is taken.
    """
    stem = _NOT_COLUMN.sub("", label.lower().replace(" ", "_"))[:UNIQUE_NAME_LENGTH]
    # A name without a Latin letter would be blank, which is what "no group" is called.
    return _free_name(stem or "group", taken)


def unique_event_name(label: str, arm_number: int, taken: Container[str] = ()) -> str:
    """Return the unique name REDCap gives an event (`Visit 1` in arm 2 → `visit_1_arm_2`).

    As `unique_group_name`, with the arm's number at the end; a letter is added after it when the
    name is taken (`visit_1_arm_2b`).
    """
    stem = _NOT_COLUMN.sub("", label.lower().replace(" ", "_"))[:UNIQUE_NAME_LENGTH].rstrip("_")
    return _free_name(f"{stem or 'event'}_arm_{arm_number}", taken)


def _free_name(name: str, taken: Container[str]) -> str:
    endings: Iterator[str] = chain(("", *_LETTERS), map(str, count(1)))
    return next(name + ending for ending in endings if name + ending not in taken)


def natural_key(record_id: str) -> str:
    """Return a text that sorts record ids as REDCap does: numbers by size, `2` before `10`."""
    return _DIGITS.sub(lambda run: run[0].lstrip("0").rjust(20, "0"), record_id.lower())
