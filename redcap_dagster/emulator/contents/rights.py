"""Which rights an API method needs, and how REDCap says that one is missing."""

from collections.abc import Mapping

from redcap_dagster.emulator.contents.call import Call, Method
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.state.user import Rights

_FORBIDDEN = 403
_EXPORT = "api_export"
_IMPORT = "api_import"
_ACTIONS_THAT_EXPORT = frozenset({"export", "list"})

# Right → the name that users know it by. Those of the first three are seen in refusals of servers.
_TITLES: Mapping[str, str] = {
    "api_export": "API Export",
    "api_import": "API Import/Update",
    "data_access_groups": "Data Access Groups",
    "design": "Project Design and Setup",
    "file_repository": "File Repository",
    "logging": "Logging",
    "manage_survey_participants": "Survey Distribution Tools",
    "random_perform": "Randomize",
    "record_create": "Create Records",
    "record_delete": "Delete Record",
    "record_rename": "Rename Record",
    "reports": "Reports & Report Builder",
    "user_rights": "User Rights",
}

# Content → the right that every action of it needs beside the API's own.
_CONTENT_RIGHTS: Mapping[str, str] = {
    "dag": "data_access_groups",
    "userDagMapping": "data_access_groups",
    "user": "user_rights",
    "userRole": "user_rights",
    "userRoleMapping": "user_rights",
    "fileRepository": "file_repository",
    "log": "logging",
    "surveyLink": "manage_survey_participants",
    "surveyQueueLink": "manage_survey_participants",
    "surveyReturnCode": "manage_survey_participants",
    "surveyAccessCode": "manage_survey_participants",
    "participantList": "manage_survey_participants",
}
_DESIGN_IMPORTS = frozenset(
    {"arm", "event", "formEventMapping", "metadata", "project_settings", "repeatingFormsEvents"}
)
# Methods whose right stands in for the API's import right.
_RECORD_RIGHTS: Mapping[str, str] = {
    "delete": "record_delete",
    "rename": "record_rename",
    "randomize": "random_perform",
}


def needed_rights(method: Method) -> tuple[str, ...]:
    """Return the rights a method needs, in the order they are asked for."""
    content, action = method.content, method.action
    if content == "version":
        return ()
    if content == "record" and action in _RECORD_RIGHTS:
        return (_RECORD_RIGHTS[action],)
    if content == "dag" and action == "switch":
        return (_IMPORT,)
    base = _EXPORT if action in _ACTIONS_THAT_EXPORT else _IMPORT
    if base == _IMPORT and content in _DESIGN_IMPORTS:
        return (base, "design")
    extra = _CONTENT_RIGHTS.get(content)
    return (base, extra) if extra else (base,)


def require_rights(method: Method, rights: Rights) -> None:
    """Refuse a call whose user lacks a right.

    Raises:
        RequestRefusedError: 403; a user with neither of the API's rights has a token for nothing.
    """
    if not rights.may(_EXPORT) and not rights.may(_IMPORT):
        raise RequestRefusedError("You do not have permissions to use the API", status=_FORBIDDEN)
    needed = needed_rights(method)
    missing = [right for right in needed if not rights.may(right)]
    if not missing:
        return
    if len(needed) == 1 or missing == [_IMPORT]:
        message = f"You do not have {_TITLES[missing[0]]} privileges"
    else:
        listed = " and ".join(f"'{_TITLES[right]}' privileges" for right in needed)
        message = f"Insufficient user privileges: You must have {listed} in the project."
    raise RequestRefusedError(message, status=_FORBIDDEN)


def require_right(call: Call, right: str) -> None:
    """Refuse a call whose user lacks a right that only some requests need."""
    if not call.rights.may(right):
        raise RequestRefusedError(f"You do not have {_TITLES[right]} privileges", status=_FORBIDDEN)
