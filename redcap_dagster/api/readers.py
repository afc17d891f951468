"""From a judged body to what the caller wants: dicts, a frame, or the text itself."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from redcap_dagster.api.call import Call, WireFormat
from redcap_dagster.api.encoding import (
    count_broken_cells,
    is_utf8,
    mend_rows,
    warn_of_broken,
)
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.json_text import parse_json
from redcap_dagster.api.judge import unreadable
from redcap_dagster.errors import ConfigError

Row = dict[str, Any]

_LARGEST_BLOCK_BYTES = (1 << 31) - 1

Rows = TypeVar("Rows")
Rows_co = TypeVar("Rows_co", covariant=True)

Check = Callable[[Sequence[str], Callable[[str], Sequence[str]]], Failure | None]
"""What is wrong with rows, from their column names and a way to one column's texts.

No names say that there are no rows."""


class Reader(Protocol[Rows_co]):
    """Makes rows of one kind from bodies of one format."""

    @property
    def wire_format(self) -> WireFormat:
        """The format to ask REDCap for."""

    def read(
        self, body: bytes, call: Call, columns: Sequence[str], check: Check | None = None
    ) -> Rows_co | Failure:
        """Rows of a judged body; `columns` are those of an answer that has no header."""

    def empty(self, columns: Sequence[str]) -> Rows_co:
        """No rows, with their columns where the kind of rows has any."""


class DictReader:
    """Rows as dicts: REDCap's column names, its order, and its JSON types."""

    wire_format: WireFormat = "json"

    def read(
        self,
        body: bytes,
        call: Call,
        columns: Sequence[str],  # noqa: ARG002
        check: Check | None = None,
    ) -> list[Row] | Failure:
        """The rows; a failure when the body is not a JSON list of objects."""
        rows = _read_dicts(body, call)
        if isinstance(rows, Failure):
            return rows
        return (check and _check_dicts(rows, check)) or rows

    def empty(self, columns: Sequence[str]) -> list[Row]:  # noqa: ARG002
        """An empty list."""
        return []


@dataclass(frozen=True, slots=True)
class FrameReader:
    """Rows as a pandas frame: every column text (`string`), blanks "", columns as REDCap sent.

    Attributes:
        read_csv: Options for `pandas.read_csv`, which then makes the frame in its own way (guessed
            types, blanks as NaN) from the same judged text; None leaves all as text.
    """

    read_csv: Mapping[str, Any] | None = field(default=None)
    wire_format: WireFormat = field(default="csv", init=False)

    def read(
        self, body: bytes, call: Call, columns: Sequence[str], check: Check | None = None
    ) -> pd.DataFrame | Failure:
        """The frame; a failure when a line has another number of cells than the header."""
        text = decode(body, call)
        if not text.strip():
            return self.empty(columns)
        table = _read_text(text, call)
        if isinstance(table, Failure):
            return table
        fault = _check_table(table, check)
        if fault:
            return fault
        if self.read_csv is not None:
            return _read_by_pandas(text, {"sep": call.csv_delimiter, **self.read_csv})
        frame: pd.DataFrame = table.cells.to_pandas(types_mapper=lambda _: pd.StringDtype())
        # Set afterwards, as headers made of labels repeat.
        return frame.set_axis(table.header, axis="columns")

    def empty(self, columns: Sequence[str]) -> pd.DataFrame:
        """A frame of no rows."""
        if self.read_csv is not None and columns:
            return _read_by_pandas(",".join(columns) + "\n", {**self.read_csv, "sep": ","})
        return pd.DataFrame({name: pd.Series(dtype=pd.StringDtype()) for name in columns})


@dataclass(frozen=True, slots=True)
class TextReader:
    """The body itself, as text."""

    wire_format: Literal["csv", "json", "xml"]

    def read(
        self, body: bytes, call: Call, columns: Sequence[str], check: Check | None = None
    ) -> str | Failure:
        """The text of the body; a failure when it is JSON that does not parse."""
        text = decode(body, call)
        if self.wire_format == "csv" and not text.strip() and columns:
            return self.empty(columns)
        fault = None
        if self.wire_format == "json":
            # Only lists of rows have a check: the project's settings are one object.
            rows = _read_dicts(body, call) if check else read_json(body, call)
            fault = rows if isinstance(rows, Failure) else check and _check_dicts(rows, check)
        elif self.wire_format == "csv" and check and text.strip():
            table = _read_text(text, call)
            fault = table if isinstance(table, Failure) else _check_table(table, check)
        return fault or text

    def empty(self, columns: Sequence[str]) -> str:
        """A header line, an empty JSON list, or an empty XML list."""
        empty = {
            "csv": ",".join(columns) + "\n",
            "json": "[]",
            "xml": '<?xml version="1.0" encoding="UTF-8" ?>\n<items></items>\n',
        }
        return empty[self.wire_format]


