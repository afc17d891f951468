"""Reads the `data` parameter of an import: rows as csv, JSON or XML."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from redcap_dagster.emulator.errors import ProjectFileError, RequestRefusedError
from redcap_dagster.emulator.odm.events import End, Start, iter_xml

Value = str | dict[str, str]
"""A cell: a text, or the inner texts by name where JSON or XML nest (form rights)."""
IncomingRow = dict[str, Value]

_BAD_FORMAT = "The data is not in the specified format."
_ROW = "item"


def incoming_rows(
    text: str, body_format: str, delimiter: str = ",", *, lone_object: bool = True
) -> list[IncomingRow]:
    """Parse what was sent for import.

    Args:
        text: The value of `data`.
        body_format: `csv`, `json` or `xml`.
        delimiter: Between the cells of csv.
        lone_object: Whether a JSON object alone is one row; record import takes it for none.

    Returns:
        The rows in their order; every value is text, "" for a JSON null.

    Raises:
        RequestRefusedError: The text is not in that format.
    """
    if body_format == "csv":
        return _csv_rows(text, delimiter)
    if body_format == "json":
        return _json_rows(text, lone_object=lone_object)
    return _xml_rows(text)


def text_rows(rows: Sequence[IncomingRow]) -> list[dict[str, str]]:
    """Return rows whose values must all be texts.

    Raises:
        RequestRefusedError: A value is nested.
    """
    return [{name: _flat(value) for name, value in row.items()} for row in rows]


def bad_format() -> RequestRefusedError:
    """Return REDCap's refusal of data in another format than was said."""
    return RequestRefusedError(_BAD_FORMAT)


def _flat(value: Value) -> str:
    if isinstance(value, dict):
        raise bad_format()
    return value


def csv_header(text: str, delimiter: str = ",") -> list[str]:
    """Return the column names of a csv.

    Raises:
        RequestRefusedError: The text is no csv.
    """
    return _csv_lines(text, delimiter)[0]


def _csv_rows(text: str, delimiter: str) -> list[IncomingRow]:
    header, *lines = _csv_lines(text, delimiter)
    if any(len(line) > len(header) for line in lines):
        raise bad_format()
    return [
        dict(zip(header, line + [""] * (len(header) - len(line)), strict=True)) for line in lines
    ]


def _csv_lines(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    try:
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise bad_format() from error
    if not lines:
        raise bad_format()
    return [[name.strip() for name in lines[0]], *lines[1:]]


def _json_rows(text: str, *, lone_object: bool) -> list[IncomingRow]:
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    # RecursionError: brackets nested deeper than any data are no data.
    except (ValueError, RecursionError) as error:
        raise bad_format() from error
    if isinstance(raw, dict):
        raw = [raw] if lone_object else []
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        raise bad_format()
    return [{_json_text(name): _json_value(value) for name, value in row.items()} for row in raw]


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's `json` writes and reads, and PHP does not."""
    raise ValueError(name)


def _json_value(value: Any) -> Value:
    if isinstance(value, Mapping):
        return {_json_text(name): _json_text(inner) for name, inner in value.items()}
    return _json_text(value)


def _json_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str) and not _is_whole(value):
        raise bad_format()
    if isinstance(value, str | int | float):
        return str(value)
    raise bad_format()


def _is_whole(text: str) -> bool:
    """Whether no half of a character is in a text, which PHP takes for no JSON."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _xml_rows(text: str) -> list[IncomingRow]:
    rows: list[IncomingRow] = []
    path: list[str] = []
    depth = 0
    try:
        for step in iter_xml(io.BytesIO(text.encode("utf-8", "surrogatepass")), "The data"):
            if isinstance(step, Start):
                path.append(step.tag)
                # A row alone may stand without anything around it, as project attributes do.
                depth = depth or (1 if step.tag == _ROW else 2)
                if len(path) == depth:
                    rows.append({})
            else:
                _xml_end(step, path[depth:], rows)
                path.pop()
    except ProjectFileError as error:
        raise bad_format() from error
    return rows


def _xml_end(step: End, inside: Sequence[str], rows: Sequence[IncomingRow]) -> None:
    """Take the text of an element into the last row; `inside` is its path in that row."""
    if len(inside) == 1:
        rows[-1].setdefault(step.tag, step.text)
    elif inside:
        nested = rows[-1].setdefault(inside[0], {})
        if isinstance(nested, dict):
            nested[step.tag] = step.text
