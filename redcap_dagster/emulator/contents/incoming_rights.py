"""Reads the rights in a row sent for import: flags by column, form rights nested or as text."""

import re
from collections.abc import Mapping

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.incoming import IncomingRow, Value
from redcap_dagster.emulator.state.user import EVERY_RIGHT, Rights

_FORM_COLUMNS = ("forms", "forms_export")
_FORM_RIGHT = re.compile(r"\s*([^:,\s]+)\s*:\s*(\d+)\s*")


def names_rights(row: IncomingRow) -> bool:
    """Whether a row says anything about rights."""
    return any(name in row for name in (*EVERY_RIGHT, *_FORM_COLUMNS))


def no_rights(design: Design) -> Rights:
    """Return the rights of someone who was given none."""
    none = {form.name: 0 for form in design.forms}
    return Rights(dict.fromkeys(EVERY_RIGHT, 0), none, dict(none))


def changed_rights(row: IncomingRow, before: Rights, design: Design, whose: str) -> Rights:
    """Return rights with what a row says about them; what it leaves out stays.

    Args:
        row: The row.
        before: The rights until now.
        design: The project's design, for the names of its instruments.
        whose: Such as `user role "U-1"`, for messages.

    Raises:
        RequestRefusedError: An instrument is unknown, or a right is no number.
    """
    project = {
        name: _code(row[name], f"'{name}'")
        for name in EVERY_RIGHT
        if name in row and row[name] != ""
    }
    forms, forms_export = (
        _form_rights(row[name], design, whose) if name in row else {} for name in _FORM_COLUMNS
    )
    return Rights(
        {**before.project, **project},
        {**before.forms, **forms},
        {**before.forms_export, **forms_export},
    )


def _form_rights(value: Value, design: Design, whose: str) -> dict[str, int]:
    given = value if isinstance(value, Mapping) else dict(_FORM_RIGHT.findall(value))
    for form in given:
        if form not in design.form_order:
            # The words, and the full stop that is missing, as a server sent them (REDCap.jl).
            raise RequestRefusedError(
                f'The form named "{form}" is incorrect for the {whose} '
                "The form does not exist in this project."
            )
    return {form: _code(code, f"the form '{form}'") for form, code in given.items()}


def _code(value: Value, what: str) -> int:
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise RequestRefusedError(f"The value of {what} is not a valid right")
    return int(value)
