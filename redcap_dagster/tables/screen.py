"""What stands between the tables as they were made and the tables as they are written."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from redcap_dagster.tables.spec import TableSpec


class TableScreen(Protocol):
    """Changes tables after the proof that no cell was lost, and before anything is on a disk."""

    def published_spec(self, spec: TableSpec) -> TableSpec:
        """The layout that a table is written with."""
        ...

    def hide(self, name: str, rows: pa.Table) -> pa.Table:
        """Rows of a table as they may be written.

        Args:
            name: Name of the table.
            rows: As they were made; columns that are not written may be absent.
        """
        ...

    def reveal(self, name: str, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Rows that were written, for whoever judges them: with record ids as they were exported.

        Args:
            name: Name of the table.
            rows: As written, those of `columns` that are.
            columns: Names of the columns wanted. Those that were not written are null.
        """
        ...
