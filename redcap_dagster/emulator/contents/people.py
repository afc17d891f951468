"""Users, roles, data access groups, and who is in which."""

from typing import Any

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.design import Group

_RIGHTS = (
    "design",
    "alerts",
    "user_rights",
    "data_access_groups",
    "reports",
    "stats_and_charts",
    "manage_survey_participants",
    "calendar",
    "data_import_tool",
    "data_comparison_tool",
    "logging",
    "email_logging",
    "file_repository",
    "data_quality_create",
    "data_quality_execute",
    "api_export",
    "api_import",
    "api_modules",
    "mobile_app",
    "mobile_app_download_data",
    "record_create",
    "record_rename",
    "record_delete",
)
_USER_LOCK_RIGHTS = ("lock_records_all_forms", "lock_records", "lock_records_customization")
_ROLE_LOCK_RIGHTS = ("lock_records_customization", "lock_records", "lock_records_all_forms")


def export_users(call: Call) -> Table:
    """Return the project's users; each of them has every right."""
    columns = (
        "username",
        "email",
        "firstname",
        "lastname",
        "expiration",
        "data_access_group",
        "data_access_group_id",
        "data_access_group_label",
        *_RIGHTS,
        *_USER_LOCK_RIGHTS,
        "forms",
        "forms_export",
    )
    rights = [1] * (len(_RIGHTS) + len(_USER_LOCK_RIGHTS))
    forms = {form.name: 1 for form in call.design.forms}
    rows = []
    for user in call.store.users(call.user.project_id):
        group = _group(call, user.data_access_group)
        place: list[Any] = ["", "", ""]
        if group is not None:
            place = [group.unique_name, group.group_id, group.name]
        rows.append([user.username, "", "", "", "", *place, *rights, forms, forms])
    return Table(columns, rows, csv_final_newline=False)


def export_roles(call: Call) -> Table:
    """Return the user roles; their rights are texts in JSON, as a server sends them."""
    rights = (*_RIGHTS, *_ROLE_LOCK_RIGHTS)
    columns = ("unique_role_name", "role_label", *rights, "forms", "forms_export")
    rows = [
        [
            role.unique_name,
            role.label,
            *(str(role.rights[right]) for right in rights),
            dict(role.forms),
            dict(role.forms_export),
        ]
        for role in call.design.roles
    ]
    return Table(columns, rows, csv_header_when_empty=False)


def export_role_mapping(call: Call) -> Table:
    """Return every user with the unique name of its role, blank for none."""
    rows = [
        (user.username, user.role, user.data_access_group)
        for user in call.store.users(call.user.project_id)
    ]
    return Table(("username", "unique_role_name", "data_access_group"), rows)


def export_groups(call: Call) -> Table:
    """Return the data access groups."""
    rows = [(group.name, group.unique_name, group.group_id) for group in call.design.groups]
    columns = ("data_access_group_name", "unique_group_name", "data_access_group_id")
    return Table(columns, rows, csv_header_when_empty=False)


def export_group_mapping(call: Call) -> Table:
    """Return every user with the unique name of its data access group, blank for none."""
    rows = [
        (user.username, user.data_access_group) for user in call.store.users(call.user.project_id)
    ]
    return Table(("username", "redcap_data_access_group"), rows)


def _group(call: Call, unique_name: str) -> Group | None:
    return next((group for group in call.design.groups if group.unique_name == unique_name), None)
