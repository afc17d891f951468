"""Some records of a study with all their rows: what rules are evaluated on at once."""

from collections.abc import Collection
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.logic import (
    Expression,
    LogicOptions,
    StudyFrame,
    TableValues,
    evaluate_table,
)
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality.findings import Mask, RowKeys, RowNumbers, blank_to_null
from redcap_dagster.tables import TableSpec
from redcap_dagster.tables.other_events import lacks_events, refuse_other_events
from redcap_dagster.tables.rows import ExportRows


class StudySlice:
    """Rows of a flat raw export: every row of each record it holds.

    Columns are read when a rule asks for them. Logic is evaluated once for each distinct text,
    whatever the number of fields that have it.

    Args:
        project: The design the export was made with.
        table: Rows as REDCap sent them, all columns text; "" or null is blank.
        as_of: What `today` and `now` mean.
        options: What REDCap's documentation of its logic leaves open.
        events: Unique names of the events whose rows are there; None for all.

    Raises:
        TableError: A row has no record id, or two rows stand for the same.
    """

    def __init__(
        self,
        project: RedcapProject,
        table: pa.Table,
        *,
        as_of: date | datetime,
        options: LogicOptions,
        events: Collection[str] | None = None,
    ) -> None:
        self._table = table
        self._names = frozenset(table.column_names)
        self._as_of = as_of
        self._options = options
        self._lacks_events = lacks_events(events, project)
        self._evaluated: dict[tuple[Expression, str, str], TableValues] = {}
        self._truths: dict[tuple[Expression, str, str], Mask] = {}
        keys = [
            project.record_id_field,
            "redcap_event_name",
            "redcap_repeat_instrument",
            "redcap_repeat_instance",
        ]
        columns = {name: self.column(name) for name in keys if name in self._names}
        self.rows = ExportRows.of(project, columns, len(table))
        self._study = StudyFrame(table, project)

    def __repr__(self) -> str:
        return f"StudySlice({len(self)} rows)"

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def keys(self) -> RowKeys:
        """What each row is."""
        rows = self.rows
        return RowKeys(
            rows.record_ids,
            rows.events,
            rows.repeat_instruments,
            rows.repeat_instances,
            self.column("redcap_data_access_group"),
        )

    def has(self, name: str) -> bool:
        """Whether the export has a column."""
        return name in self._names

    def column(self, name: str) -> pa.Array:
        """A column of text; null is blank. All null where the server did not send it."""
        if name not in self._names:
            return pa.nulls(len(self), pa.string())
        return blank_to_null(self._table.column(name))

    def rows_of(self, spec: TableSpec) -> RowNumbers | None:
        """Numbers of the rows that an instrument applies to; None for all rows."""
        applies = self.rows.are_of(spec)
        if applies.true_count == len(self):
            return None
        return np.flatnonzero(_to_numpy(applies))

    def misplaced_rows(self, spec: TableSpec) -> tuple[RowNumbers, list[str]]:
        """Rows that hold data of an instrument and are not its own, and why each is not."""
        applies = self.rows.are_of(spec)
        if applies.true_count == len(self):
            return np.array([], dtype=np.int64), []
        others = pc.indices_nonzero(pc.invert(applies))
        filled = np.zeros(len(others), dtype=np.bool_)
        for column in spec.columns:
            if column.source is not None and column.role != "missing_code":
                text = self.column(column.source.name)
                if text.null_count < len(text):
                    filled |= _to_numpy(text.take(others).is_valid())
        rows = others.to_numpy()[filled].astype(np.int64)
        rules = self.rows.misplacement_rules(spec).take(pa.array(rows))
        return rows, rules.to_pylist()

    def evaluate(self, expression: Expression, instrument: str | None = None) -> TableValues:
        """What logic gives on every row.

        Raises:
            LogicError: It cannot be evaluated, or names a column or event that was not exported.
            ConfigError: Instance numbers of the export are too large to be any.
        """
        # Equal trees can come from different texts, and errors point into the text.
        key = (expression, expression.source, instrument or "")
        if key not in self._evaluated:
            if self._lacks_events:
                refuse_other_events(expression)
            self._evaluated[key] = evaluate_table(
                expression,
                self._study,
                instrument=instrument,
                as_of=self._as_of,
                options=self._options,
            )
        return self._evaluated[key]

    def truth(self, expression: Expression, instrument: str | None = None) -> Mask:
        """Where logic is true. Raises as `evaluate` does."""
        key = (expression, expression.source, instrument or "")
        if key not in self._truths:
            values = self.evaluate(expression, instrument)
            self._truths[key] = values.is_true.to_numpy(dtype=np.bool_)
        return self._truths[key]


def _to_numpy(mask: pa.Array) -> Mask:
    result: Mask = mask.to_numpy(zero_copy_only=False)
    return result
