"""Gathers facts about single cells of a chunk, such as why one was rejected, into a flat table."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from redcap_dagster.tables.rows import ExportRows
from redcap_dagster.tables.spec import TableSpec


@dataclass(frozen=True, repr=False)
class CellFacts:
    """Facts about cells, for all instruments of a chunk, as rows of a flat table.

    Attributes:
        rows: Every row of the chunk.
        spec: The flat table. Its first four columns say which row of the export a cell is in.
    """

    rows: ExportRows
    spec: TableSpec
    _numbers: list[pa.Array] = field(default_factory=list)
    _facts: list[list[pa.Array]] = field(default_factory=list)
    _places: dict[str, list[pa.Array]] = field(default_factory=dict)

    def add(self, place: str, numbers: pa.Array, *facts: pa.Array | str | None) -> None:
        """Add facts about cells.

        Args:
            place: What `numbers_at` finds them by: an export column.
            numbers: Numbers of their rows.
            facts: The table's other columns, in order; a single text stands in every row.
        """
        if len(numbers):
            self._numbers.append(numbers.cast(pa.int64()))
            self._facts.append([_repeated(fact, len(numbers)) for fact in facts])
            self._places.setdefault(place, []).append(numbers)

    def numbers_at(self, place: str) -> list[pa.Array]:
        """Numbers of the rows whose cell of an export column was added, in pieces."""
        return self._places.get(place, [])

    def table(self) -> pa.Table:
        """Everything that was added, in the order of the export's rows.

        By columns it would stand in another order where the export was cut otherwise.
        """
        schema = self.spec.arrow_schema
        if not self._numbers:
            return schema.empty_table()
        numbers = pa.concat_arrays(self._numbers)
        order = pa.array(np.argsort(numbers.to_numpy(), kind="stable"))
        numbers = numbers.take(order)
        row_columns = (
            self.rows.record_ids,
            self.rows.events,
            self.rows.repeat_instruments,
            self.rows.repeat_instances,
        )
        facts = [pa.concat_arrays(pieces).take(order) for pieces in zip(*self._facts, strict=True)]
        return pa.Table.from_arrays(
            [*(column.take(numbers) for column in row_columns), *facts],
            schema=schema,
        )


def _repeated(fact: pa.Array | str | None, count: int) -> pa.Array:
    if fact is None or isinstance(fact, str):
        return pa.repeat(pa.scalar(fact, pa.string()), count)
    return fact
