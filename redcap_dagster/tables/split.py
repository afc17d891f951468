"""Splits a flat export, the block matrix, into one typed table per instrument.

Works on whole columns; no cell is looked at by itself. What is left over is listed, never dropped.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables.cells import CellFacts
from redcap_dagster.tables.conservation import CellLedger, count_cells
from redcap_dagster.tables.fill import fill_table, source_names
from redcap_dagster.tables.flat_tables import plan_rejected_values_table
from redcap_dagster.tables.names import MISSING_REASONS
from redcap_dagster.tables.other_events import lacks_events
from redcap_dagster.tables.parse import parse_columns, plan_readings
from redcap_dagster.tables.reasons import find_reasons
from redcap_dagster.tables.rows import ExportRows
from redcap_dagster.tables.spec import TableSpec

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
        missing_reasons: Rows of `missing_reasons`, or None where it was not asked for.
    """

    tables: Mapping[str, pa.Table]
    rejected: pa.Table
    ledger: CellLedger
    missing_reasons: pa.Table | None = None


def split_chunk(
    chunk: pa.Table,
    project: RedcapProject,
    specs: Sequence[TableSpec],
    *,
    events: Collection[str] | None = None,
) -> SplitChunk:
    """Split one chunk of a flat raw export into typed tables.

    A table takes the rows that its `placements` name and that have a non-blank cell of its
    instrument (`0` is one; the record id is a cell of the instrument that holds it). A cell that
    does not fit its type, or stands in a row that is not the instrument's, goes to
    `rejected_values` with its raw text and the rule it breaks.

    Args:
        chunk: Rows as REDCap sent them, all columns text; "" or null is blank.
        project: The design the export was made with.
        specs: What `plan_tables` says for the instruments that were exported. With
            `missing_reasons` among them, logic that looks at other events or instances needs all
            rows of a record in one chunk.
        events: Unique names of the events that were exported; None for all. Reasons that depend
            on others are undetermined.

    Raises:
        TableError: The chunk has not the columns of the specs, a row has no record id, or two
            rows stand for the same. Counts and names of columns only.
        ConservationError: A non-blank cell is in no table, or in two places.
    """
    return ChunkSplitter(project, specs, events=events).split(chunk)


class ChunkSplitter:
    """Splits the chunks of one export; what depends on the design alone is worked out once.

    Args:
        project: The design the export is made with.
        specs: As for `split_chunk`.
        events: As for `split_chunk`.
    """

    def __init__(
        self,
        project: RedcapProject,
        specs: Sequence[TableSpec],
        *,
        events: Collection[str] | None = None,
    ) -> None:
        self._project = project
        self._lacks_events = lacks_events(events, project)
        self._specs, self._reasons_spec = _without_reasons(specs)
        self._rejected_spec = plan_rejected_values_table(project)
        self._sources = {spec.name: source_names(spec) for spec in self._specs}
        self._readings = plan_readings(self._specs)
        self._structural = frozenset((project.record_id_field, *_ROW_COLUMNS))
        self._needed = _needed_columns(self._specs) | _row_key_columns(project)
        self._checked: pa.Schema | None = None
        self.known_columns = self._structural.union(*self._sources.values())
        """Names of the export columns that a chunk may have."""

    def split(self, chunk: pa.Table) -> SplitChunk:
        """Split one chunk, as `split_chunk` does."""
        self._check_columns(chunk)
        parsed = parse_columns(chunk, self._readings)
        columns = {name: column.text for name, column in parsed.items()}
        rows = ExportRows.of(self._project, columns, chunk.num_rows)
        rejected = CellFacts(rows, self._rejected_spec)
        filled = {
            spec.name: _rows_with_values(self._sources[spec.name], columns, chunk.num_rows)
            for spec in self._specs
        }
        split = [
            fill_table(spec, rows, parsed, filled[spec.name], rejected) for spec in self._specs
        ]
        reasons = None
        if self._reasons_spec is not None:
            reasons = CellFacts(rows, self._reasons_spec)
            find_reasons(reasons, self._specs, columns, rejected, lacks_events=self._lacks_events)
        rejected_table = rejected.table()
        counts = {name: len(text) - text.null_count for name, text in columns.items()}
        structural = self._structural
        ledger = CellLedger(
            rows=len(rows),
            rows_without_values=len(rows) - _union(filled.values(), len(rows)).true_count,
            structural={name: count for name, count in counts.items() if name in structural},
            cells=count_cells(
                {name: count for name, count in counts.items() if name not in structural},
                [(spec, item.table) for spec, item in zip(self._specs, split, strict=True)],
                rejected_table,
                {name: count for item in split for name, count in item.unticked.items()},
            ),
        )
        ledger.check()
        return SplitChunk(
            {spec.name: item.table for spec, item in zip(self._specs, split, strict=True)},
            rejected_table,
            ledger,
            None if reasons is None else reasons.table(),
        )

    def _check_columns(self, chunk: pa.Table) -> None:
        if self._checked is not None and chunk.schema.equals(self._checked):
            return
        present = set(chunk.column_names)
        lacking = sorted(self._needed - present)
        unknown = present - self.known_columns
        if unknown or lacking:
            raise TableError(
                f"The export does not have the columns of the study's design: {len(lacking)} are "
                f"lacking ({', '.join(lacking[:8])}), {len(unknown)} belong to no table. Read the "
                "design again, then export again."
            )
        self._checked = chunk.schema


def _needed_columns(specs: Sequence[TableSpec]) -> set[str]:
    sources = (source for spec in specs for item in spec.columns for source in item.export_columns)
    return {source.name for source in sources if not source.is_optional}


def _row_key_columns(project: RedcapProject) -> set[str]:
    names = {project.record_id_field}
    if project.info.is_longitudinal:
        names.add("redcap_event_name")
    if project.repeats:
        names |= {"redcap_repeat_instrument", "redcap_repeat_instance"}
    return names


def _rows_with_values(
    sources: Sequence[str], columns: Mapping[str, pa.Array], count: int
) -> pa.Array:
    """Whether each row of the chunk has a non-blank cell of an instrument's columns."""
    # From the last one, which is the form's status: where a form was opened it is never blank.
    names = (name for name in reversed(sources) if name in columns)
    return _union((pc.is_valid(columns[name]) for name in names), count)


def _union(facts: Iterable[pa.Array], count: int) -> pa.Array:
    """Whether any of the facts is true of each row."""
    union = pa.repeat(pa.scalar(False), count)
    for fact in facts:
        union = pc.or_(union, fact)
        if union.true_count == count:
            break
    return union


def _without_reasons(specs: Sequence[TableSpec]) -> tuple[list[TableSpec], TableSpec | None]:
    """The instrument tables, and the table of reasons where it is among them."""
    reasons = next((spec for spec in specs if spec.name == MISSING_REASONS), None)
    return [spec for spec in specs if spec is not reasons], reasons
