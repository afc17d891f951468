"""Splits a flat export, the block matrix, into one typed table per instrument.

Works on whole columns; no cell is looked at by itself. What is left over is listed, never dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables.cast import cast_text, misfit_rule
from redcap_dagster.tables.conservation import CellLedger, count_cells
from redcap_dagster.tables.layout import companion_name, plan_rejected_values_table
from redcap_dagster.tables.rows import ExportRows
from redcap_dagster.tables.spec import TableColumn, TableSpec

_NO_TEXT = pa.scalar(None, pa.string())
_ROW_COLUMNS = (
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
    "redcap_data_access_group",
    "redcap_survey_identifier",
)
"""Columns of a flat export that belong to the whole row, beside the record id."""


@dataclass(frozen=True, repr=False)
class SplitChunk:
    """One chunk of an export, split. Its `repr` shows no values.

    Attributes:
        tables: Table name → rows of that table, as its `arrow_schema` says, in the export's
            order. A table without rows is there, with none.
        rejected: Rows of `rejected_values`.
        ledger: Non-blank cells that came in, and where they are.
    """

    tables: Mapping[str, pa.Table]
    rejected: pa.Table
    ledger: CellLedger


def split_chunk(chunk: pa.Table, project: RedcapProject, specs: Sequence[TableSpec]) -> SplitChunk:
    """Split one chunk of a flat raw export into typed tables.

    A table takes the rows that its `placements` name and that have a non-blank cell of its
    instrument (`0` is one; the record id is a cell of the instrument that holds it). A cell that
    does not fit its type, or stands in a row that is not the instrument's, goes to
    `rejected_values` with its raw text and the rule it breaks.

    Args:
        chunk: Rows as REDCap sent them, all columns text; "" or null is blank.
        project: The design the export was made with.
        specs: What `plan_tables` says for the instruments that were exported.

    Raises:
        TableError: The chunk has not the columns of the specs, a row has no record id, or two
            rows stand for the same. Counts and names of columns only.
        ConservationError: A non-blank cell is in no table, or in two places.
    """
    _check_columns(chunk, project, specs)
    columns = {
        name: _blank_to_null(column)
        for name, column in zip(chunk.column_names, chunk.columns, strict=True)
    }
    rows = ExportRows.of(project, columns, chunk.num_rows)
    rejected = _RejectedValues(rows)
    filled = {spec.name: _rows_with_values(spec, columns, chunk.num_rows) for spec in specs}
    tables = {
        spec.name: _split_table(spec, rows, columns, filled[spec.name], rejected) for spec in specs
    }
    rejected_table = rejected.table()
    counts = {name: len(text) - text.null_count for name, text in columns.items()}
    structural = {project.record_id_field, *_ROW_COLUMNS}
    ledger = CellLedger(
        rows=len(rows),
        rows_without_values=len(rows) - _union(filled.values(), len(rows)).true_count,
        structural={name: count for name, count in counts.items() if name in structural},
        cells=count_cells(
            {name: count for name, count in counts.items() if name not in structural},
            zip(specs, tables.values(), strict=True),
            rejected_table,
        ),
    )
    ledger.check()
    return SplitChunk(tables, rejected_table, ledger)


def known_columns(project: RedcapProject, specs: Sequence[TableSpec]) -> frozenset[str]:
    """Names of the export columns that `split_chunk` takes for these tables."""
    sources = (item.source.name for spec in specs for item in spec.columns if item.source)
    return frozenset((project.record_id_field, *_ROW_COLUMNS, *sources))


def _check_columns(chunk: pa.Table, project: RedcapProject, specs: Sequence[TableSpec]) -> None:
    sources = {item.source for spec in specs for item in spec.columns if item.source}
    needed = {item.name for item in sources if not item.is_optional} | _row_key_columns(project)
    present = set(chunk.column_names)
    lacking = sorted(needed - present)
    unknown = present - known_columns(project, specs)
    if unknown or lacking:
        raise TableError(
            f"The export does not have the columns of the study's design: {len(lacking)} are "
            f"lacking ({', '.join(lacking[:8])}), {len(unknown)} belong to no table. Read the "
            "design again, then export again."
        )


def _row_key_columns(project: RedcapProject) -> set[str]:
    names = {project.record_id_field}
    if project.info.is_longitudinal:
        names.add("redcap_event_name")
    if project.repeats:
        names |= {"redcap_repeat_instrument", "redcap_repeat_instance"}
    return names


def _blank_to_null(column: pa.ChunkedArray) -> pa.Array:
    text = column.combine_chunks()
    return pc.if_else(pc.equal(text, ""), _NO_TEXT, text)


@dataclass(frozen=True, repr=False)
class _RejectedValues:
    """Collects the cells that fit no table, for all instruments of a chunk."""

    rows: ExportRows
    _pieces: list[pa.Table] = field(default_factory=list)
    _numbers: list[pa.Array] = field(default_factory=list)

    def add(
        self, spec: TableSpec, name: str, numbers: pa.Array, text: pa.Array, rule: pa.Array
    ) -> None:
        """Add cells of one export column: the numbers of their rows, raw text, broken rule."""
        count = len(numbers)
        self._numbers.append(numbers)
        self._pieces.append(
            pa.Table.from_arrays(
                [
                    self.rows.record_ids.take(numbers),
                    self.rows.events.take(numbers),
                    self.rows.repeat_instruments.take(numbers),
                    self.rows.repeat_instances.take(numbers),
                    pa.repeat(spec.instrument, count),
                    pa.repeat(name, count),
                    text,
                    rule,
                ],
                schema=self._schema,
            )
        )

    @property
    def _schema(self) -> pa.Schema:
        return plan_rejected_values_table(self.rows.project).arrow_schema

    def table(self) -> pa.Table:
        """Everything that was added, in the order of the export's rows.

        By columns it would stand in another order where the export was cut otherwise.
        """
        if not self._pieces:
            return self._schema.empty_table()
        numbers = pa.chunked_array(self._numbers)
        order = pc.sort_indices(pa.table([numbers], ["row"]), sort_keys=[("row", "ascending")])
        return pa.concat_tables(self._pieces).take(order)


@dataclass(frozen=True, repr=False)
class _TableRows:
    """The rows of a chunk that one table takes, and how to get at their columns.

    Attributes:
        spec: The table.
        rows: Every row of the chunk.
        columns: Every column of the chunk; null is blank.
        numbers: Numbers of the rows that the table takes, in the chunk's order.
    """

    spec: TableSpec
    rows: ExportRows
    columns: Mapping[str, pa.Array]
    numbers: pa.Array

    def take(self, array: pa.Array) -> pa.Array:
        """The table's rows of an array that has one value per row of the chunk."""
        return array if len(self.numbers) == len(self.rows) else array.take(self.numbers)

    def text(self, name: str) -> pa.Array:
        """The table's rows of a column; null in every row when the server did not send it."""
        if name not in self.columns:
            return pa.nulls(len(self.numbers), pa.string())
        return self.take(self.columns[name])

    def by_event(self, values: Sequence[str | int | None], arrow_type: pa.DataType) -> pa.Array:
        """One value per event of the project, looked up for each of the table's rows."""
        return pa.array(values, arrow_type).take(self.take(self.rows.event_numbers))


