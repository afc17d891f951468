"""The proof that no cell was lost: what came in is in a table, or listed as rejected."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import ConservationError, name_some
from redcap_dagster.tables.spec import TableColumn, TableSpec

_MOST_NAMES_SHOWN = 20


class CellCount(NamedTuple):
    """Non-blank cells of one export column.

    Attributes:
        received: Cells of the export.
        typed: Of these, cells that are values of a table.
        coded: Cells that are the code of a missing value, in a companion column.
        rejected: Cells listed in `rejected_values`.
    """

    received: int = 0
    typed: int = 0
    coded: int = 0
    rejected: int = 0

    def __add__(self, other: "CellCount") -> "CellCount":  # type: ignore[override]
        return CellCount(
            self.received + other.received,
            self.typed + other.typed,
            self.coded + other.coded,
            self.rejected + other.rejected,
        )

    @property
    def lost(self) -> int:
        """Cells that came in and are nowhere; negative when some are there twice."""
        return self.received - self.typed - self.coded - self.rejected


_NONE = CellCount()


@dataclass(frozen=True)
class CellLedger:
    """Counts of an export and of the tables made of it. Names of columns, never values.

    Attributes:
        rows: Rows of the export.
        rows_without_values: Of these, rows without a cell of any instrument. Their ids are in
            `records`, and in the first instrument's table where that instrument applies to them.
        structural: Non-blank cells by column of the columns that say what a row is (record id,
            event, repeat, group, survey identifier): accounted for once per row, whatever the
            number of tables that repeat them.
        cells: Counts by every other export column.
    """

    rows: int = 0
    rows_without_values: int = 0
    structural: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, CellCount] = field(default_factory=dict)

    def __add__(self, other: "CellLedger") -> "CellLedger":
        return CellLedger(
            self.rows + other.rows,
            self.rows_without_values + other.rows_without_values,
            {
                name: self.structural.get(name, 0) + other.structural.get(name, 0)
                for name in {**self.structural, **other.structural}
            },
            {
                name: self.cells.get(name, _NONE) + other.cells.get(name, _NONE)
                for name in {**self.cells, **other.cells}
            },
        )

    @property
    def total(self) -> CellCount:
        """The counts of all columns together."""
        return sum(self.cells.values(), _NONE)

    def check(self) -> None:
        """Prove that every cell that came in is in exactly one place.

        Raises:
            ConservationError: Cells are lost, or there twice; names columns and counts.
        """
        lost = {name: count.lost for name, count in self.cells.items() if count.lost}
        if not lost:
            return
        shown = name_some([f"{name} {cells:+d}" for name, cells in lost.items()], _MOST_NAMES_SHOWN)
        raise ConservationError(
            f"Non-blank cells of {len(lost)} export columns are in no table (+) or there twice "
            f"(-): {shown}. Nothing was published. This is a fault of redcap-dagster: "
            "please report it with the data dictionary's lines of these fields."
        )

    def to_manifest(self) -> dict[str, object]:
        """The proof as the manifest states it: plain values, counts by column."""
        total = self.total
        return {
            "rows": self.rows,
            "rows_without_values": self.rows_without_values,
            "cells_received": total.received,
            "cells_in_tables": total.typed,
            "cells_missing_coded": total.coded,
            "cells_rejected": total.rejected,
            "structural_cells": dict(self.structural),
            "cells_by_column": {
                name: [count.received, count.typed, count.coded, count.rejected]
                for name, count in self.cells.items()
            },
        }


def count_cells(
    received: Mapping[str, int],
    tables: Iterable[tuple[TableSpec, pa.Table]],
    rejected: pa.Table,
    unticked: Mapping[str, int],
) -> dict[str, CellCount]:
    """Count the cells of finished tables by the export column they came from.

    Args:
        received: Non-blank cells by export column.
        tables: Instrument tables as they will be written.
        rejected: The rows of `rejected_values` as they will be written.
        unticked: Cells of checkboxes that a list holds by not listing their choice. The only
            ones that cannot be counted in the finished table.
    """
    typed, coded = Counter(unticked), Counter[str]()
    for spec, table in tables:
        for column, values in zip(spec.columns, table.columns, strict=True):
            if column.source is not None:
                counts = coded if column.role == "missing_code" else typed
                counts[column.source.name] += len(values) - values.null_count
            elif column.choice_sources:
                typed.update(_listed_cells(column, values))
    counted = pc.value_counts(rejected.column("field")).to_pylist()
    listed = {item["values"]: item["counts"] for item in counted}
    return {
        name: CellCount(received.get(name, 0), typed[name], coded[name], listed.get(name, 0))
        for name in {**received, **typed, **coded, **listed}
    }


def _listed_cells(column: TableColumn, values: pa.ChunkedArray) -> dict[str, int]:
    """Ticks of a finished column of lists, by the export column they came from."""
    listed = {
        item["values"]: item["counts"]
        for item in pc.value_counts(pc.list_flatten(values)).to_pylist()
    }
    return {
        source.name: listed.get(choice.label, 0)
        for source, choice in zip(column.choice_sources, column.choices, strict=True)
    }
