"""A table of a study's rows, with the joins that references to other rows need."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pyarrow as pa

from redcap_dagster.errors import ConfigError, LogicNameError
from redcap_dagster.logic.columns import (
    Column,
    checkbox_column,
    number_column,
    taken_column,
    text_column,
    text_constant,
)
from redcap_dagster.logic.reference_joins import ReferenceJoins
from redcap_dagster.logic.refuse import error_at
from redcap_dagster.logic.row_places import Codes, RowPlaces
from redcap_dagster.logic.setting import Setting
from redcap_dagster.logic.shape import (
    DATA_ACCESS_GROUP_COLUMN,
    EVENT_COLUMN,
    REPEAT_INSTANCE_COLUMN,
    REPEAT_INSTRUMENT_COLUMN,
    StudyShape,
    column_name,
)
from redcap_dagster.logic.smart import (
    SMART_VARIABLES,
    event_text,
    project_text,
    timestamp_text,
)
from redcap_dagster.logic.table_columns import Table, column_names, read_column
from redcap_dagster.logic.tree import Expression, Reference
from redcap_dagster.project import RedcapProject, value_kind


class StudyFrame:
    """Rows of a flat raw export, ready for `evaluate_table`.

    Columns are read, and joins made, when an expression first asks for them, and kept for the
    next: make one and evaluate every expression of the study on it. Memory grows with the columns
    asked for, 8 bytes a row for each that is read as a number.

    Args:
        table: A pandas frame or Arrow table, one row for each row of the export, with REDCap's
            own column names (`redcap_event_name`, `race___2`, …). Texts, or typed columns.
        project: The study's design. Without it every name is a column, and events, instances and
            smart variables are refused.
    """

    def __init__(self, table: Table, project: RedcapProject | None = None) -> None:
        self.table = table
        self.shape = StudyShape(project)
        self._names = column_names(table)
        self._columns: dict[str, Column] = {}

    def __repr__(self) -> str:
        return f"StudyFrame({len(self)} rows, {len(self._names)} columns)"

    def __len__(self) -> int:
        return len(self.table)

    def column(self, reference: Reference, expression: Expression, setting: Setting) -> Column:
        """The values that a reference means, seen from each row.

        Raises:
            LogicNameError: The table has no such column.
        """
        if reference.is_smart:
            return self._smart_column(reference, expression, setting)
        column = self._field_column(reference, expression, setting)
        return column if reference.code is None else checkbox_column(column)

    def _field_column(
        self, reference: Reference, expression: Expression, setting: Setting
    ) -> Column:
        name = column_name(reference)
        if name not in self._names and self._is_unused_missing_code(reference, setting):
            return text_constant("0")
        source = self._stored(name, reference, expression)
        if self.shape.project is None or self.shape.is_record_id(reference.name):
            return source
        return self._joined(source, reference, self.shape.instrument_of(reference.name) or "")

    def _joined(self, source: Column, reference: Reference, instrument: str) -> Column:
        index = self._joins.rows(reference.event, instrument, reference.instance)
        return source if index is None else taken_column(source, index)

    def _is_unused_missing_code(self, reference: Reference, setting: Setting) -> bool:
        # Servers differ on whether these columns are there while nobody used a code.
        project = self.shape.project
        field = None if project is None else project.fields_by_name.get(reference.name)
        codes = () if field is None else (choice.code for choice in field.choices)
        is_missing_code = reference.code in (setting.missing_codes or ())
        return is_missing_code and reference.code not in codes

    def _stored(self, name: str, reference: Reference, expression: Expression) -> Column:
        if name not in self._names:
            raise error_at(
                LogicNameError,
                f"The table has no column {name}. Was it exported with fewer rights or fields?",
                reference,
                expression,
            )
        return self._read(name, reference.name)

    def _read(self, name: str, field_name: str) -> Column:
        if name not in self._columns:
            project = self.shape.project
            field = None if project is None else project.fields_by_name.get(field_name)
            kind = "text" if field is None else value_kind(field)
            self._columns[name] = read_column(self.table, name, kind)
        return self._columns[name]

    @cached_property
    def _joins(self) -> ReferenceJoins:
        project = self.shape.project
        record_id = "" if project is None else project.record_id_field
        repeats = project is not None and bool(project.repeats)
        places = RowPlaces(
            self._names_of(record_id, is_needed=True),
            self._names_of(EVENT_COLUMN, is_needed=self.shape.is_longitudinal),
            self._names_of(REPEAT_INSTRUMENT_COLUMN, is_needed=repeats),
            self._names_of(REPEAT_INSTANCE_COLUMN, is_needed=repeats),
            known_events=self.shape.events,
            known_instruments=self.shape.instruments,
        )
        return ReferenceJoins(places, self.shape)

    def _names_of(self, name: str, *, is_needed: bool) -> pa.Array:
        if is_needed and name not in self._names:
            raise ConfigError(f"The table has no column {name}, which says where a row belongs.")
        is_event_of_classic = name == EVENT_COLUMN and not is_needed
        if name not in self._names or is_event_of_classic:
            return pa.array([""] * len(self), pa.large_string())
        return self._read(name, name).text

    def _smart_column(
        self, reference: Reference, expression: Expression, setting: Setting
    ) -> Column:
        name = reference.name
        source = SMART_VARIABLES[name].source
        project = self.shape.project
        if source == "record" and project is not None:
            return self._read(project.record_id_field, project.record_id_field)
        if source == "group":
            return self._stored(DATA_ACCESS_GROUP_COLUMN, reference, expression)
        if source == "event":
            return _named(
                self._joins.places.event, lambda event: event_text(name, event, self.shape)
            )
        if source == "instance":
            number = self._joins.own_instance(name.removesuffix("-instance"))
            return number_column(np.where(number > 0, number.astype(np.float64), np.nan))
        if source == "timestamp":
            return self._timestamp_column(reference, expression)
        if source == "instrument" and project is not None:
            instrument = setting.instrument or ""
            label = project.instruments_by_name[instrument].label
            return text_constant(instrument if name == "instrument-name" else label)
        return text_constant(project_text(name, self.shape))

    def _timestamp_column(self, reference: Reference, expression: Expression) -> Column:
        instrument = reference.modifiers[0]
        stored = self._stored(f"{instrument}_timestamp", reference, expression)
        codes = Codes.of(self._joined(stored, reference, instrument).text, ())
        return _named(codes, lambda text: timestamp_text(reference.name, text))


def _named(codes: Codes, function: Callable[[str], str]) -> Column:
    """A text for each row, made once for each name."""
    texts = pa.array([function(name) for name in codes.names], pa.large_string())
    return text_column(texts.take(pa.array(codes.codes)))
