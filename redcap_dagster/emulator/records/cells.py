"""What stands in a cell of a record export, given what is stored."""

from collections.abc import Callable, Mapping

from redcap_dagster.emulator.design import Design, Event, Field
from redcap_dagster.emulator.names import checkbox_column
from redcap_dagster.emulator.records.columns import Column
from redcap_dagster.emulator.records.request import RecordRequest

Change = Callable[[str], str]


def column_change(
    design: Design, request: RecordRequest, column: Column, document_name: Change
) -> Change | None:
    """Return what turns a stored value of a column into its cell, or None to leave it as it is."""
    entry = column.field
    if entry is not None and entry.field_type == "file":
        return document_name
    if entry is not None and request.decimal_character and _is_number(entry):
        return _decimal_change(request.decimal_character)
    if not request.labels:
        return None
    if column.choice is not None:
        ticked = column.choice.label if request.checkbox_labels else "Checked"
        unticked = "" if request.checkbox_labels else "Unchecked"
        return _lookup({"1": ticked, "0": unticked})
    if entry is None and not column.choices:
        return None
    meanings = {choice.code: choice.label for choice in (*design.missing_codes, *column.choices)}
    return _lookup(meanings) if meanings else None


def missing_code_columns(design: Design, entry: Field) -> tuple[str, ...]:
    """Return the columns that, when ticked, blank the ordinary choices of a checkbox field."""
    return tuple(checkbox_column(entry.name, code.code) for code in design.missing_codes)


def event_label(design: Design, event: Event) -> str:
    """Return the label of an event; with events in more than one arm it names the arm.

    An arm without events does not count: PyCap's documentation shows an export beside one.
    """
    if len({each.arm_number for each in design.events}) == 1:
        return event.name
    return full_event_label(design, event.unique_name)


def full_event_label(design: Design, unique_name: str) -> str:
    """Return `Event 1 (Arm 1: Drug A)`, as messages and the log call an event."""
    event = design.events[design.event_order[unique_name]]
    arm = next(arm for arm in design.arms if arm.number == event.arm_number)
    return f"{event.name} (Arm {arm.number}: {arm.name})"


def _lookup(meanings: Mapping[str, str]) -> Change:
    def change(value: str) -> str:
        return meanings.get(value, value)

    return change


def _decimal_change(sign: str) -> Change:
    other = "," if sign == "." else "."

    def change(value: str) -> str:
        return value.replace(other, sign)

    return change


def _is_number(entry: Field) -> bool:
    return entry.field_type == "calc" or entry.validation.startswith("number")
