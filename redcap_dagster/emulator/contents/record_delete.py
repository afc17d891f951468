"""Deletes records, or some of their data."""

import sqlite3
from collections.abc import Iterable

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.records.changes import OpenRecord, Place, RecordChanges

_REMOVED = "[*DATA REMOVED*]"


def delete_records(call: Call) -> Text:
    """Delete records whole, or in an arm, an event, an instrument or an instance of what repeats.

    Raises:
        RequestRefusedError: A record does not exist, and then nothing is deleted; or the place
            does not.
    """
    record_ids = tuple(dict.fromkeys(call.parameters.names("records")))
    if not record_ids:
        raise RequestRefusedError('The parameter "records" is missing')
    arm = _arm(call)
    event, form, instance = _event(call), _form(call), _instance(call)
    _refuse_half_a_place(call, event, form, instance)
    with call.store.writing() as connection:
        changes = RecordChanges(connection, call.store.audit_log, call.design, call.user)
        for record in _existing(call, changes, record_ids, arm):
            if form:
                _delete_form(call, changes, record, event, form, instance)
            elif event:
                places = [
                    place
                    for place in record.rows
                    if place[0] == event and instance in {None, place[2]}
                ]
                changes.delete_rows(record, places)
            elif arm is not None:
                changes.delete_rows(record, _places_of_arm(call, record, arm))
            else:
                changes.delete_rows(record, list(record.rows))
            if call.parameters.flag("delete_logging"):
                _forget_values(call, connection, record.record_id)
    return Text(str(len(record_ids)), call.return_format)


def _existing(
    call: Call, changes: RecordChanges, record_ids: Iterable[str], arm: int | None
) -> list[OpenRecord]:
    found, missing = [], []
    group = call.user.data_access_group
    for record_id in record_ids:
        record = changes.find(record_id)
        if (
            record is None
            or (group and record.group != group)
            or (arm is not None and not _places_of_arm(call, record, arm))
        ):
            missing.append(record_id)
        else:
            found.append(record)
    if missing:
        raise RequestRefusedError(
            "One or more of the records provided cannot be deleted because they do not exist in "
            f"the project. The following records do not exist: {', '.join(missing)}"
        )
    return found


def _delete_form(  # noqa: PLR0917 - a place is an event, an instrument and an instance
    call: Call,
    changes: RecordChanges,
    record: OpenRecord,
    event: str,
    form: str,
    instance: int | None,
) -> None:
    """Delete the values of one instrument; all its instances where none is named."""
    columns = {name for name, owner in call.design.column_forms.items() if owner == form}
    if call.design.repeats_as_form(event, form):
        places = [
            place
            for place in record.rows
            if place[:2] == (event, form) and instance in {None, place[2]}
        ]
        changes.delete_rows(record, places, keep_record=True)
        return
    for place, cells in record.rows.items():
        if place[:2] == (event, "") and (not place[2] or instance in {None, place[2]}):
            changes.set_values(record, place, dict.fromkeys(columns & cells.keys(), ""))
    changes.store(record)


def _places_of_arm(call: Call, record: OpenRecord, arm: int) -> list[Place]:
    events = {event.unique_name for event in call.design.events if event.arm_number == arm}
    return [place for place in record.rows if place[0] in events]


def _forget_values(call: Call, connection: sqlite3.Connection, record_id: str) -> None:
    connection.execute(
        "UPDATE log SET details = ? WHERE project_id = ? AND record_id = ?",
        (_REMOVED, call.user.project_id, record_id),
    )


def _arm(call: Call) -> int | None:
    asked = call.parameters.text("arm").strip()
    if not asked or not call.design.is_longitudinal:
        return None
    numbers = {str(arm.number): arm.number for arm in call.design.arms}
    if asked not in numbers:
        raise RequestRefusedError('The value of the parameter "arm" is not valid')
    return numbers[asked]


def _event(call: Call) -> str:
    asked = call.parameters.text("event").strip()
    if not asked or not call.design.is_longitudinal:
        return ""
    if asked not in call.design.event_order:
        raise RequestRefusedError('The value of the parameter "event" is not valid')
    return asked


def _form(call: Call) -> str:
    asked = call.parameters.text("instrument").strip()
    if asked and asked not in call.design.form_order:
        raise RequestRefusedError('The value of the parameter "instrument" is not valid')
    return asked


def _instance(call: Call) -> int | None:
    asked = call.parameters.text("repeat_instance").strip()
    if not asked:
        return None
    if not (asked.isascii() and asked.isdigit() and int(asked)):
        raise RequestRefusedError('The value of the parameter "repeat_instance" is not valid')
    return int(asked)


def _refuse_half_a_place(call: Call, event: str, form: str, instance: int | None) -> None:
    """Refuse what would delete more than was meant."""
    if form and call.design.is_longitudinal and not event:
        raise RequestRefusedError(
            'The parameter "event" is needed with "instrument" in a longitudinal project'
        )
    if instance is not None and not form and not call.design.repeats_as_event(event):
        raise RequestRefusedError(
            'The parameter "repeat_instance" needs the instrument or the event that repeats'
        )
