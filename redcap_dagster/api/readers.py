"""From a judged body to what the caller wants: dicts, a frame, or the text itself."""

import csv
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from redcap_dagster.api.call import Call, WireFormat
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.judge import unreadable

logger = logging.getLogger(__name__)

Row = dict[str, Any]

Rows = TypeVar("Rows")
Rows_co = TypeVar("Rows_co", covariant=True)


class Reader(Protocol[Rows_co]):
    """Makes rows of one kind from bodies of one format."""

    @property
    def wire_format(self) -> WireFormat:
        """The format to ask REDCap for."""

    def read(self, body: bytes, call: Call, columns: Sequence[str]) -> Rows_co | Failure:
        """Rows of a judged body; `columns` are those of an answer that has no header."""

    def empty(self, columns: Sequence[str]) -> Rows_co:
        """No rows, with their columns where the kind of rows has any."""


class DictReader:
    """Rows as dicts: REDCap's column names, its order, and its JSON types."""

    wire_format: WireFormat = "json"

    def read(self, body: bytes, call: Call, columns: Sequence[str]) -> list[Row] | Failure:  # noqa: ARG002
        """The rows; a failure when the body is not a JSON list of objects."""
        rows = read_json(body, call)
        if isinstance(rows, Failure):
            return rows
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return Failure("not_as_asked", "the JSON is not a list of rows.", 200)
        return rows

    def empty(self, columns: Sequence[str]) -> list[Row]:  # noqa: ARG002
        """An empty list."""
        return []


class FrameReader:
    """Rows as a pandas frame: every column text (`string`), blanks "", columns as REDCap sent."""

    wire_format: WireFormat = "csv"

    def read(self, body: bytes, call: Call, columns: Sequence[str]) -> pd.DataFrame | Failure:
        """The frame; a failure when a line has another number of cells than the header."""
        text = decode(body, call)
        if not text.strip():
            return self.empty(columns)
        lines = io.StringIO(text, newline="")
        try:
            header = next(csv.reader(lines, delimiter=call.csv_delimiter, strict=True))
        except csv.Error:
            return unreadable(call)
        table = _read_cells(text[lines.tell() :], len(header), call.csv_delimiter)
        if table is None:
            return Failure(
                "not_as_asked",
                "a line of the csv has another number of cells than its header: a part of it was "
                "lost on the way, or a value holds quotes that REDCap did not write as csv.",
                200,
            )
        frame: pd.DataFrame = table.to_pandas(types_mapper=lambda _: pd.StringDtype())
        # Set afterwards, as headers made of labels repeat.
        return frame.set_axis(header, axis="columns")

    def empty(self, columns: Sequence[str]) -> pd.DataFrame:
        """A frame of no rows."""
        return pd.DataFrame({name: pd.Series(dtype=pd.StringDtype()) for name in columns})


@dataclass(frozen=True, slots=True)
class TextReader:
    """The body itself, as text."""

    wire_format: Literal["csv", "json", "xml"]

    def read(self, body: bytes, call: Call, columns: Sequence[str]) -> str | Failure:  # noqa: ARG002
        """The text of the body; a failure when it is JSON that does not parse."""
        if self.wire_format == "json":
            rows = read_json(body, call)
            if isinstance(rows, Failure):
                return rows
        return decode(body, call)

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
    try:
        return json.loads(decode(body, call))
    except ValueError:
        return unreadable(call)


def decode(body: bytes, call: Call) -> str:
    """A body as text. Bytes that are no UTF-8 become U+FFFD, and their count a warning.

    Old imports left such bytes in some projects (docs/sources.md#encoding).
    """
    try:
        return body.decode()
    except UnicodeDecodeError:
        text = body.decode("utf-8", "surrogateescape")
        broken = sum("\udc80" <= character <= "\udcff" for character in text)
        logger.warning(
            "REDCap %s: %d bytes are no UTF-8 and were replaced by U+FFFD.", call.content, broken
        )
        return body.decode("utf-8", "replace")


def _read_cells(text: str, width: int, delimiter: str) -> pa.Table | None:
    """All cells as text, columns named by their number; None when a line is not `width` wide."""
    names = [str(index) for index in range(width)]
    if not text:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        return arrow_csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None  # its message quotes the line, so it must not be chained to ours
