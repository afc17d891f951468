"""What the audit log tells of a request that only reads."""

from collections.abc import Mapping

from redcap_dagster.emulator.contents.call import Call, Method

_MANAGE = "Manage/Design"
_DATA_EXPORT = "Data export (API)"

# Content → what the log says of its export. Seen in logs of servers: those up to `version`.
_DETAILS: Mapping[str, str] = {
    "metadata": "Download data dictionary (API)",
    "instrument": "Export instruments (API)",
    "project": "Export project information (API)",
    "dag": "Export DAGs (API)",
    "exportFieldNames": "Download export field names (API)",
    "userDagMapping": "Export User-DAG assignments (API)",
    "userRole": "Export user roles (API)",
    "userRoleMapping": "Export user role assignments (API)",
    "user": "Export users (API)",
    "log": "Export Logging (API)",
    "version": "Export REDCap version (API)",
    "arm": "Export arms (API)",
    "event": "Export events (API)",
    "formEventMapping": "Export instrument-event mappings (API)",
    "repeatingFormsEvents": "Export repeating instruments and events (API)",
    "project_xml": "Download project XML (API)",
}


def tell_of_export(call: Call, method: Method) -> None:
    """Write into the log that something was read; methods that write tell of it themselves."""
    if method.action != "export":
        return
    if method.content in {"record", "report"}:
        body_format = call.body_format.upper()
        raw_or_label = call.parameters.word("rawOrLabel", "raw")
        details = f"export_format: {body_format}, rawOrLabel: {raw_or_label}"
        _write(call, _DATA_EXPORT, details)
    elif method.content in _DETAILS:
        _write(call, _MANAGE, _DETAILS[method.content])


def _write(call: Call, action: str, details: str) -> None:
    with call.store.writing() as connection:
        call.store.audit_log.write(connection, call.user, action, details)
