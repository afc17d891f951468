"""Numbers that a project file does not hold; each project has its own thousand of events.

A number tells which project it is of, as on a server no two projects share one.
"""

import sqlite3

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import EmulatorError

_EVENTS_OF_A_PROJECT = 1000
_GROUPS_OF_A_PROJECT = 100
_REPORTS_OF_A_PROJECT = 100


def first_event_id(project_id: int) -> int:
    """Return the number of a project's first event."""
    return project_id * _EVENTS_OF_A_PROJECT + 1


def first_group_id(project_id: int) -> int:
    """Return the number of a project's first data access group."""
    return project_id * _GROUPS_OF_A_PROJECT + 1


def first_report_id(project_id: int) -> int:
    """Return the number of a project's first report."""
    return project_id * _REPORTS_OF_A_PROJECT + 1


def next_event_id(project_id: int, design: Design) -> int:
    """Return the number after the highest one in use."""
    used = (event.event_id for event in design.events)
    return max(used, default=first_event_id(project_id) - 1) + 1


def next_group_id(project_id: int, design: Design) -> int:
    """Return the number after the highest one in use."""
    used = (group.group_id for group in design.groups)
    return max(used, default=first_group_id(project_id) - 1) + 1


def free_project_id(connection: sqlite3.Connection, wanted: int | None) -> int:
    """Return the number wanted, or the next free one.

    Raises:
        EmulatorError: A project has it.
    """
    if wanted is None:
        found = connection.execute("SELECT coalesce(max(project_id), 0) + 1 FROM project")
        return int(found.fetchone()[0])
    if connection.execute("SELECT 1 FROM project WHERE project_id = ?", (wanted,)).fetchone():
        raise EmulatorError(f"There is a project {wanted} already: give another number.")
    return wanted
