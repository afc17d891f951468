"""What every method that changes a project's design does alike."""

import sqlite3
from collections.abc import Callable, Sequence

from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.incoming import IncomingRow, incoming_rows, text_rows
from redcap_dagster.emulator.state.designs import read_design, write_design

DesignChange = Callable[[sqlite3.Connection, Design], Design]
MANAGE = "Manage/Design"


def nested_rows(call: Call) -> list[IncomingRow]:
    """Return the rows sent for import, in which form rights may be nested."""
    return incoming_rows(call.parameters.text("data"), call.body_format, call.delimiter)


def imported_rows(call: Call, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows sent for import, trimmed, all of whose values are texts.

    Args:
        call: The request.
        needed: Columns that must be in every row, with a value.

    Raises:
        RequestRefusedError: The rows are in another format, or lack a value.
    """
    rows = [
        {name: value.strip() for name, value in row.items()} for row in text_rows(nested_rows(call))
    ]
    for row in rows:
        missing = [name for name in needed if not row.get(name)]
        if missing:
            listed = ", ".join(f"'{name}'" for name in missing)
            raise RequestRefusedError(f"The following required values are missing: {listed}")
    return rows


def change_design(call: Call, details: str, change: DesignChange) -> None:
    """Change the design in one transaction and write a line of the log.

    Args:
        call: The request.
        details: What the log says was done.
        change: Makes the new design out of the one that stands; may change data with it.
    """
    project_id = call.user.project_id
    with call.store.writing() as connection:
        changed = change(connection, read_design(connection, project_id))
        write_design(connection, project_id, changed)
        call.store.audit_log.write(connection, call.user, MANAGE, details)


def refuse_production(call: Call, what: str) -> None:
    """Refuse what REDCap does in Development status only."""
    if call.design.settings.in_production:
        raise RequestRefusedError(f"You cannot {what} while the project is in production status")


def refuse_classic(call: Call, what: str) -> None:
    """Refuse what only a longitudinal project has."""
    if not call.design.is_longitudinal:
        raise RequestRefusedError(f"You cannot {what} for classic projects")


def whole_number(row: dict[str, str], name: str) -> int:
    """Return a cell that must be a whole number; 0 when it is blank."""
    text = row.get(name, "") or "0"
    try:
        return int(text)
    except ValueError as error:
        raise RequestRefusedError(f"The value of '{name}' is not a whole number") from error
