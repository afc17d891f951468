"""`record_changes`: of each day, the rows of the records that were changed on it. A feed."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import Change, ChangeKind
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import TableColumn, TableSpec, as_records, plan_records_table

RECORD_CHANGES = "record_changes"

ChangeOfDay = Literal["everything", "deleted", "created", "renamed", "moved", "updated", ""]
"""What the column `redcap_change` holds."""

_CHANGE = "redcap_change"
_MEANINGS = (
    "created, updated, moved (to another data access group) or renamed: the record's rows as they "
    "are when the day is exported. deleted: it is not there any more. everything: a row of no "
    "record, with which a day begins that holds every record. Blank: such a day holds the record, "
    "and the log does not name it."
)
_OWN_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    _CHANGE: (pa.string(), _MEANINGS),
    "redcap_first_change": (pa.string(), "Minute of its first entry in the log of that day."),
    "redcap_last_change": (pa.string(), "Minute of its last entry in the log of that day."),
    "redcap_log_entries": (pa.int64(), "How many entries the log of that day has of the record."),
}
# What happened in one day to a record that is there is named after the first of these that did.
_MOST_TELLING_FIRST: tuple[ChangeOfDay, ...] = ("created", "renamed", "updated", "moved")
_TELLS_NO_RECORD: frozenset[ChangeKind] = frozenset({"design", "renamed"})


def plan_record_changes_table(project: RedcapProject) -> TableSpec:
    """The layout: the columns of `records`, and after the record id what the log says of it.

    It has no key: `everything` is a row of no record, and a deleted one has no event.
    """
    records = plan_records_table(project)
    own = [
        TableColumn(name, arrow_type, "text", description)
        for name, (arrow_type, description) in _OWN_COLUMNS.items()
    ]
    record_id, *others = (replace(column, nullable=True) for column in records.columns)
    return replace(
        records,
        name=RECORD_CHANGES,
        label="Records by day of change",
        key_columns=(),
        columns=(record_id, *own, *others),
    )


def refuse_taken_names(project: RedcapProject) -> None:
    """Refuse a study in which the table would have a column twice.

    Raises:
        ConfigError: A field of the study has the name of one of the table's own columns.
    """
    taken = sorted(_OWN_COLUMNS.keys() & plan_records_table(project).columns_by_name.keys())
    if taken:
        raise ConfigError(
            f"The study has a field {', '.join(taken)}, and {RECORD_CHANGES} has a column of that "
            "name. Rename the field, or leave the table out."
        )


@dataclass(frozen=True, repr=False)
class DayOfChanges:
    """What the log of one day says of the records. Its `repr` shows no ids.

    Attributes:
        project: The design as it is now.
        changes: The day's changes, oldest first.
    """

    project: RedcapProject
    changes: Sequence[Change]

    @property
    def holds_everything(self) -> bool:
        """Whether the log does not say which rows the day has changed.

        A change of the design names no record, and a rename does not name the id that is gone.
        """
        return any(item.kind in _TELLS_NO_RECORD for item in self.changes)

    @cached_property
    def record_ids(self) -> frozenset[str]:
        """The records that the log names."""
        return frozenset(item.record_id for item in self.changes if item.kind != "design")

    def table(self, rows: pa.Table) -> pa.Table:
        """Rows of the export as rows of the feed."""
        records = as_records(rows, self._records)
        return self._table(records, self._told_of(records.column(0)))

    def first_rows(self) -> pa.Table:
        """The rows that the day begins with: one where it holds every record, else none."""
        return self._rows_without_cells([None], "everything")[: int(self.holds_everything)]

    def rows_of_deleted(self, record_ids: Collection[str]) -> pa.Table:
        """A row for each record that the log names and that is not there.

        Args:
            record_ids: Records that are there.
        """
        gone = sorted(self.record_ids.difference(record_ids))
        return self._rows_without_cells(gone, "deleted")

    def counts(self, record_ids: Collection[str]) -> dict[str, int]:
        """How many of the records that the log names were changed in which way.

        Args:
            record_ids: Records that are there.
        """
        there = [told[_CHANGE] for name, told in self._told.items() if name in record_ids]
        found = Counter(there)
        return {
            **{kind: found[kind] for kind in _MOST_TELLING_FIRST},
            "deleted": len(self._told) - len(there),
        }

    @cached_property
    def _told(self) -> Mapping[str, dict[str, str | int]]:
        """What the log says of each record."""
        entries: dict[str, list[Change]] = {}
        for item in self.changes:
            if item.kind != "design":
                entries.setdefault(item.record_id, []).append(item)
        return {name: _summary(own) for name, own in entries.items()}

    @cached_property
    def _lookup(self) -> tuple[pa.Array, pa.Table]:
        told = self._told
        schema = pa.schema([(name, kind) for name, (kind, _) in _OWN_COLUMNS.items()])
        return (
            pa.array(list(told), pa.string()),
            pa.Table.from_pylist(list(told.values()), schema),
        )

    def _told_of(self, record_ids: pa.ChunkedArray) -> pa.Table:
        names, told = self._lookup
        found = told.take(pc.index_in(record_ids, value_set=names).combine_chunks())
        return found.set_column(0, _CHANGE, pc.fill_null(found.column(0), ""))

    def _rows_without_cells(
        self, record_ids: Sequence[str | None], change: ChangeOfDay
    ) -> pa.Table:
        schema = self._records.arrow_schema
        names = pa.chunked_array([pa.array(record_ids, pa.string())])
        cells = [pa.nulls(len(names), item.type) for item in schema]
        records = pa.table([names, *cells[1:]], names=schema.names)
        changes = pa.repeat(pa.scalar(change, pa.string()), len(names))
        return self._table(records, self._told_of(names).set_column(0, _CHANGE, changes))

    def _table(self, records: pa.Table, told: pa.Table) -> pa.Table:
        columns = [records.column(0), *told.columns, *records.columns[1:]]
        return pa.table(columns, schema=self._spec.arrow_schema)

    @cached_property
    def _records(self) -> TableSpec:
        return plan_records_table(self.project)

    @cached_property
    def _spec(self) -> TableSpec:
        return plan_record_changes_table(self.project)


def _summary(changes: Sequence[Change]) -> dict[str, str | int]:
    """The row of one record's changes, oldest first."""
    kinds = {item.kind for item in changes}
    return {
        # Where it was deleted only and is there all the same, it was made again since.
        _CHANGE: next((kind for kind in _MOST_TELLING_FIRST if kind in kinds), "updated"),
        "redcap_first_change": changes[0].timestamp,
        "redcap_last_change": changes[-1].timestamp,
        "redcap_log_entries": len(changes),
    }
