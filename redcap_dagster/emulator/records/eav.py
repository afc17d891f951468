"""The record export with one line for each stored value (entity, attribute, value)."""

from collections.abc import Iterator, Sequence

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.records.cells import Change, column_change, event_label
from redcap_dagster.emulator.records.columns import Column
from redcap_dagster.emulator.records.flat import Cell
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms


def eav_header(design: Design) -> list[str]:
    """Return the column names."""
    header = ["record"]
    if design.is_longitudinal:
        header.append("redcap_event_name")
    if design.repeats:
        header += ["redcap_repeat_instrument", "redcap_repeat_instance"]
    return [*header, "field_name", "value"]


class EavExport:
    """Turns the stored rows of a record into lines, calculated fields last (as 14.7.3 sends)."""

    def __init__(self, design: Design, request: RecordRequest, columns: Sequence[Column]) -> None:
        self._design = design
        self._request = request
        ordered = sorted(columns, key=_is_calculated)
        # A file's value is its internal number here, so nothing names documents.
        self._columns = [
            (column, column_change(design, request, column, _unchanged)) for column in ordered
        ]
        self._events = {event.unique_name: event_label(design, event) for event in design.events}
        self._forms = {form.name: form.label for form in design.forms}

    def lines(self, rows: Sequence[StoredRow]) -> Iterator[list[Cell]]:
        """Yield the lines of one record."""
        for row in rows:
            place = self._place(row)
            forms = applying_forms(self._design, row)
            for column, change in self._columns:
                if value := self._value(column, change, row, forms):
                    name = column.field.name if column.choice and column.field else column.name
                    yield [*place, name, value]

    def _place(self, row: StoredRow) -> list[Cell]:
        labels = self._request.labels
        place: list[Cell] = [row.record_id]
        if self._design.is_longitudinal:
            place.append(self._events[row.event] if labels else row.event)
        if self._design.repeats:
            instrument = self._forms.get(row.instrument, "") if labels else row.instrument
            place += [instrument, row.instance or ""]
        return place

    def _value(
        self, column: Column, change: Change | None, row: StoredRow, forms: frozenset[str]
    ) -> str:
        if column.kind == "record":
            return row.record_id if not row.instrument or column.form in forms else ""
        if column.kind == "group":
            return row.group if not row.instrument else ""
        if column.kind == "value" and column.form not in forms:
            return ""
        value = row.cells.get(column.name, "")
        if column.choice is not None:
            code_or_label = column.choice.label if self._request.labels else column.choice.code
            return code_or_label if value else ""
        return change(value) if value and change is not None else value


def _is_calculated(column: Column) -> bool:
    return column.field is not None and column.field.field_type == "calc"


def _unchanged(value: str) -> str:
    return value
