"""Writes users inside a transaction."""

import sqlite3

from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.state.store import rights_to_json
from redcap_dagster.emulator.state.user import User


def put_user(connection: sqlite3.Connection, user: User) -> None:
    """Add a user to its project, or change the one of that name, whose token stays."""
    connection.execute(
        "INSERT INTO user"
        " (project_id, username, token, data_access_group, role, rights, expiration)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project_id, username) DO UPDATE SET"
        " data_access_group = excluded.data_access_group, role = excluded.role,"
        " rights = excluded.rights, expiration = excluded.expiration",
        (
            user.project_id,
            user.username,
            user.token or None,
            user.data_access_group,
            user.role,
            rights_to_json(user.own_rights),
            user.expiration,
        ),
    )


def delete_user(connection: sqlite3.Connection, project_id: int, username: str) -> None:
    """Take a user out of a project; the user's token is good for nothing afterwards.

    Raises:
        RequestRefusedError: The project has no such user.
    """
    deleted = connection.execute(
        "DELETE FROM user WHERE project_id = ? AND username = ?", (project_id, username)
    )
    if not deleted.rowcount:
        raise unknown_user(username)


def unknown_user(username: str) -> RequestRefusedError:
    """Return the refusal of a name that is no user of the project."""
    return RequestRefusedError(f"The user '{username}' does not exist in this project")
