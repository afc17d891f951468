"""A filter of rows that keeps whole records."""

from collections.abc import Iterator, Sequence
from itertools import islice

from redcap_dagster.emulator.records.request import KeepsRows
from redcap_dagster.emulator.records.row import StoredRow

_RECORDS_AT_ONCE = 1000


class WholeRecords:
    """Keeps every row of a record of which another filter keeps one.

    Args:
        row_filter: The other filter.
    """

    def __init__(self, row_filter: KeepsRows) -> None:
        self._row_filter = row_filter

    def kept(self, records: Iterator[Sequence[StoredRow]]) -> Iterator[list[StoredRow]]:
        """Yield the records that are kept, with all their rows."""
        while batch := list(islice(records, _RECORDS_AT_ONCE)):
            passed = {rows[0].record_id for rows in self._row_filter.kept(iter(batch)) if rows}
            for rows in batch:
                if rows and rows[0].record_id in passed:
                    yield list(rows)
