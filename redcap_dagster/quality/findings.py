"""Findings as data: the rows of `quality_findings`, one for each discrepancy. No values.

A finding is a place (row and field of a study) and the rule it breaks. They are made in compact
form, row numbers and one small number for what was found, and become rows a piece at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import QUALITY_FINDINGS, TableColumn, TableSpec

RowNumbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ROWS_PER_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class FindingKind:
    """What findings have in common.

    Attributes:
        rule: Name of the rule, or of the custom rule.
        instrument: Unique name of the instrument; None for a rule about whole rows.
        field: Name of the field; None for a rule about more than one.
        status: What is wrong, in words.
    """

    rule: str
    instrument: str | None
    field: str | None
    status: str


@dataclass(frozen=True, repr=False, slots=True)
class Found:
    """Findings of one kind: the numbers of their rows."""

    kind: FindingKind
    rows: RowNumbers


@dataclass(frozen=True, repr=False, slots=True)
class RowKeys:
    """What the rows are that findings point at: text, null where blank, one value a row."""

    record_ids: pa.Array
    events: pa.Array
    repeat_instruments: pa.Array
    repeat_instances: pa.Array
    data_access_groups: pa.Array

    def take(self, rows: pa.Array) -> list[pa.Array]:
        """The keys of some rows, in the order of the findings' columns."""
        return [
            keys.take(rows)
            for keys in (
                self.record_ids,
                self.events,
                self.repeat_instruments,
                self.repeat_instances,
                self.data_access_groups,
            )
        ]


def plan_findings_table(project: RedcapProject) -> TableSpec:
    """Plan the table `quality_findings`: what a data manager works through. No values.

    The first column is named as the record id field, unless that name is one of the others.
    """
    others = {
        "redcap_event_name": "Unique name of the event; null in a classic project.",
        "redcap_repeat_instrument": "Repeating instrument of the row; null where it is none.",
        "redcap_repeat_instance": "Number of the repeat instance; null where the row is none.",
        "redcap_data_access_group": "Unique name of the record's data access group.",
        "instrument": "Unique name of the instrument; null for a custom rule.",
        "field": "Name of the field; null for a rule about the whole row.",
        "rule": "Name of the rule.",
        "status": "What is wrong.",
    }
    record_id = project.record_id_field
    taken = {*others, "excluded"}
    names = {record_id if record_id not in taken else "record_id": "Record id.", **others}
    required = {next(iter(names)), "rule", "status"}
    return TableSpec(
        name=QUALITY_FINDINGS,
        instrument=None,
        label="What the data-quality rules found",
        structure="flat",
        key_columns=(),
        columns=(
            *(
                TableColumn(name, pa.string(), "text", text, nullable=name not in required)
                for name, text in names.items()
            ),
            TableColumn(
                "excluded",
                pa.bool_(),
                "text",
                "Whether the study's file of exclusions names this finding.",
                nullable=False,
            ),
        ),
    )


@dataclass(frozen=True, repr=False)
class FindingRows:
    """Findings of many kinds as rows of `quality_findings`, in the order of the study's rows.

    Attributes:
        keys: Keys of all rows that findings may point at.
        found: The findings; the order of their kinds decides within one row.
        schema: Of the table.
    """

    keys: RowKeys
    found: Sequence[Found]
    schema: pa.Schema

    def pieces(self) -> Iterator[tuple[npt.NDArray[np.int64], pa.Table]]:
        """The rows in pieces, each with the number of the kind of each row."""
        found = [item for item in self.found if len(item.rows)]
        if not found:
            return
        places = [number for number, item in enumerate(self.found) if len(item.rows)]
        rows = np.concatenate([item.rows for item in found]).astype(np.int32)
        kinds = np.repeat(np.array(places, dtype=np.int32), [len(item.rows) for item in found])
        order = np.argsort(rows, kind="stable")
        constants = [
            pa.array([getattr(item.kind, name) for item in self.found], pa.string())
            for name in ("instrument", "field", "rule", "status")
        ]
        for start in range(0, len(order), _ROWS_PER_PIECE):
            piece = order[start : start + _ROWS_PER_PIECE]
            numbers = kinds[piece].astype(np.int64)
            keys = self.keys.take(pa.array(rows[piece]))
            facts = [constant.take(pa.array(numbers)) for constant in constants]
            not_excluded = pa.repeat(pa.scalar(value=False), len(piece))
            yield (
                numbers,
                pa.Table.from_arrays([*keys, *facts, not_excluded], schema=self.schema),
            )


def blank_to_null(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column of text whose blanks are null."""
    text = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(text, pa.ChunkedArray):  # combine_chunks keeps what is too large for one array
        text = pa.concat_arrays(text.chunks)
    is_blank = pc.equal(text, "")
    return pc.if_else(is_blank, pa.scalar(None, pa.string()), text) if is_blank.true_count else text
