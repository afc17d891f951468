"""Users of a project: import, delete."""

import re
import sqlite3
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import nested_rows
from redcap_dagster.emulator.contents.incoming_rights import (
    changed_rights,
    names_rights,
    no_rights,
)
from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.incoming import IncomingRow, bad_format
from redcap_dagster.emulator.state.designs import read_design
from redcap_dagster.emulator.state.people import delete_user, put_user
from redcap_dagster.emulator.state.user import User

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_IN_ROLE = "Users in roles cannot have their privileges modified via the 'Import User' API method."


def import_users(call: Call) -> Text:
    """Add users and change rights; a new user has the rights that are given and no other."""
    rows = nested_rows(call)
    with call.store.writing() as connection:
        users = {user.username: user for user in call.store.users(call.user.project_id)}
        design = read_design(connection, call.user.project_id)
        for row in rows:
            _import_user(connection, call, design, users, row)
    return Text(str(len(rows)))


def _import_user(
    connection: sqlite3.Connection,
    call: Call,
    design: Design,
    users: dict[str, User],
    row: IncomingRow,
) -> None:
    username = text_of(row, "username")
    if not username:
        raise RequestRefusedError("The following required values are missing: 'username'")
    old = users.get(username)
    if old is not None and old.role and names_rights(row):
        raise RequestRefusedError(_IN_ROLE)
    user = old or User(call.user.project_id, username, "", own_rights=no_rights(design))
    user = replace(
        user,
        own_rights=changed_rights(row, user.own_rights, design, f'user "{username}"'),
        data_access_group=_group(row, design, user),
        expiration=_expiration(row, user),
    )
    put_user(connection, user)
    users[username] = user
    verb = "Edit" if old else "Add"
    call.store.audit_log.write(
        connection, call.user, f"{verb} user {username}", f"user = '{username}'"
    )


def delete_users(call: Call) -> Text:
    """Take users out of the project."""
    wanted = call.parameters.names("users")
    if not wanted:
        raise RequestRefusedError('The required parameter "users" is missing')
    with call.store.writing() as connection:
        for username in dict.fromkeys(wanted):
            delete_user(connection, call.user.project_id, username)
            call.store.audit_log.write(
                connection, call.user, f"Delete user {username}", f"user = '{username}'"
            )
    return Text(str(len(set(wanted))))


def text_of(row: IncomingRow, name: str) -> str:
    """Return a cell that must be a text, trimmed; "" when it is not there."""
    value = row.get(name, "")
    if not isinstance(value, str):
        raise bad_format()
    return value.strip()


def _group(row: IncomingRow, design: Design, user: User) -> str:
    if "data_access_group" not in row:
        return user.data_access_group
    group = text_of(row, "data_access_group")
    if group and group not in {entry.unique_name for entry in design.groups}:
        raise RequestRefusedError(f"The data access group '{group}' does not exist")
    return group


def _expiration(row: IncomingRow, user: User) -> str:
    if "expiration" not in row:
        return user.expiration
    day = text_of(row, "expiration")
    if day and not _DAY.fullmatch(day):
        raise RequestRefusedError("The value of 'expiration' is not a date (YYYY-MM-DD)")
    return day
