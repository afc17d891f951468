"""Users, roles, data access groups, and who is in which."""

from typing import Any

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call, effective_rights
from redcap_dagster.emulator.design import Group
from redcap_dagster.emulator.state.user import RANDOMIZATION_RIGHTS, RIGHTS, User

_LOCK_RIGHTS = 3
_RIGHTS = RIGHTS[:-_LOCK_RIGHTS]
_USER_LOCK_RIGHTS = RIGHTS[-_LOCK_RIGHTS:]
_ROLE_LOCK_RIGHTS = ("lock_records_customization", "lock_records", "lock_records_all_forms")


def export_users(call: Call) -> Table:
    """Return the project's users with the rights that count: a role's where the user has one."""
    rights = (*_RIGHTS, *_USER_LOCK_RIGHTS, *_randomization_rights(call))
    columns = (
        "username",
        "email",
        "firstname",
        "lastname",
        "expiration",
        "data_access_group",
        "data_access_group_id",
        "data_access_group_label",
        *rights,
        "forms",
        "forms_export",
    )
    rows = []
    for user in _users_by_name(call):
        group = _group(call, user.data_access_group)
        place: list[Any] = ["", "", ""]
        if group is not None:
            place = [group.unique_name, group.group_id, group.name]
        given = effective_rights(call.design, user)
        rows.append(
            [
                user.username,
                *("", "", "", user.expiration),
                *place,
                *(given.project.get(right, 0) for right in rights),
                {form.name: given.form_right(form.name) for form in call.design.forms},
                {form.name: given.export_right(form.name) for form in call.design.forms},
            ]
        )
    return Table(columns, rows, csv_final_newline=False)


def _randomization_rights(call: Call) -> tuple[str, ...]:
    return RANDOMIZATION_RIGHTS if call.design.settings.randomization_enabled else ()


def export_roles(call: Call) -> Table:
    """Return the user roles; their rights are texts in JSON, as a server sends them."""
    rights = (*_RIGHTS, *_ROLE_LOCK_RIGHTS)
    randomization = _randomization_rights(call)
    columns = (
        "unique_role_name",
        "role_label",
        *rights,
        "forms",
        "forms_export",
        *randomization,
    )
    rows = [
        [
            role.unique_name,
            role.label,
            *(str(role.rights.get(right, 0)) for right in rights),
            {form.name: role.forms.get(form.name, 0) for form in call.design.forms},
            {form.name: role.forms_export.get(form.name, 0) for form in call.design.forms},
            *(str(role.rights.get(right, 0)) for right in randomization),
        ]
        for role in call.design.roles
    ]
    return Table(columns, rows, csv_header_when_empty=False)


def export_role_mapping(call: Call) -> Table:
    """Return every user with the unique name of its role, blank for none."""
    rows = [(user.username, user.role, user.data_access_group) for user in _users_by_name(call)]
    return Table(("username", "unique_role_name", "data_access_group"), rows)


def export_groups(call: Call) -> Table:
    """Return the data access groups."""
    rows = [(group.name, group.unique_name, group.group_id) for group in call.design.groups]
    columns = ("data_access_group_name", "unique_group_name", "data_access_group_id")
    return Table(columns, rows, csv_header_when_empty=False)


def export_group_mapping(call: Call) -> Table:
    """Return every user with the unique name of its data access group, blank for none."""
    rows = [(user.username, user.data_access_group) for user in _users_by_name(call)]
    return Table(("username", "redcap_data_access_group"), rows)


def _users_by_name(call: Call) -> list[User]:
    # As in PyCap's documentation, where a user added last is listed first.
    return sorted(call.store.users(call.user.project_id), key=lambda user: user.username)


def _group(call: Call, unique_name: str) -> Group | None:
    return next((group for group in call.design.groups if group.unique_name == unique_name), None)
