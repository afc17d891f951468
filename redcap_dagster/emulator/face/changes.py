"""Changes by hand, told to the log as a server's web pages tell theirs."""

from collections.abc import Mapping

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.face.rows import form_columns
from redcap_dagster.emulator.records.calculated import Calculator
from redcap_dagster.emulator.records.changes import RecordChanges
from redcap_dagster.emulator.records.import_rows import ImportReader
from redcap_dagster.emulator.state.store import Store
from redcap_dagster.emulator.state.user import User

USERNAME = "browser_user"


def save_row(store: Store, project_id: int, line: Mapping[str, str], *, new: bool = False) -> None:
    """Write one row; values are judged as an import's are, and blanks erase.

    Args:
        store: The state.
        project_id: The project.
        line: Column → value as in a flat import, the record id and its place among them.
        new: Whether it makes a record, which must not be there yet.

    Raises:
        RequestRefusedError: A value does not fit, or a new record is there already.
    """
    design = store.design(project_id)
    (row,) = ImportReader(design, "YMD", "").read([line])
    with store.writing() as connection:
        changes = RecordChanges(connection, store.audit_log, design, _user(project_id), source="")
        record = changes.find(row.record_id)
        if new and record is not None:
            raise RequestRefusedError("There is a record of this name already.")
        if record is None:
            record = changes.create(row.record_id, "")
        instance = row.instance
        if instance is None:
            instance = record.next_instance(row.event, row.instrument)
        changes.set_values(record, (row.event, row.instrument, instance), row.values)
        Calculator(design, project_id, store.audit_log.clock()).recalculate(changes, record)
        changes.store(record)


def changed_cells(
    design: Design, form: str, before: Mapping[str, str], sent: Mapping[str, str]
) -> dict[str, str]:
    """Return the columns of an instrument that a form changes, with their new values.

    A browser leaves unticked boxes out and sends every line break as CR and LF.
    """
    changed = {}
    for column in form_columns(design, form):
        entry = column.field
        if entry is not None and entry.field_type in {"calc", "file"}:
            continue
        unticked = "0" if column.choice is not None else before.get(column.name, "")
        old = before.get(column.name, "0" if column.choice is not None else "")
        value = sent.get(column.name, unticked)
        if _one_kind_of_break(value) != _one_kind_of_break(old):
            changed[column.name] = value
    return changed


def delete_record(store: Store, project_id: int, record_id: str) -> None:
    """Delete a record whole; one that is gone already stays gone."""
    design = store.design(project_id)
    with store.writing() as connection:
        changes = RecordChanges(connection, store.audit_log, design, _user(project_id), source="")
        record = changes.find(record_id)
        if record is not None:
            changes.delete_rows(record, list(record.rows))


def _user(project_id: int) -> User:
    return User(project_id, USERNAME, "")


def _one_kind_of_break(text: str) -> str:
    return text.replace("\r\n", "\n")
