"""Where in a project a request points: its record, event and instance, each known to exist."""

from contextlib import closing

from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError


def asked_record(call: Call) -> str:
    """Return the id of the record that is asked for, which the user may see.

    Raises:
        RequestRefusedError: There is none, or it sits in another data access group.
    """
    record_id = call.parameters.text("record").strip()
    with closing(call.store.connect()) as connection:
        found = connection.execute(
            "SELECT data_access_group FROM record WHERE project_id = ? AND record_id = ?",
            (call.user.project_id, record_id),
        ).fetchone()
    own_group = call.user.data_access_group
    if found is None or (own_group and found[0] != own_group):
        raise RequestRefusedError(f'The record "{record_id}" does not exist')
    return record_id


def asked_event(call: Call, form: str) -> str:
    """Return the event that is asked for, "" in a classic project.

    Raises:
        RequestRefusedError: There is no such event, or `form` is not designated to it.
    """
    event = call.parameters.text("event").strip() if call.design.is_longitudinal else ""
    if event not in call.design.event_order:
        raise RequestRefusedError(f"The event '{event}' does not exist in this project")
    if form not in call.design.forms_of_event(event):
        raise RequestRefusedError(
            f"The instrument '{form}' is not designated for the event '{event}'"
        )
    return event


def asked_instance(call: Call) -> int:
    """Return the instance that is asked for, 1 when none is.

    Raises:
        RequestRefusedError: It is no number from 1 on.
    """
    text = call.parameters.text("repeat_instance", "1").strip()
    if not (text.isascii() and text.isdigit() and int(text)):
        raise RequestRefusedError('The value of the parameter "repeat_instance" is not valid')
    return int(text)
