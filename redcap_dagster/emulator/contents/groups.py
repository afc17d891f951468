"""Data access groups and who sits in which: import, delete, switch."""

import sqlite3
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import MANAGE, change_design, imported_rows
from redcap_dagster.emulator.design import Design, Group
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import unique_group_name
from redcap_dagster.emulator.state.designs import read_design
from redcap_dagster.emulator.state.numbers import first_group_id
from redcap_dagster.emulator.state.people import unknown_user


def import_groups(call: Call) -> Text:
    """Create groups, and rename those whose unique name is given; that name follows the label."""
    rows = imported_rows(call, ("data_access_group_name",))

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        groups = list(design.groups)
        for row in rows:
            _put_group(connection, call, groups, row)
        return replace(design, groups=tuple(groups))

    change_design(call, "Import DAGs (API)", change)
    return Text(str(len(rows)))


def _put_group(
    connection: sqlite3.Connection, call: Call, groups: list[Group], row: dict[str, str]
) -> None:
    label = row["data_access_group_name"]
    wanted = row.get("unique_group_name", "")
    if not wanted:
        first = first_group_id(call.user.project_id)
        group_id = max((group.group_id + 1 for group in groups), default=first)
        taken = {group.unique_name for group in groups}
        groups.append(Group(label, unique_group_name(label, taken), group_id))
        return
    position = _position(groups, wanted)
    old = groups[position]
    if old.name == label:
        return
    taken = {group.unique_name for group in groups if group is not old}
    groups[position] = replace(old, name=label, unique_name=unique_group_name(label, taken))
    _move_all(connection, call.user.project_id, wanted, groups[position].unique_name)


def delete_groups(call: Call) -> Text:
    """Delete groups; their records and users are in no group afterwards."""
    wanted = call.parameters.names("dags")
    if not wanted:
        raise RequestRefusedError('The required parameter "dags" is missing')

    def change(connection: sqlite3.Connection, design: Design) -> Design:
        for name in wanted:
            _position(list(design.groups), name)
            _move_all(connection, call.user.project_id, name, "")
        kept = tuple(group for group in design.groups if group.unique_name not in wanted)
        return replace(design, groups=kept)

    change_design(call, "Delete DAGs (API)", change)
    return Text(str(len(set(wanted))))


def switch_group(call: Call) -> Text:
    """Move the token's user to another group, or out of its group when `dag` is blank."""
    wanted = call.parameters.text("dag").strip()
    with call.store.writing() as connection:
        design = read_design(connection, call.user.project_id)
        if wanted:
            _position(list(design.groups), wanted)
        _put_user(connection, call.user.project_id, call.user.username, wanted)
        call.store.audit_log.write(connection, call.user, MANAGE, "Switch DAG (API)")
    return Text("1")


def import_group_mapping(call: Call) -> Text:
    """Put users into groups; a blank group takes a user out."""
    rows = imported_rows(call, ("username",))
    with call.store.writing() as connection:
        groups = list(read_design(connection, call.user.project_id).groups)
        for row in rows:
            if group := row.get("redcap_data_access_group", ""):
                _position(groups, group)
            _put_user(connection, call.user.project_id, row["username"], group)
        call.store.audit_log.write(
            connection, call.user, MANAGE, "Import User-DAG assignments (API)"
        )
    return Text(str(len(rows)))


def _position(groups: list[Group], unique_name: str) -> int:
    for position, group in enumerate(groups):
        if group.unique_name == unique_name:
            return position
    raise RequestRefusedError(f"The data access group '{unique_name}' does not exist")


def _put_user(connection: sqlite3.Connection, project_id: int, username: str, group: str) -> None:
    changed = connection.execute(
        "UPDATE user SET data_access_group = ? WHERE project_id = ? AND username = ?",
        (group, project_id, username),
    )
    if not changed.rowcount:
        raise unknown_user(username)


def _move_all(connection: sqlite3.Connection, project_id: int, old: str, new: str) -> None:
    for table in ("record", "user"):
        connection.execute(
            f"UPDATE {table} SET data_access_group = ?"  # noqa: S608 - one of two fixed names
            " WHERE project_id = ? AND data_access_group = ?",
            (new, project_id, old),
        )
