"""User roles and who has which: import, delete."""

import secrets
import sqlite3
import string
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import MANAGE, imported_rows, nested_rows
from redcap_dagster.emulator.contents.incoming_rights import changed_rights, no_rights
from redcap_dagster.emulator.contents.users import text_of
from redcap_dagster.emulator.design import Design, Role
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.incoming import IncomingRow
from redcap_dagster.emulator.state.designs import read_design, write_design
from redcap_dagster.emulator.state.people import put_user, unknown_user
from redcap_dagster.emulator.state.user import Rights

_NAME_LETTERS = string.ascii_uppercase + string.digits
_NAME_LENGTH = 10


def import_roles(call: Call) -> Text:
    """Create roles (blank unique name) and change those whose unique name is given."""
    rows = nested_rows(call)
    with call.store.writing() as connection:
        design = read_design(connection, call.user.project_id)
        roles = {role.unique_name: role for role in design.roles}
        _refuse_unknown(roles, [text_of(row, "unique_role_name") for row in rows])
        for row in rows:
            role = _role(row, roles.get(text_of(row, "unique_role_name")), design)
            verb = "Edit" if role.unique_name in roles else "Create"
            roles[role.unique_name] = role
            call.store.audit_log.write(
                connection, call.user, f"{verb} user role", f"role = '{role.label}'"
            )
        write_design(connection, call.user.project_id, replace(design, roles=tuple(roles.values())))
    return Text(str(len(rows)))


def _role(row: IncomingRow, old: Role | None, design: Design) -> Role:
    label = text_of(row, "role_label")
    if not label:
        raise RequestRefusedError("The following required values are missing: 'role_label'")
    if old is None:
        name = "U-" + "".join(secrets.choice(_NAME_LETTERS) for _ in range(_NAME_LENGTH))
        before = no_rights(design)
    else:
        name = old.unique_name
        before = Rights(old.rights, old.forms, old.forms_export)
    rights = changed_rights(row, before, design, f'user role "{name if old else label}"')
    return Role(name, label, rights.project, rights.forms, rights.forms_export)


def delete_roles(call: Call) -> Text:
    """Delete roles; the users who had one have their own rights again."""
    wanted = call.parameters.names("roles")
    if not wanted:
        raise RequestRefusedError('The required parameter "roles" is missing')
    with call.store.writing() as connection:
        project_id = call.user.project_id
        design = read_design(connection, project_id)
        roles = {role.unique_name: role for role in design.roles}
        _refuse_unknown(roles, wanted)
        for name in dict.fromkeys(wanted):
            role = roles.pop(name)
            connection.execute(
                "UPDATE user SET role = '' WHERE project_id = ? AND role = ?", (project_id, name)
            )
            call.store.audit_log.write(
                connection, call.user, "Delete user role", f"role = '{role.label}'"
            )
        write_design(connection, project_id, replace(design, roles=tuple(roles.values())))
    return Text(str(len(set(wanted))))


def import_role_mapping(call: Call) -> Text:
    """Give users roles; a blank role takes the user's away."""
    rows = imported_rows(call, ("username",))
    with call.store.writing() as connection:
        users = {user.username: user for user in call.store.users(call.user.project_id)}
        design = read_design(connection, call.user.project_id)
        roles = {role.unique_name: role for role in design.roles}
        _refuse_unknown(roles, [row.get("unique_role_name", "") for row in rows])
        for row in rows:
            if row["username"] not in users:
                raise unknown_user(row["username"])
            user = replace(users[row["username"]], role=row.get("unique_role_name", ""))
            if "data_access_group" in row:
                user = replace(user, data_access_group=_known_group(row, design))
            put_user(connection, user)
            users[user.username] = user
        _write_log(call, connection)
    return Text(str(len(rows)))


def _write_log(call: Call, connection: sqlite3.Connection) -> None:
    call.store.audit_log.write(connection, call.user, MANAGE, "Import user role assignments (API)")


def _known_group(row: dict[str, str], design: Design) -> str:
    group = row["data_access_group"]
    if group and group not in {entry.unique_name for entry in design.groups}:
        raise RequestRefusedError(f"The data access group '{group}' does not exist")
    return group


def _refuse_unknown(roles: dict[str, Role], wanted: list[str] | tuple[str, ...]) -> None:
    unknown = [name for name in wanted if name and name not in roles]
    if unknown:
        raise RequestRefusedError(f"Invalid Unique Role Names: {', '.join(unknown)}")
