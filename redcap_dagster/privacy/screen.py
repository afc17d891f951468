"""De-identifies the tables of one extract on their way to the disk."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.export import RecordOrder
from redcap_dagster.privacy.moments import shift_moments, shift_text
from redcap_dagster.privacy.options import DeidentificationOptions
from redcap_dagster.privacy.pseudonyms import Pseudonyms
from redcap_dagster.privacy.treatment import Treatment, Treatments, dropped_cells
from redcap_dagster.project import ColumnKind, RedcapProject, ValueKind, value_kind
from redcap_dagster.tables import (
    MISSING_REASONS,
    NOT_COMPLETED,
    RECORDS,
    REJECTED_VALUES,
    TableColumn,
    TableSpec,
    cast_text,
)

_NO_TEXT = pa.scalar(None, pa.string())
_NO_CODES = pa.array([], pa.string())
_KINDS_OF_COLUMNS: dict[ColumnKind, ValueKind] = {
    "survey_timestamp": "datetime_seconds",
    "checkbox": "boolean",
    "missing_code_checkbox": "boolean",
    "form_status": "choice",
}
_FORM_STATUSES = ("0", "1", "2")
_OPEN_KINDS: frozenset[ValueKind] = frozenset({"text", "file", "none"})


class Deidentifier:
    """Takes out of tables what the options say; a `TableScreen`. Tables it does not know pass.

    Args:
        project: The design that the tables are made by.
        specs: Layout of every table that may hold what participants or staff entered.
        options: What the study decided.
        key: The secret key.
    """

    def __init__(
        self,
        project: RedcapProject,
        specs: Iterable[TableSpec],
        options: DeidentificationOptions,
        key: bytes,
    ) -> None:
        specs = tuple(specs)
        self._options = options
        self._project = project
        self._treatments = Treatments(project, options)
        self._specs = {spec.name: spec for spec in specs}
        self._dropped = dropped_cells(self._treatments, specs)
        self._pseudonyms = Pseudonyms(key, options.longest_shift_days)
        self._codes = pa.array(
            [NOT_COMPLETED, *(code.code for code in project.info.missing_data_codes)], pa.string()
        )

    @property
    def pseudonyms(self) -> Pseudonyms:
        """What record ids become."""
        return self._pseudonyms

    @property
    def record_order(self) -> RecordOrder | None:
        """The order that records are published in: the server's would tell the nth id.

        None where record ids stay.
        """
        if not self._options.pseudonymize_record_ids:
            return None
        return RecordOrder(f"pseudonyms {self._pseudonyms.fingerprint()}", self._pseudonyms.of)

    @property
    def dropped_fields(self) -> tuple[str, ...]:
        """Names of the fields that are left out, in dictionary order."""
        return self._treatments.fields("drop")

    def published_spec(self, spec: TableSpec) -> TableSpec:
        """A table's layout without the columns that are left out."""
        return self._treatments.published_spec(spec)

    def facts(self) -> dict[str, Any]:
        """What was done, for the manifest: names of fields, and a fingerprint of the key."""
        options = self._options
        return {
            "drop_identifiers": options.drop_identifiers,
            "drop_free_text": options.drop_free_text,
            "pseudonymize_record_ids": options.pseudonymize_record_ids,
            "shift_dates": options.shift_dates,
            "longest_shift_days": options.longest_shift_days if options.shift_dates else None,
            "key_fingerprint": self._pseudonyms.fingerprint() if options.needs_key else None,
            "dropped_fields": list(self.dropped_fields),
            "shifted_fields": list(self._treatments.fields("shift")),
        }

    def hide(self, name: str, rows: pa.Table) -> pa.Table:
        """Rows of a table as they may be written; see `TableScreen`."""
        spec = self._specs.get(name)
        if spec is None:
            return rows
        if name in {REJECTED_VALUES, MISSING_REASONS}:
            dropped = pa.array(sorted(self._dropped), pa.string())
            rows = rows.filter(pc.invert(pc.is_in(rows["field"], value_set=dropped)))
        days = self._days(spec, rows)
        hidden = {
            column.name: self._hide(spec, column, treatment, rows[column.name], days)
            for column, treatment in self._columns(spec)
            if treatment != "drop" and column.name in rows.column_names
        }
        fields = [rows.schema.field(column) for column in hidden]
        return pa.table(list(hidden.values()), pa.schema(fields, rows.schema.metadata))

    def reveal(self, name: str, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Rows that were written, with the record ids as exported; see `TableScreen`."""
        spec = self._specs.get(name)
        if spec is None:
            return rows
        known = dict(zip(rows.column_names, rows.columns, strict=True))
        record_id = spec.columns[0].name
        if record_id in known and self._options.pseudonymize_record_ids:
            known[record_id] = self._pseudonyms.restore(known[record_id])
        for column in columns:
            if column not in known:
                arrow_type = spec.columns_by_name[column].arrow_type
                known[column] = pa.nulls(rows.num_rows, arrow_type)
        return pa.table({column: known[column] for column in columns})

    def _columns(self, spec: TableSpec) -> list[tuple[TableColumn, Treatment]]:
        of_column = self._treatments.of_column
        return [
            (column, of_column(spec.name, column, is_first=number == 0))
            for number, column in enumerate(spec.columns)
        ]

    def _days(self, spec: TableSpec, rows: pa.Table) -> pa.Array | None:
        if not self._options.shift_dates or not spec.columns:
            return None
        return self._pseudonyms.shift_days(rows[spec.columns[0].name])

    def _hide(
        self,
        spec: TableSpec,
        column: TableColumn,
        treatment: Treatment,
        cells: pa.ChunkedArray,
        days: pa.Array | None,
    ) -> pa.Array | pa.ChunkedArray:
        if treatment == "pseudonymize":
            return self._pseudonyms.replace(cells)
        if spec.name == RECORDS:
            return self._hide_text(column, treatment, cells, days)
        if treatment == "shift":
            return shift_moments(cells.combine_chunks(), days)
        if _is_open_choice(column, cells.type):
            return self._fitting(cells.combine_chunks(), "choice", column)
        return cells

    def _hide_text(
        self,
        column: TableColumn,
        treatment: Treatment,
        cells: pa.ChunkedArray,
        days: pa.Array | None,
    ) -> pa.Array | pa.ChunkedArray:
        """Cells of the raw export: dates shifted, and what does not fit its field made blank."""
        kind = _kind_of_cells(column)
        if kind in _OPEN_KINDS or (treatment == "keep" and not self._options.drop_free_text):
            return cells
        sent = cells.combine_chunks()
        text = pc.if_else(pc.equal(sent, ""), _NO_TEXT, sent)
        is_code = pc.is_in(text, value_set=self._codes if _may_be_code(column) else _NO_CODES)
        value = pc.if_else(is_code, _NO_TEXT, text)
        if treatment == "shift":
            value = shift_text(value, kind, days)
        else:
            value = self._fitting(value, kind, column)
        hidden = pc.fill_null(pc.if_else(is_code, text, value), "")
        return pc.if_else(pc.is_null(sent), _NO_TEXT, hidden)  # null: a column that was not sent

    def _fitting(self, cells: pa.Array, kind: ValueKind, column: TableColumn) -> pa.Array:
        """The cells that fit their column; null for what could be anything."""
        if not self._options.drop_free_text:
            return cells
        if kind == "choice":
            codes = pa.array(_codes_of_choices(column), pa.string()).cast(cells.type)
            fits = pc.is_in(cells, value_set=codes)
            return pc.if_else(fits, cells, pa.scalar(None, cells.type))
        misfits = cast_text(cells, kind).misfits
        return cells if misfits is None else pc.if_else(misfits, _NO_TEXT, cells)


def _kind_of_cells(column: TableColumn) -> ValueKind:
    """What an export column should hold; `none` for ids and names that are REDCap's own."""
    source = column.source
    if source is None:
        return "none"
    if source.kind == "value":
        return "none" if column.field is None else value_kind(column.field)
    return _KINDS_OF_COLUMNS.get(source.kind, "none")


def _is_open_choice(column: TableColumn, arrow_type: pa.DataType) -> bool:
    """Whether a typed column may hold more than the choices it should."""
    if column.role == "form_status":
        return True
    is_choice = column.field is not None and value_kind(column.field) == "choice"
    return column.role == "value" and is_choice and pa.types.is_string(arrow_type)


def _may_be_code(column: TableColumn) -> bool:
    """Whether a missing data code may stand in place of a value; ticks of codes are columns."""
    return column.source is not None and column.source.kind in {"value", "survey_timestamp"}


def _codes_of_choices(column: TableColumn) -> Sequence[str]:
    if column.source is not None and column.source.kind == "form_status":
        return _FORM_STATUSES
    return [] if column.field is None else [choice.code for choice in column.field.choices]
