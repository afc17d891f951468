"""Moves stored data when instruments or events begin or cease to repeat.

REDCap keeps the first instance of what repeats where it keeps the data of what does not; here the
two stand in different rows.
"""

import json
import sqlite3

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import timestamp_column

_BASE = ("", 0)
_Place = tuple[str, int]


def move_repeats(connection: sqlite3.Connection, project_id: int, old: Design, new: Design) -> None:
    """Move the data of each instrument whose way of repeating changes.

    Args:
        connection: An open transaction.
        project_id: The project.
        old: The design the data was stored under.
        new: The design it is to be stored under; it differs in `repeats` alone.
    """
    for event in old.event_order:
        for form in old.forms_of_event(event):
            before, after = _place(old, event, form), _place(new, event, form)
            if before != after:
                owned = {column for column, owner in old.column_forms.items() if owner == form}
                owned.add(timestamp_column(form))
                _move(connection, (project_id, event, *before), after, owned)


def _place(design: Design, event: str, form: str) -> _Place:
    """Return instrument and instance of the row that holds a form's first data."""
    if design.repeats_as_form(event, form):
        return (form, 1)
    return ("", 1) if design.repeats_as_event(event) else _BASE


def _move(
    connection: sqlite3.Connection,
    source: tuple[int, str, str, int],
    after: _Place,
    owned: set[str],
) -> None:
    project_id, event, instrument, instance = source
    found = connection.execute(
        "SELECT record_id, cells FROM row"
        " WHERE project_id = ? AND event = ? AND instrument = ? AND instance = ?",
        source,
    ).fetchall()
    for record_id, text in found:
        cells = json.loads(text)
        moved = {column: value for column, value in cells.items() if column in owned}
        if moved:
            kept = {column: value for column, value in cells.items() if column not in owned}
            _put(connection, (project_id, record_id, event, instrument, instance), kept)
            _add(connection, (project_id, record_id, event, *after), moved)


_Key = tuple[int, str, str, str, int]
_WHERE = "WHERE project_id = ? AND record_id = ? AND event = ? AND instrument = ? AND instance = ?"


def _add(connection: sqlite3.Connection, key: _Key, cells: dict[str, str]) -> None:
    found = connection.execute(f"SELECT cells FROM row {_WHERE}", key).fetchone()  # noqa: S608
    there = json.loads(found[0]) if found else {}
    _put(connection, key, {**there, **cells})


def _put(connection: sqlite3.Connection, key: _Key, cells: dict[str, str]) -> None:
    # An instance without values is gone; a base row without values still is the record.
    if not cells and key[4]:
        connection.execute(f"DELETE FROM row {_WHERE}", key)  # noqa: S608
        return
    connection.execute(
        "INSERT INTO row (project_id, record_id, event, instrument, instance, cells)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells",
        (*key, json.dumps(cells, ensure_ascii=False)),
    )