def read_json(body: bytes, call: Call) -> Any | Failure:
    """The value of a JSON body; a failure when it does not parse."""
    if is_utf8(body):
        return _load(body.decode(), call)
    value = _load(body.decode("utf-8", "surrogateescape"), call)
    if isinstance(value, Failure):
        return value
    found: Counter[str] = Counter()
    try:
        mended = mend_rows(value, found)
    except RecursionError:
        return unreadable(call)
    warn_of_broken(call.content, found)
    return mended


def decode(body: bytes, call: Call) -> str:
    """A body as text. Bytes that are no UTF-8 become U+FFFD, and their count a warning.

    Old imports left such bytes in some projects (docs/sources.md#encoding).
    """
    if is_utf8(body):
        return body.decode()
    if call.wire_format == "csv":
        found = count_broken_cells(body, call.csv_delimiter)
        # Without any, the csv is of several widths, and is refused for that.
        if found:
            warn_of_broken(call.content, found)
    elif call.wire_format != "json":
        # Where such a byte stands in XML or plain text is not looked for.
        warn_of_broken(call.content, {"": 1})
    return body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Table:
    header: list[str]
    cells: pa.Table

    def column(self, name: str) -> list[str]:
        texts: list[str] = self.cells.column(self.header.index(name)).to_pylist()
        return texts


def _load(text: str, call: Call) -> Any | Failure:
    try:
        return parse_json(text)
    except ValueError:
        return unreadable(call)


def _read_dicts(body: bytes, call: Call) -> list[Row] | Failure:
    rows = read_json(body, call)
    if isinstance(rows, Failure):
        return rows
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    return Failure("not_as_asked", "the JSON is not a list of rows.", 200)


def _check_dicts(rows: list[Row], check: Check) -> Failure | None:
    names = list(rows[0]) if rows else []
    return check(names, lambda name: [str(row.get(name, "")) for row in rows])


def _check_table(table: _Table, check: Check | None) -> Failure | None:
    return check(table.header, table.column) if check else None


def _read_text(text: str, call: Call) -> _Table | Failure:
    lines = io.StringIO(text, newline="")
    try:
        header = next(csv.reader(lines, delimiter=call.csv_delimiter, strict=True))
    except csv.Error:
        return unreadable(call)
    if not header:
        return unreadable(call)  # a blank line stands where the names should
    cells = _read_cells(text[lines.tell() :], len(header), call.csv_delimiter)
    if cells is not None:
        return _Table(header, cells)
    return Failure(
        "not_as_asked",
        "a line of the csv has another number of cells than its header: a part of it was "
        "lost on the way, or a value holds quotes that REDCap did not write as csv.",
        200,
    )


def _read_cells(text: str, width: int, delimiter: str) -> pa.Table | None:
    """All cells as text, columns named by their number; None when a line is not `width` wide."""
    names = [str(index) for index in range(width)]
    if not text:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    body = text.encode()
    # One block, as a row must not lie across more than two of them; it costs nothing.
    block_size = min(len(body) + 1, _LARGEST_BLOCK_BYTES)
    try:
        return arrow_csv.read_csv(
            io.BytesIO(body),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=block_size),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None  # its message quotes the line, so it must not be chained to ours


def _read_by_pandas(text: str, options: Mapping[str, Any]) -> pd.DataFrame:
    kind = ""
    try:
        frame: pd.DataFrame = pd.read_csv(io.StringIO(text, newline=""), **options)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        kind = type(error).__name__  # its message can quote a value, and ours does not chain it
    else:
        return frame
    raise ConfigError(
        f"pandas.read_csv could not read the answer with the options {', '.join(options)} "
        f"({kind}). Is a column named that was not exported, or a type that its values have not?"
    )
