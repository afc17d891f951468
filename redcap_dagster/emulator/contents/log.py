"""The audit log as its method shows it."""

import re
from collections.abc import Sequence
from contextlib import closing

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError

_COLUMNS = ("timestamp", "username", "action", "details", "record")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d)(:\d\d)?", re.ASCII)
_MINUTE = len("2026-01-31 23:59")

_ADDED = ("Create record%", "Create Response")
_EDITED = ("Update record%", "Update Response", "Randomize %")
_DELETED = ("Delete record%",)
# Kind of entry → the actions it holds, as SQL patterns. Every other action is of kind `manage`.
_KINDS: dict[str, tuple[str, ...]] = {
    "export": ("Data export%", "PDF Export%"),
    "user": ("Add user%", "Edit user%", "Delete user%", "Create user role%"),
    "record": (*_ADDED, *_EDITED, *_DELETED),
    "record_add": _ADDED,
    "record_edit": _EDITED,
    "record_delete": _DELETED,
    "lock_record": ("Lock/Unlock Record%", "E-signature%"),
    "page_view": ("Page View%",),
}
_OF_GROUP = (
    "record_id IN (SELECT record_id FROM record"
    " WHERE project_id = :project_id AND data_access_group = :group)"
)
_SEEN_BY_GROUP = (
    "(record_id IN (SELECT record_id FROM record"
    " WHERE project_id = :project_id AND data_access_group = :own_group)"
    " OR (record_id = '' AND username IN (SELECT username FROM user"
    " WHERE project_id = :project_id AND data_access_group = :own_group)))"
)
_NOT_MANAGE = ("export", "user", "record", "lock_record", "page_view")


def export_log(call: Call) -> Table:
    """Return the log, newest entry first.

    A user in a data access group sees what was done to the group's records, and what the group's
    users did to none.
    """
    conditions = ["project_id = :project_id"]
    values: dict[str, str | int] = {"project_id": call.user.project_id}
    conditions.append(_kind_condition(call, values))
    for parameter, column in (("user", "username"), ("record", "record_id")):
        if parameter in call.parameters:
            conditions.append(f"{column} = :{parameter}")
            values[parameter] = call.parameters.text(parameter)
    for parameter, test in (("beginTime", ">="), ("endTime", "<=")):
        if parameter in call.parameters:
            conditions.append(f"at {test} :{parameter}")
            values[parameter] = _time(call, parameter)
    asked_group = _group(call)
    if asked_group is not None:
        conditions.append(_OF_GROUP)
        values["group"] = asked_group
    if call.user.data_access_group:
        conditions.append(_SEEN_BY_GROUP)
        values["own_group"] = call.user.data_access_group
    # Texts of this module only; what was asked travels in `values`.
    statement = (
        "SELECT at, username, action, details, record_id, event_label FROM log"  # noqa: S608
        f" WHERE {' AND '.join(conditions)} ORDER BY at DESC, log_id DESC"
    )
    with closing(call.store.connect()) as connection:
        found = connection.execute(statement, values).fetchall()
    rows = [
        (at[:_MINUTE], username, _shown_action(action, record, event), details, record)
        for at, username, action, details, record, event in found
    ]
    return Table(_COLUMNS, rows, csv_delimiter=",", csv_header_when_empty=False)


def _shown_action(action: str, record_id: str, event_label: str) -> str:
    # Without a record the blank after the description stays (captured).
    return f"{action} {record_id}" + (f" ({event_label})" if event_label else "")


def _kind_condition(call: Call, values: dict[str, str | int]) -> str:
    kind = call.parameters.word("logtype")
    if kind == "manage":
        return f"NOT {_any_of([text for name in _NOT_MANAGE for text in _KINDS[name]], values)}"
    if kind == "":
        return f"NOT {_any_of(_KINDS['page_view'], values)}"
    if kind not in _KINDS:
        raise RequestRefusedError('The value of the parameter "logtype" is not valid')
    return _any_of(_KINDS[kind], values)


def _any_of(patterns: Sequence[str], values: dict[str, str | int]) -> str:
    names = []
    for pattern in patterns:
        name = f"pattern{len(values)}"
        values[name] = pattern
        names.append(f"action LIKE :{name}")
    return f"({' OR '.join(names)})"


def _time(call: Call, name: str) -> str:
    """Return a bound to the second; a minute as the end of a range holds its seconds."""
    found = _TIME.fullmatch(call.parameters.text(name).strip())
    if found is None:
        raise RequestRefusedError(
            f'The value of the parameter "{name}" is not valid: it must be YYYY-MM-DD HH:MM'
        )
    return found[0] if found[2] else found[1] + (":59" if name == "endTime" else ":00")


def _group(call: Call) -> str | None:
    asked = call.parameters.text("dag").strip()
    if not asked:
        return None
    for group in call.design.groups:
        if asked in {group.unique_name, group.name, str(group.group_id)}:
            return group.unique_name
    raise RequestRefusedError('The value of the parameter "dag" is not valid')
