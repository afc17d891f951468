"""How new records are numbered."""

import sqlite3

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.state.user import User


def name_prefix(design: Design, user: User) -> str:
    """Return what new names of a user start with: the number of its data access group."""
    for group in design.groups:
        if group.unique_name == user.data_access_group:
            return f"{group.group_id}-"
    return ""


def next_number(connection: sqlite3.Connection, project_id: int, prefix: str) -> int:
    """Return the highest number among the record ids that start with `prefix`, plus one."""
    found = connection.execute("SELECT record_id FROM record WHERE project_id = ?", (project_id,))
    numbers = [
        int(rest)
        for (record_id,) in found
        if record_id.startswith(prefix)
        and (rest := record_id.removeprefix(prefix)).isascii()
        and rest.isdigit()
    ]
    return max(numbers, default=0) + 1
