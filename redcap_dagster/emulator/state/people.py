"""Writes users inside a transaction."""

import secrets
import sqlite3

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import EmulatorError, RequestRefusedError
from redcap_dagster.emulator.state.store import rights_to_json
from redcap_dagster.emulator.state.user import Rights, User

TOKEN_LENGTH = 32
_HEXADECIMAL = frozenset("0123456789ABCDEF")


def add_user(
    connection: sqlite3.Connection,
    project_id: int,
    design: Design,
    *,
    username: str,
    token: str | None,
    data_access_group: str | None,
    rights: Rights | None = None,
) -> User:
    """Give a project one more user, who has every right unless `rights` says otherwise.

    Raises:
        EmulatorError: The token is taken or malformed, or the name or group cannot be used.
    """
    group = "" if data_access_group is None else _unique_group(design, data_access_group)
    own_rights = rights or Rights()
    user = User(project_id, username, _checked_token(token), group, "", own_rights)
    try:
        connection.execute(
            "INSERT INTO user (project_id, username, token, data_access_group, rights)"
            " VALUES (?, ?, ?, ?, ?)",
            (project_id, username, user.token, group, rights_to_json(own_rights)),
        )
    except sqlite3.IntegrityError as error:
        raise EmulatorError(
            f"The user name {username} or the token is taken already: give another one."
        ) from error
    return user


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


def _checked_token(token: str | None) -> str:
    if token is None:
        return secrets.token_hex(TOKEN_LENGTH // 2).upper()
    if len(token) != TOKEN_LENGTH or not _HEXADECIMAL.issuperset(token.upper()):
        raise EmulatorError("An API token is 32 hexadecimal digits.")
    return token.upper()


def _unique_group(design: Design, wanted: str) -> str:
    for group in design.groups:
        if wanted in {group.unique_name, group.name}:
            return group.unique_name
    raise EmulatorError(
        f"The project has no data access group {wanted!r}; it has "
        f"{', '.join(group.unique_name for group in design.groups) or 'none'}."
    )
