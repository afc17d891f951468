"""One answer of the `record` method, from csv bytes to an Arrow table of text, and judged.

The API room has judged the body as such (status, pages, cut ends). Here it is compared with what
was asked: the columns, and the record ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from redcap_dagster.api import count_broken_cells
from redcap_dagster.errors import AnswerError, name_some
from redcap_dagster.export.plan import Batch
from redcap_dagster.project import ExportColumn

_CONTENT = "record"
_MOST_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows that answered one batch.

    Attributes:
        table: Every planned export column in export order, all text; "" is blank. A column that
            the server may leave out and did is null in every row. Rows as the server sent them.
        batch: What was asked.
        byte_count: Size of the answer in bytes.
        replaced: Export column to the number of its cells in which bytes that are not UTF-8 were
            replaced by U+FFFD; empty when the answer was UTF-8.
    """

    table: pa.Table
    batch: Batch
    byte_count: int
    replaced: Mapping[str, int] = field(default_factory=dict)


def read_chunk(body: bytes, batch: Batch, columns: Sequence[ExportColumn]) -> Chunk:
    """Parse one csv answer and compare it with what was asked.

    Args:
        body: A judged csv body; b"" or only white space means no rows.
        batch: The batch that the body answers.
        columns: What `plan_export_columns` says for the batch's instruments.

    Raises:
        AnswerError: The body is not csv of the expected columns, or holds rows of other records.
    """
    if not body or body.isspace():
        return Chunk(_empty_table(columns), batch, len(body))
    replaced = count_broken_cells(body)
    table = parse_csv(body, repairs=bool(replaced))
    _check_header(table.column_names, columns)
    ordered = _complete_columns(table, columns)
    _check_records(ordered.column(columns[0].name), batch)
    return Chunk(ordered, batch, len(body), replaced)


def parse_csv(body: bytes, *, repairs: bool = False) -> pa.Table:
    """The rows of a judged csv body, every column text, blanks "".

    Args:
        body: Not blank.
        repairs: Whether bytes that are not UTF-8 are to be replaced by U+FFFD.

    Raises:
        AnswerError: Rows have more or fewer cells than the header.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    if repairs:
        body = body.decode("utf-8", "replace").encode()
    header = _read_header(body)
    try:
        return csv.read_csv(
            pa.BufferReader(body),
            # One block: a cell may hold line breaks, so blocks cannot be cut at them.
            read_options=csv.ReadOptions(use_threads=False, block_size=len(body) + 1),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
                check_utf8=False,  # checked above
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's message quotes the row, which is patient data.
        raise AnswerError(
            "REDCap's csv answer has rows with more or fewer cells than its header. The answer "
            "was cut or mixed up on its way; it was not used.",
            content=_CONTENT,
            status=200,
        ) from None


def _read_header(body: bytes) -> list[str]:
    end = body.find(b"\n")
    line = (body if end < 0 else body[:end]).rstrip(b"\r").decode("utf-8")
    return [name.strip('"') for name in line.split(",")]


def _check_header(names: Sequence[str], columns: Sequence[ExportColumn]) -> None:
    known = {column.name for column in columns}
    required = [column.name for column in columns if not column.is_optional]
    present = set(names)
    lacking = [name for name in required if name not in present]
    extra = [name for name in names if name not in known]
    if lacking:
        raise AnswerError(
            f"REDCap's answer lacks {len(lacking)} of the asked columns: "
            f"{name_some(lacking, _MOST_NAMES_SHOWN)}. Either "
            "the token's user has no full export right to these forms, or the study's design "
            "changed while it was exported.",
            content=_CONTENT,
            status=200,
            # With other columns in their place, the header itself may be what is lacking.
            reason="" if extra else "column_missing",
        )
    if extra:
        # Their names are not shown: where a header is missing they are the first row's values.
        raise AnswerError(
            f"REDCap's answer has {len(extra)} columns that were not asked for. The study's design "
            "changed while it was exported, or the body is no record export.",
            content=_CONTENT,
            status=200,
        )
    if len(present) != len(names):
        raise AnswerError(
            "REDCap's answer names a column twice, so its cells cannot be told apart.",
            content=_CONTENT,
            status=200,
        )


def _complete_columns(table: pa.Table, columns: Sequence[ExportColumn]) -> pa.Table:
    names = [column.name for column in columns]
    if table.column_names == names:
        return table
    sent = dict(zip(table.column_names, table.columns, strict=True))
    absent = pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    return pa.Table.from_arrays([sent.get(name, absent) for name in names], names)


def _check_records(ids: pa.ChunkedArray, batch: Batch) -> None:
    asked = pa.array(batch.record_ids, pa.string())
    foreign = pc.sum(pc.invert(pc.is_in(ids, value_set=asked))).as_py() or 0
    if foreign:
        raise AnswerError(
            f"REDCap's answer has {foreign} rows of records that were not asked for.",
            content=_CONTENT,
            status=200,
        )


def _empty_table(columns: Sequence[ExportColumn]) -> pa.Table:
    return pa.schema([(column.name, pa.string()) for column in columns]).empty_table()
