"""What happens to each column of a table: decided from the design and the options, before data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from redcap_dagster.privacy.options import DeidentificationOptions
from redcap_dagster.project import DictionaryField, RedcapProject, ValueKind, value_kind
from redcap_dagster.tables import (
    MISSING_REASONS,
    QUALITY_FINDINGS,
    RECORDS,
    REJECTED_VALUES,
    TableColumn,
    TableSpec,
)

Treatment = Literal["keep", "drop", "shift", "pseudonymize"]
"""What happens to the cells of a column or field."""

MOMENT_KINDS: frozenset[ValueKind] = frozenset({"date", "datetime", "datetime_seconds"})
"""Kinds of values that can be shifted. A time of day alone says no day, and is kept."""

_FREE_KINDS: frozenset[ValueKind] = frozenset({"text", "file"})
_CELL_TABLES = frozenset({REJECTED_VALUES, MISSING_REASONS, QUALITY_FINDINGS})


@dataclass(frozen=True)
class Treatments:
    """How a study's tables are de-identified.

    Attributes:
        project: The design that the tables are made by.
        options: What the study decided.
    """

    project: RedcapProject
    options: DeidentificationOptions

    def of_field(self, field: DictionaryField) -> Treatment:
        """What happens to a field's values, codes and labels."""
        options = self.options
        if field.name == self.project.record_id_field:
            return "pseudonymize" if options.pseudonymize_record_ids else "keep"
        is_kept = field.name in options.keep
        if field.name in options.drop or (not is_kept and self._is_dropped(field)):
            return "drop"
        return "shift" if options.shift_dates and value_kind(field) in MOMENT_KINDS else "keep"

    def _is_dropped(self, field: DictionaryField) -> bool:
        is_identifier = (
            field.is_identifier or field.name == self.project.info.secondary_unique_field
        )
        if self.options.drop_identifiers and is_identifier:
            return True
        return self.options.drop_free_text and value_kind(field) in _FREE_KINDS

    def of_column(self, table: str, column: TableColumn, *, is_first: bool) -> Treatment:
        """What happens to a column of a table that is made from the record export."""
        source = column.source
        role = column.role if source is None else source.kind
        is_record_id = "record_id" in {column.role, role} or (table in _CELL_TABLES and is_first)
        if is_record_id:
            return "pseudonymize" if self.options.pseudonymize_record_ids else "keep"
        if table == REJECTED_VALUES and column.name == "value":
            # What does not fit its field may be anything: a name in a number, a date in another
            # format.
            is_open = not (self.options.drop_free_text or self.options.shift_dates)
            return "keep" if is_open else "drop"
        if role == "survey_identifier":
            return "drop" if self.options.drop_identifiers else "keep"
        field = column.field
        if field is None and source is not None:
            field = self.project.fields_by_name.get(source.field or "")
        treatment: Treatment = "keep" if field is None else self.of_field(field)
        if role == "survey_timestamp" and self.options.shift_dates:
            treatment = "shift"
        # Beside a moment stand codes and labels, which are none.
        is_moment = table == RECORDS or column.role in {"value", "survey_timestamp"}
        return "keep" if treatment == "shift" and not is_moment else treatment

    def published_spec(self, spec: TableSpec) -> TableSpec:
        """A table's layout without the columns that are left out."""
        columns = tuple(
            column
            for number, column in enumerate(spec.columns)
            if self.of_column(spec.name, column, is_first=number == 0) != "drop"
        )
        return replace(spec, columns=columns)

    def fields(self, treatment: Treatment) -> tuple[str, ...]:
        """Names of the fields that are treated so, in dictionary order."""
        return tuple(
            name
            for name, field in self.project.fields_by_name.items()
            if value_kind(field) != "none" and self.of_field(field) == treatment
        )


def dropped_cells(treatments: Treatments, specs: Iterable[TableSpec]) -> frozenset[str]:
    """Names of fields and export columns that are left out, as tables of cells name them."""
    names = set(treatments.fields("drop"))
    for spec in specs:
        for column in spec.columns:
            if column.field is not None and column.field.name in names:
                names.update(source.name for source in column.export_columns)
    return frozenset(names)
