"""Fills one instrument's table from the rows of a chunk, a column at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.project import ValueKind
from redcap_dagster.tables.arrow_types import ARROW_TYPES, TEXT
from redcap_dagster.tables.cast import misfit_rule
from redcap_dagster.tables.cells import CellFacts
from redcap_dagster.tables.choices import (
    CHOICES_RULE,
    empty_column,
    gather_ticks,
    label_codes,
    label_lists,
)
from redcap_dagster.tables.names import companion_name
from redcap_dagster.tables.parse import ParsedColumn
from redcap_dagster.tables.rows import ExportRows
from redcap_dagster.tables.spec import TableColumn, TableSpec


@dataclass(frozen=True, repr=False)
class FilledTable:
    """An instrument's rows of a chunk.

    Attributes:
        table: The rows, as the spec's `arrow_schema` says, in the export's order.
        unticked: Export column → cells that a list holds by not listing their choice.
    """

    table: pa.Table
    unticked: Mapping[str, int]


def fill_table(
    spec: TableSpec,
    rows: ExportRows,
    parsed: Mapping[str, ParsedColumn],
    filled: pa.Array,
    rejected: CellFacts,
) -> FilledTable:
    """Fill one instrument's table.

    Args:
        spec: The table.
        rows: Every row of the chunk.
        parsed: Every column of the chunk.
        filled: Whether each row has a non-blank cell of the instrument.
        rejected: Takes the cells that do not fit.
    """
    applies = rows.are_of(spec)
    kept = applies if spec.holds_record_id else pc.and_(applies, filled)
    table_rows = _TableRows(spec, rows, parsed, pc.indices_nonzero(kept), rejected)
    table_rows.reject_misplaced(pc.and_not(filled, applies))
    schema = spec.arrow_schema
    if len(table_rows.numbers) == 0:
        nothing = [empty_column(field) for field in schema]
        return FilledTable(pa.Table.from_arrays(nothing, schema=schema), {})
    arrays: dict[str, pa.Array] = {}
    unticked: dict[str, int] = {}
    for column in spec.columns:
        if column.name in arrays:
            continue  # came with the column it accompanies
        if column.restates:
            arrays[column.name] = _labels(column, arrays[column.restates])
        elif column.choice_sources:
            arrays[column.name], counts = _listed_values(table_rows, column)
            unticked |= counts
        elif column.kind is None:
            arrays[column.name] = _row_values(table_rows, column)
        else:
            arrays |= _parsed_values(table_rows, column)
    ordered = [arrays[column.name] for column in spec.columns]
    return FilledTable(pa.Table.from_arrays(ordered, schema=schema), unticked)


def source_names(spec: TableSpec) -> list[str]:
    """The export columns that feed a table, each once, in order."""
    sources = (source for item in spec.columns for source in item.export_columns)
    return list(dict.fromkeys(source.name for source in sources))


@dataclass(frozen=True, repr=False)
class _TableRows:
    """The rows of a chunk that one table takes, and how to get at their columns.

    Attributes:
        spec: The table.
        rows: Every row of the chunk.
        parsed: Every column of the chunk.
        numbers: Numbers of the rows that the table takes, in the chunk's order.
        rejected: Takes the cells that do not fit.
    """

    spec: TableSpec
    rows: ExportRows
    parsed: Mapping[str, ParsedColumn]
    numbers: pa.Array
    rejected: CellFacts

    def take(self, array: pa.Array) -> pa.Array:
        """The table's rows of an array that has one value per row of the chunk."""
        return array if len(self.numbers) == len(self.rows) else array.take(self.numbers)

    def text(self, name: str) -> pa.Array:
        """The table's rows of a column; null in every row when the server did not send it."""
        if name not in self.parsed:
            return pa.nulls(len(self.numbers), TEXT)
        return self.take(self.parsed[name].text)

    def by_event(self, values: Sequence[str | int | None], arrow_type: pa.DataType) -> pa.Array:
        """One value per event of the project, looked up for each of the table's rows."""
        return pa.array(values, arrow_type).take(self.take(self.rows.event_numbers))

    def values(self, name: str, kind: ValueKind) -> pa.Array:
        """The table's rows of a column as values; those that do not fit are listed as rejected."""
        if name not in self.parsed:
            return pa.nulls(len(self.numbers), ARROW_TYPES[kind])
        parsed = self.parsed[name]
        if parsed.misfits is not None:
            self.reject_misfits(name, self.take(parsed.misfits), misfit_rule(kind))
        return self.take(parsed.values)

    def codes(self, name: str) -> pa.Array:
        """The table's rows of a column's missing data codes."""
        codes = self.parsed[name].codes if name in self.parsed else None
        return pa.nulls(len(self.numbers), TEXT) if codes is None else self.take(codes)

    def reject_misfits(self, name: str, misfits: pa.Array, rule: str) -> None:
        """List cells of the table's rows that do not fit their type."""
        numbers = self.numbers.take(pc.indices_nonzero(misfits))
        text = self.parsed[name].text.take(numbers)
        self.rejected.add(name, numbers, self.spec.instrument, name, text, rule)

    def reject_misplaced(self, misplaced: pa.Array) -> None:
        """List the instrument's cells in rows that are not the instrument's."""
        if not pc.any(misplaced, min_count=0).as_py():
            return
        rules = self.rows.misplacement_rules(self.spec)
        for name in source_names(self.spec):
            if name in self.parsed:
                text = self.parsed[name].text
                numbers = pc.indices_nonzero(pc.and_(misplaced, pc.is_valid(text)))
                self.rejected.add(
                    name,
                    numbers,
                    self.spec.instrument,
                    name,
                    text.take(numbers),
                    rules.take(numbers),
                )


