"""Renames a record."""

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.records.changes import RecordChanges

_MAX_ID_LENGTH = 100


def rename_record(call: Call) -> Text:
    """Rename a record, or with `arm` what it has in that arm.

    Raises:
        RequestRefusedError: The record does not exist, or the new name is taken or none.
    """
    old_id = call.parameters.text("record").strip()
    new_id = call.parameters.text("new_record_name").strip()
    if not new_id or len(new_id) > _MAX_ID_LENGTH:
        raise RequestRefusedError('The value of the parameter "new_record_name" is not valid')
    arm = call.parameters.text("arm").strip()
    events = {event.unique_name for event in call.design.events if str(event.arm_number) == arm}
    if arm and call.design.is_longitudinal and not events:
        raise RequestRefusedError('The value of the parameter "arm" is not valid')
    group = call.user.data_access_group
    with call.store.writing() as connection:
        changes = RecordChanges(connection, call.store.audit_log, call.design, call.user)
        record = changes.find(old_id)
        if record is None or (group and record.group != group):
            raise RequestRefusedError(f'The record "{old_id}" does not exist')
        places = [place for place in record.rows if not events or place[0] in events]
        if not places:
            raise RequestRefusedError(f'The record "{old_id}" does not exist in arm {arm}')
        if changes.find(new_id) is not None:
            raise RequestRefusedError(f'The record "{new_id}" already exists')
        changes.rename(record, new_id, places)
    return Text("1", call.return_format)
