"""Randomizes a record from an allocation table."""

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.records.calculated import Calculator
from redcap_dagster.emulator.records.changes import OpenRecord, RecordChanges
from redcap_dagster.emulator.state.allocations import (
    Randomization,
    find_randomization,
    is_allocated,
    take_next,
)

_CONCEALED = "*"


def randomize_record(call: Call) -> Table:
    """Give a record its group and return it.

    Raises:
        RequestRefusedError: The record or randomization does not exist, the record was randomized
            before, a stratum is blank, or the table has no line left for it.
    """
    record_id = call.parameters.text("record").strip()
    number = call.parameters.text("randomization_id").strip()
    clock = call.store.audit_log.clock
    with call.store.writing() as connection:
        project_id = call.user.project_id
        made = (
            find_randomization(connection, project_id, int(number))
            if number.isascii() and number.isdigit()
            else None
        )
        if made is None:
            raise RequestRefusedError('The value of the parameter "randomization_id" is not valid')
        changes = RecordChanges(connection, call.store.audit_log, call.design, call.user)
        record = changes.find(record_id)
        group = call.user.data_access_group
        if record is None or (group and record.group != group):
            raise RequestRefusedError(f'The record "{record_id}" does not exist')
        if is_allocated(connection, made.randomization_id, record_id):
            raise RequestRefusedError(f'The record "{record_id}" has already been randomized')
        strata = _strata(record, made)
        taken = take_next(connection, made.randomization_id, record_id, strata, record.group)
        if taken is None:
            raise RequestRefusedError(
                f'The record "{record_id}" cannot be randomized: the allocation table has no '
                "assignment left for it"
            )
        call.store.audit_log.write(connection, call.user, "Randomize Record", "", record_id)
        changes.set_values(record, (made.target_event, "", 0), {made.target_field: taken.target})
        Calculator(call.design, project_id, clock()).recalculate(changes, record)
        changes.store(record)
    row: list[int | str] = [made.randomization_id, record_id, taken.target]
    columns = ["randomization_id", "record", "target_field"]
    if call.parameters.flag("returnAlt"):
        columns.append("target_field_alt")
        row.append(_CONCEALED if made.is_concealed else taken.alternate)
    return Table(columns, [row], single=True)


def _strata(record: OpenRecord, made: Randomization) -> dict[str, str]:
    values = {
        name: record.rows.get((event, "", 0), {}).get(name, "")
        for name, event in made.strata_events.items()
    }
    blank = [name for name, value in values.items() if not value]
    if blank:
        raise RequestRefusedError(
            f'The record "{record.record_id}" cannot be randomized: the following fields have no '
            f"value: {', '.join(blank)}"
        )
    return values