def _row_values(table_rows: _TableRows, column: TableColumn) -> pa.Array:
    """A key or attribute column: what the row says, or what the design says of its event."""
    rows, project = table_rows.rows, table_rows.rows.project
    is_form = pc.is_valid(rows.repeat_instruments)
    if column.role == "form_instance":
        return table_rows.take(pc.if_else(is_form, rows.instances, 1))
    if column.role == "event_instance":
        return table_rows.take(pc.fill_null(pc.if_else(is_form, 1, rows.instances), 1))
    if column.role == "event_label":
        return table_rows.by_event([event.name for event in project.events], pa.string())
    if column.role == "arm_number":
        return table_rows.by_event([event.arm_number for event in project.events], pa.int64())
    if column.role == "arm_name":
        names = {arm.number: arm.name for arm in project.arms}
        return table_rows.by_event(
            [names.get(event.arm_number) for event in project.events], pa.string()
        )
    return table_rows.text(column.name)


def _parsed_values(table_rows: _TableRows, column: TableColumn) -> dict[str, pa.Array]:
    """A column of values, and its companion where it has one; misfits are listed as rejected."""
    if column.source is None or column.kind is None:
        raise TableError(f"Column {column.name} of table {table_rows.spec.name} has no source.")
    name = column.source.name
    arrays = {column.name: table_rows.values(name, column.kind)}
    if column.role == "choice_label":
        labels = label_codes(arrays[column.name], column.choices)
        if labels.misfits is not None:
            table_rows.reject_misfits(name, labels.misfits, CHOICES_RULE)
        arrays[column.name] = labels.values
    companion = companion_name(column.name)
    if companion in table_rows.spec.columns_by_name:
        arrays[companion] = table_rows.codes(name)
    return arrays


def _listed_values(table_rows: _TableRows, column: TableColumn) -> tuple[pa.Array, dict[str, int]]:
    """A column of lists, and how many cells of each export column it holds by not listing them."""
    ticks = [table_rows.values(source.name, "boolean") for source in column.choice_sources]
    lists = gather_ticks(ticks, column.choices, len(table_rows.numbers))
    unticked = {
        source.name: array.false_count
        for source, array in zip(column.choice_sources, ticks, strict=True)
    }
    return lists, unticked


def _labels(column: TableColumn, codes: pa.Array) -> pa.Array:
    """The labels of a column of codes; null for a code of none."""
    if pa.types.is_list(codes.type):
        return label_lists(codes, column.choices)
    return label_codes(codes, column.choices).values
