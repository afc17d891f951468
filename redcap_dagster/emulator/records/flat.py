"""The flat record export: one line for each record, event, or instance of what repeats."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.records.cells import (
    Change,
    column_change,
    event_label,
    missing_code_columns,
)
from redcap_dagster.emulator.records.columns import Column
from redcap_dagster.emulator.records.request import RecordRequest
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms

Cell = str | int


class _Shape(NamedTuple):
    """How to fill the value columns of rows that stand in the same place."""

    keys: tuple[tuple[str | None, str], ...]
    changes: tuple[tuple[int, Change], ...]
    blanks: tuple[tuple[int, tuple[str, ...]], ...]
    combined: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]


class FlatExport:
    """Turns the stored rows of a record into lines."""

    def __init__(
        self,
        design: Design,
        request: RecordRequest,
        columns: Sequence[Column],
        document_name: Change,
    ) -> None:
        self._design = design
        self._request = request
        self._columns = columns
        self._changes = [
            column_change(design, request, column, document_name) for column in columns
        ]
        self._asked_keys = [
            name for column in columns if column.kind == "value" for name in column.stored_names
        ]
        self._asked_forms = {column.form for column in columns if column.form}
        self._has_record_id = any(column.kind == "record" for column in columns)
        self._shapes: dict[tuple[str, str, bool], _Shape] = {}
        self._events = {event.unique_name: event_label(design, event) for event in design.events}
        self._forms = {form.name: form.label for form in design.forms}
        self._groups = {group.unique_name: group.name for group in design.groups}

    def lines(self, rows: Sequence[StoredRow]) -> Iterator[list[Cell]]:
        """Yield the lines of one record."""
        for row in self.asked(rows):
            yield self.line(row)

    def asked(self, rows: Sequence[StoredRow]) -> list[StoredRow]:
        """Return which rows of one record have a line."""
        asked = [row for row in rows if self._is_asked(row)]
        if not asked and rows and self._has_record_id:
            # The id of a record with nothing but instances of other forms is not lost.
            asked = [rows[0]._replace(instrument="", instance=0, cells={})]
        return asked

    def _is_asked(self, row: StoredRow) -> bool:
        if row.instrument:
            return row.instrument in self._asked_forms
        return self._has_record_id or any(key in row.cells for key in self._asked_keys)

    def line(self, row: StoredRow) -> list[Cell]:
        """Return the line of one row."""
        shape = self._shape(row)
        get = row.cells.get
        line: list[Cell] = [get(key, default) for key, default in shape.keys]  # type: ignore[arg-type]
        for position, change in shape.changes:
            line[position] = change(str(line[position])) if line[position] != "" else ""
        for position, boxes in shape.combined:
            ticked = (text for name, text in boxes if name in row.cells)
            line[position] = self._request.combined_checkboxes.join(ticked)
        for position, columns in shape.blanks:
            if any(column in row.cells for column in columns):
                line[position] = ""
        for position, column in enumerate(self._columns):
            if column.kind == "value":
                break
            line[position] = self._system_cell(column, row)
        return line

    def _system_cell(self, column: Column, row: StoredRow) -> Cell:
        labels = self._request.labels
        if column.kind == "record":
            return row.record_id
        if column.kind == "event":
            return self._events[row.event] if labels else row.event
        if column.kind == "repeat_instrument":
            return self._forms.get(row.instrument, "") if labels else row.instrument
        if column.kind == "repeat_instance":
            return row.instance or ""
        if column.kind == "group":
            return self._groups.get(row.group, row.group) if labels else row.group
        return row.cells.get("redcap_survey_identifier", "")

    def _shape(self, row: StoredRow) -> _Shape:
        place = (row.event, row.instrument, row.instance > 0)
        if place not in self._shapes:
            self._shapes[place] = self._new_shape(applying_forms(self._design, row))
        return self._shapes[place]

    def _new_shape(self, forms: frozenset[str]) -> _Shape:
        keys: list[tuple[str | None, str]] = []
        changes: list[tuple[int, Change]] = []
        blanks: list[tuple[int, tuple[str, ...]]] = []
        combined: list[tuple[int, tuple[tuple[str, str], ...]]] = []
        codes = {code.code for code in self._design.missing_codes}
        for position, column in enumerate(self._columns):
            applies = column.kind == "value" and column.form in forms
            keys.append((column.name, column.default) if applies else (None, ""))
            change = self._changes[position]
            if applies and change is not None:
                changes.append((position, change))
            if applies and column.combined:
                combined.append((position, self._box_texts(column)))
            ordinary = column.choice is not None and column.choice.code not in codes
            if applies and codes and ordinary and column.field is not None:
                blanks.append((position, missing_code_columns(self._design, column.field)))
        return _Shape(tuple(keys), tuple(changes), tuple(blanks), tuple(combined))

    def _box_texts(self, column: Column) -> tuple[tuple[str, str], ...]:
        labels = self._request.labels
        return tuple(
            (name, choice.label if labels else choice.code) for name, choice in column.combined
        )
