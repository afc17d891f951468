"""Moves stored data when instruments or events begin or cease to repeat.

REDCap keeps the first instance of what repeats where it keeps the data of what does not; here the
two stand in different rows.
"""

import json
import sqlite3
from typing import NamedTuple

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.names import timestamp_column


class _Place(NamedTuple):
    """Which rows of a project: one for each record at most."""

    project_id: int
    event: str
    instrument: str
    instance: int


_Key = tuple[int, str, str, int, str]
_WHERE = "project_id = ? AND event = ? AND instrument = ? AND instance = ?"


def move_repeats(connection: sqlite3.Connection, project_id: int, old: Design, new: Design) -> None:
    """Move the data of each event and instrument whose way of repeating changes.

    Args:
        connection: An open transaction.
        project_id: The project.
        old: The design the data was stored under.
        new: The design it is to be stored under; it differs in `repeats` alone.
    """
    for event in old.event_order:
        before = _Place(project_id, event, "", int(old.repeats_as_event(event)))
        shared = _Place(project_id, event, "", int(new.repeats_as_event(event)))
        if before != shared:
            _move(connection, before, shared, None)
        for form in old.forms_of_event(event):
            own = _Place(project_id, event, form, 1)
            repeated, repeats = old.repeats_as_form(event, form), new.repeats_as_form(event, form)
            if repeats and not repeated:
                _move(connection, shared, own, _columns(old, form))
            elif repeated and not repeats:
                _move(connection, own, shared, None)


def _columns(design: Design, form: str) -> frozenset[str]:
    owned = {column for column, owner in design.column_forms.items() if owner == form}
    return frozenset({*owned, timestamp_column(form)})


def _move(
    connection: sqlite3.Connection, source: _Place, target: _Place, columns: frozenset[str] | None
) -> None:
    """Move some columns of rows, or with None the rows."""
    found = connection.execute(f"SELECT record_id, cells FROM row WHERE {_WHERE}", source)  # noqa: S608
    for record_id, text in found.fetchall():
        cells = json.loads(text)
        moved = {name: value for name, value in cells.items() if not columns or name in columns}
        if columns is None:
            connection.execute(
                f"DELETE FROM row WHERE {_WHERE} AND record_id = ?",  # noqa: S608
                (*source, record_id),
            )
            _add(connection, (*target, record_id), moved)
        elif moved:
            # The row stays without a value: it still is the record.
            kept = {name: value for name, value in cells.items() if name not in columns}
            _put(connection, (*source, record_id), kept)
            _add(connection, (*target, record_id), moved)


def _add(connection: sqlite3.Connection, key: _Key, cells: dict[str, str]) -> None:
    found = connection.execute(
        f"SELECT cells FROM row WHERE {_WHERE} AND record_id = ?",  # noqa: S608
        key,
    ).fetchone()
    there = json.loads(found[0]) if found else {}
    _put(connection, key, {**there, **cells})


def _put(connection: sqlite3.Connection, key: _Key, cells: dict[str, str]) -> None:
    connection.execute(
        "INSERT INTO row (project_id, event, instrument, instance, record_id, cells)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells",
        (*key, json.dumps(cells, ensure_ascii=False)),
    )
