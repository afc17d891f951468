"""Recalculates the fields that depend on what was changed."""

from datetime import datetime

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.records.changes import OpenRecord, Place, RecordChanges
from redcap_dagster.emulator.records.logic import (
    Expression,
    LogicError,
    calculations,
    column_of,
    flat_row,
    references,
    study_of,
)
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.emulator.records.stored import applying_forms
from redcap_dagster.logic import evaluate_row

_ACTION = "Update record (Auto calculation)"


class Calculator:
    """Computes calculated fields, `@CALCTEXT` and `@CALCDATE`.

    Args:
        design: The project's design.
        project_id: The project.
        now: What `today` and `now` mean.
    """

    def __init__(self, design: Design, project_id: int, now: datetime) -> None:
        self._design = design
        self._study = study_of(design, project_id)
        self._now = now
        self._formulas = calculations(self._study)
        self._reads = {
            name: {column_of(reference) for reference in references(formula)}
            for name, formula in self._formulas.items()
        }

    def recalculate(self, changes: RecordChanges, record: OpenRecord) -> None:
        """Compute every field that reads a changed one, and those that read these, and so on.

        A field is computed on every row its form has: the row of another event may read it.
        """
        if not self._formulas:
            return
        fresh = set().union(*record.changed.values()) if record.changed else set()
        # A circle of formulas ends, as a server's does, when each has had its turn.
        for _ in range(len(self._formulas)):
            names = [name for name in self._formulas if self._reads[name] & fresh]
            fresh = set()
            for place in list(record.rows):
                values = self._values(record, place, names)
                changes.set_values(record, place, values, _ACTION)
                fresh |= values.keys()
            if not fresh:
                return

    def _values(self, record: OpenRecord, place: Place, names: list[str]) -> dict[str, str]:
        """Return the computed values of a row that differ from those stored."""
        row = StoredRow(record.record_id, record.group, *place, record.rows[place])
        forms = applying_forms(self._design, row)
        values = {}
        for name in names:
            if self._design.fields_by_name[name].form in forms:
                value = self._computed(name, self._formulas[name], row, record)
                if value is not None and value != row.cells.get(name, ""):
                    values[name] = value
        return values

    def _computed(
        self, name: str, formula: Expression, row: StoredRow, record: OpenRecord
    ) -> str | None:
        entry = self._design.fields_by_name[name]
        try:
            value = evaluate_row(
                formula,
                flat_row(self._design, row),
                record_rows=[flat_row(self._design, other) for other in record.stored_rows()],
                project=self._study,
                instrument=entry.form,
                as_of=self._now,
            )
        except LogicError:
            # What cannot be computed stays as it is, named in docs/emulator.md.
            return None
        if entry.field_type == "calc" and value.number is None:
            return ""
        return value.text
