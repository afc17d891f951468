"""Reads the user roles of a project XML."""

import re
from collections.abc import Iterable, Mapping

from redcap_dagster.emulator.design import Role

# REDCap's API name of a right → the attribute that holds it.
_ATTRIBUTES = {
    "design": "design",
    "alerts": "alerts",
    "user_rights": "user_rights",
    "data_access_groups": "data_access_groups",
    "reports": "reports",
    "stats_and_charts": "graphical",
    "manage_survey_participants": "participants",
    "calendar": "calendar",
    "data_import_tool": "data_import_tool",
    "data_comparison_tool": "data_comparison_tool",
    "logging": "data_logging",
    "email_logging": "email_logging",
    "file_repository": "file_repository",
    "data_quality_create": "data_quality_design",
    "data_quality_execute": "data_quality_execute",
    "api_export": "api_export",
    "api_import": "api_import",
    "api_modules": "api_modules",
    "mobile_app": "mobile_app",
    "mobile_app_download_data": "mobile_app_download_data",
    "record_create": "record_create",
    "record_rename": "record_rename",
    "record_delete": "record_delete",
    "lock_records_customization": "lock_record_customize",
    "lock_records": "lock_record",
    "lock_records_all_forms": "lock_record_multiform",
    "random_setup": "random_setup",
    "random_dashboard": "random_dashboard",
    "random_perform": "random_perform",
}
_FORM_RIGHT = re.compile(r"\[([^,\]]+),(\d+)\]")


def build_roles(listed: Iterable[Mapping[str, str]]) -> tuple[Role, ...]:
    """Build the roles from the attributes of the `redcap:UserRoles` elements, in file order."""
    return tuple(
        Role(
            unique_name=attributes.get("unique_role_name", ""),
            label=attributes.get("role_name", ""),
            rights={
                right: int(attributes.get(attribute) or 0)
                for right, attribute in _ATTRIBUTES.items()
            },
            forms=_form_rights(attributes.get("data_entry", "")),
            forms_export=_form_rights(attributes.get("data_export_instruments", "")),
        )
        for attributes in listed
    )


def role_attributes(role: Role) -> dict[str, str | int]:
    """Return the attributes of a role's `redcap:UserRoles` element."""
    return {
        "role_name": role.label,
        "unique_role_name": role.unique_name,
        **{attribute: role.rights.get(right, 0) for right, attribute in _ATTRIBUTES.items()},
        "data_export_instruments": _written_form_rights(role.forms_export),
        "data_entry": _written_form_rights(role.forms),
    }


def _written_form_rights(rights: Mapping[str, int]) -> str:
    return "".join(f"[{form},{right}]" for form, right in rights.items())


def _form_rights(text: str) -> dict[str, int]:
    """Parse `[demographics,1][health,0]`."""
    return {form: int(right) for form, right in _FORM_RIGHT.findall(text)}
