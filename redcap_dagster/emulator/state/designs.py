"""Reads and writes a project's design inside a transaction."""

import json
import sqlite3
from dataclasses import replace

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.state.design_json import design_from_json, design_to_json


def read_design(connection: sqlite3.Connection, project_id: int) -> Design:
    """Return the design as it stands in this transaction."""
    found = connection.execute(
        "SELECT design FROM project WHERE project_id = ?", (project_id,)
    ).fetchone()
    return design_from_json(json.loads(found[0]))


def write_design(connection: sqlite3.Connection, project_id: int, design: Design) -> None:
    """Keep a changed design; whoever asks from the end of the transaction on is answered by it."""
    connection.execute(
        "UPDATE project SET design = ?, design_version = design_version + 1 WHERE project_id = ?",
        (json.dumps(design_to_json(design)), project_id),
    )


def forget_events(
    connection: sqlite3.Connection, project_id: int, design: Design, gone: frozenset[str]
) -> Design:
    """Return a design without some events, whose data is deleted with them.

    Args:
        connection: An open transaction.
        project_id: The project.
        design: Its design.
        gone: Unique names of the events.
    """
    connection.executemany(
        "DELETE FROM row WHERE project_id = ? AND event = ?",
        [(project_id, event) for event in sorted(gone)],
    )
    forget_records_without_data(connection, project_id)
    return replace(
        design,
        events=tuple(event for event in design.events if event.unique_name not in gone),
        repeats=tuple(repeat for repeat in design.repeats if repeat.event not in gone),
        longitudinal=design.is_longitudinal,
    )


def forget_records_without_data(connection: sqlite3.Connection, project_id: int) -> None:
    """Delete the records that have no row left: REDCap knows a record by its data alone."""
    connection.execute(
        "DELETE FROM record WHERE project_id = ? AND record_id NOT IN"
        " (SELECT record_id FROM row WHERE project_id = ?)",
        (project_id, project_id),
    )