def _split_table(
    spec: TableSpec,
    rows: ExportRows,
    columns: Mapping[str, pa.Array],
    filled: pa.Array,
    rejected: _RejectedValues,
) -> pa.Table:
    applies = rows.are_of(spec)
    kept = applies if spec.holds_record_id else pc.and_(applies, filled)
    table_rows = _TableRows(spec, rows, columns, pc.indices_nonzero(kept))
    _reject_misplaced(table_rows, applies, filled, rejected)
    if len(table_rows.numbers) == 0:
        return spec.arrow_schema.empty_table()
    arrays: dict[str, pa.Array] = {}
    for column in spec.columns:
        if column.role == "missing_code":
            continue  # comes with the column it accompanies
        if column.kind is None:
            arrays[column.name] = _row_values(table_rows, column)
        else:
            arrays |= _parsed_values(table_rows, column, rejected)
    return pa.Table.from_arrays(
        [arrays[column.name] for column in spec.columns], schema=spec.arrow_schema
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


def _parsed_values(
    table_rows: _TableRows, column: TableColumn, rejected: _RejectedValues
) -> dict[str, pa.Array]:
    """A column of values, and its companion where it has one; misfits are listed as rejected."""
    if column.source is None or column.kind is None:
        raise TableError(f"Column {column.name} of table {table_rows.spec.name} has no source.")
    text = table_rows.text(column.source.name)
    arrays = {}
    companion = companion_name(column.name)
    if companion in table_rows.spec.columns_by_name:
        is_code = pc.is_in(text, value_set=pa.array(column.missing_codes, pa.string()))
        arrays[companion] = pa.nulls(len(text), pa.string())
        if is_code.true_count:
            arrays[companion] = pc.if_else(is_code, text, _NO_TEXT)
            text = pc.if_else(is_code, _NO_TEXT, text)
    cast = cast_text(text, column.kind)
    if cast.misfits is not None:
        misfits = pc.indices_nonzero(cast.misfits)
        rejected.add(
            table_rows.spec,
            column.source.name,
            table_rows.numbers.take(misfits),
            text.take(misfits),
            pa.repeat(misfit_rule(column.kind), len(misfits)),
        )
    return {column.name: cast.values, **arrays}


def _reject_misplaced(
    table_rows: _TableRows, applies: pa.Array, filled: pa.Array, rejected: _RejectedValues
) -> None:
    """List the instrument's cells in rows that are not the instrument's."""
    spec, rows = table_rows.spec, table_rows.rows
    misplaced = pc.and_not(filled, applies)
    if not pc.any(misplaced, min_count=0).as_py():
        return
    rules = rows.misplacement_rules(spec)
    for name in _source_names(spec):
        if name in table_rows.columns:
            text = table_rows.columns[name]
            numbers = pc.indices_nonzero(pc.and_(misplaced, pc.is_valid(text)))
            if len(numbers):
                rejected.add(spec, name, numbers, text.take(numbers), rules.take(numbers))


def _source_names(spec: TableSpec) -> list[str]:
    """The export columns that feed a table, each once, in order."""
    return list(dict.fromkeys(item.source.name for item in spec.columns if item.source))


def _rows_with_values(spec: TableSpec, columns: Mapping[str, pa.Array], count: int) -> pa.Array:
    """Whether each row of the chunk has a non-blank cell of the table's instrument."""
    names = [name for name in _source_names(spec) if name in columns]
    return _union((pc.is_valid(columns[name]) for name in names), count)


def _union(facts: Iterable[pa.Array], count: int) -> pa.Array:
    """Whether any of the facts is true of each row."""
    union = pa.repeat(pa.scalar(False), count)
    for fact in facts:
        union = pc.or_(union, fact)
        if union.true_count == count:
            break
    return union
